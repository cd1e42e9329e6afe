"""Which charms the kit runs: built ones, for this Python; else one sentence says why not."""
import sys
import zipfile
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from .charm import check, unpack
from .model import NotModelled
from .tools import ToolError, failure


class Unusable(Exception):
    """There is no charm that hooks can be run of; one sentence says why."""


def usable(path, target, version):
    """The directory of the built charm at `path`, which is one, or a charm file to unpack there."""
    path = Path(path)
    if not path.exists():
        raise Unusable('no charm at {}: there is no such file or directory'.format(path))
    directory = path if path.is_dir() else Path(target)
    try:
        if path.is_dir():
            not_built(path)
            check(lambda name: (path / name).read_bytes() if (path / name).is_file() else None,
                  version)
        else:
            unpack(path, directory, version)
            not_built(directory)
    except NotModelled as error:
        raise Unusable('{}: fakejuju does not model {}'.format(path, error))
    except (ToolError, zipfile.BadZipFile) as error:
        raise Unusable('no charm at {}: {}'.format(path, error))
    return directory


def not_built(directory):
    """Refuse the directory of a charm that has yet to be built."""
    if not (directory / 'hooks').is_dir() and not (directory / 'dispatch').exists() and any(
            (directory / name).exists()
            for name in ('layer.yaml', 'metadata.yaml', 'charmcraft.yaml')):
        raise failure('it is not built, having neither hooks nor dispatch; run charm-build (or '
                      'charmcraft pack) and name what it makes')


def installable(directory):
    """Refuse a charm that cannot be tested in this Python, or not without harm to this machine."""
    here = set(sys_tags())
    for wheel in sorted(Path(directory, 'wheelhouse').glob('*.whl')):
        if not parse_wheel_filename(wheel.name)[3] & here:
            raise Unusable('{} is built for another Python than this {}.{}: {} is in its wheelhouse'
                           .format(directory, *sys.version_info[:2], wheel.name))
    library = Path(directory, 'lib/charms/layer/basic.py')
    if library.exists() and 'Stands in for' not in library.read_text():
        raise Unusable('{} is built on the real layer:basic, whose hooks install packages on this '
                       'machine; build it with the one that `fakejuju layers` names'
                       .format(directory))
