"""Which charms can be run here: those that are built, and for this Python."""
import sys
import zipfile
from pathlib import Path

from packaging.tags import sys_tags
from packaging.utils import parse_wheel_filename

from .charm import check, unpack


class Unusable(Exception):
    """The charm's hooks cannot run here; the text is a sentence that says why."""


def open_charm(path, target, version):
    """The directory of the charm at `path`; a charm file is unpacked, in `target`.

    Raises as charm.py does for what Juju refuses, and Unusable for what is no charm or is not
    built.
    """
    path = Path(path)
    if not path.exists():
        raise Unusable('no charm at {}: there is no such file or directory'.format(path))
    if path.is_dir():
        expect_built(path, path)
        check(lambda name: (path / name).read_bytes() if (path / name).is_file() else None, version)
        return path
    try:
        unpack(path, target, version)
    except (OSError, zipfile.BadZipFile) as error:
        raise Unusable('no charm at {}: {}'.format(path, error))
    expect_built(Path(target), path)
    return Path(target)


def expect_built(directory, path):
    """Refuse a layer, or another source of a charm, which has yet to be built."""
    sources = 'layer.yaml', 'charmcraft.yaml', 'metadata.yaml'
    # A layer may have some hooks of its own.
    hooks = 'hooks/install' if (directory / 'layer.yaml').exists() else 'hooks'
    if not any((directory / name).exists() for name in (hooks, 'dispatch')) \
            and any((directory / name).exists() for name in sources):
        raise Unusable('the charm at {} is not built: it has neither {} nor dispatch. Run '
                       'charm-build (or charmcraft pack), and name the charm that it makes'
                       .format(path, hooks))


def expect_harmless(directory, path):
    """Refuse a charm for another Python, and one whose hooks would change this machine."""
    here = set(sys_tags())
    for wheel in sorted(Path(directory, 'wheelhouse').glob('*.whl')):
        if not parse_wheel_filename(wheel.name)[3] & here:
            raise Unusable('the charm at {} is built for another Python than this, {}.{}: {} is in '
                           'its wheelhouse'.format(path, *sys.version_info[:2], wheel.name))
    library = Path(directory, 'lib/charms/layer/basic.py')
    if library.exists() and 'Stands in for' not in library.read_text():
        raise Unusable('the charm at {} is built on the real layer:basic, whose hooks install '
                       'packages on this machine: build it on the one that `fakejuju layers` names'
                       .format(path))
