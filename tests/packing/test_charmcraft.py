"""`charmcraft pack`, for each platform of each example, without snaps and without LXD.

The reactive ones hold the interface; the one in ops is packed as it is, with packages from PyPI.

charmcraft packs for the system that it runs on. So that it runs on any, /etc/os-release says
another name to it, in a mount namespace of its own; `charm` and python3-apt, which it takes from
snaps, are PyPI's and the system's.
"""
import glob
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
import yaml

from fakejuju import Juju

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
EXAMPLES = 'example', 'example-easyrsa'


def platforms(example):
    return list(yaml.safe_load((TESTS / example / 'charmcraft.yaml').read_text())['platforms'])


def checkout(example, project):
    """The charm layer with interface:tls beside it, as an author has it."""
    shutil.copytree(str(TESTS / example), str(project))
    shutil.copytree(str(ROOT), str(project / 'interfaces/tls'),
                    ignore=shutil.ignore_patterns('.*', '__pycache__'))


def without_snaps(project, bin):
    """The charmcraft.yaml with a `charm` of ours in place of the snap's, and our layer:basic."""
    charmcraft = yaml.safe_load((project / 'charmcraft.yaml').read_text())
    part = charmcraft['parts']['charm']
    assert part.pop('build-snaps') == ['charm']
    part['build-environment'] += [
        {'PATH': os.pathsep.join([str(bin), '/usr/bin', '/bin'])},
        {'CHARM_LAYERS_DIR': str(TESTS / 'fakejuju/layers')}, {'CHARM_HIDE_METRICS': '1'}]
    (project / 'charmcraft.yaml').write_text(yaml.safe_dump(charmcraft, sort_keys=False))
    bin.mkdir()
    (bin / 'charm').write_text('#!/bin/sh\ncommand=$1\nshift\nexec {}/charm-$command "$@"\n'.format(
        Path(os.environ['CHARM_BUILD']).parent))
    (bin / 'charm').chmod(0o755)


def pack(project, platform, scratch):
    """The charm file."""
    system, version = platform.split(':')[0].split('@')
    (scratch / 'os-release').write_text('ID={}\nVERSION_ID="{}"\n'.format(system, version))
    (scratch / 'run').mkdir(mode=0o700)
    (scratch / 'apt').mkdir()
    found = [path for name in ('apt', 'aptsources', 'apt_pkg*.so', 'apt_inst*.so')
             for path in glob.glob('/usr/lib/python3/dist-packages/' + name)]
    assert found, 'python3-apt is not installed'
    for path in found:
        (scratch / 'apt' / Path(path).name).symlink_to(path)
    lines = '''
        mount --bind "$0" "$(readlink -f /etc/os-release)"
        exec "$1" -m charmcraft pack --destructive-mode --platform "$2"'''
    done = subprocess.run(
        ['unshare', '--mount'] + (['--map-root-user'] if os.geteuid() else [])
        + ['sh', '-ec', lines, str(scratch / 'os-release'), sys.executable, platform],
        cwd=str(project), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=dict(os.environ, HOME=str(scratch), PYTHONPATH=str(scratch / 'apt'),
                 XDG_RUNTIME_DIR=str(scratch / 'run')))
    assert done.returncode == 0, done.stdout
    charm, = project.glob('*.charm')
    return charm


@pytest.mark.parametrize('example, platform', [
    (example, platform) for example in EXAMPLES for platform in platforms(example)])
def test_the_charm_is_for_that_platform_and_holds_the_interface(example, platform, tmp_path):
    project = tmp_path / 'layer'
    checkout(example, project)
    without_snaps(project, tmp_path / 'bin')
    charm = pack(project, platform, tmp_path)
    with zipfile.ZipFile(str(charm)) as archive:
        names = set(archive.namelist())
        manifest, metadata = (yaml.safe_load(archive.read(name))
                              for name in ('manifest.yaml', 'metadata.yaml'))
        base, architecture = platform.split(':')
        name, channel = base.split('@')
        assert manifest['bases'] == [
            {'name': name, 'channel': channel, 'architectures': [architecture]}]
        assert metadata['peers'] == {'certificates': {'interface': 'tls'}}
        assert not {'series', 'min-juju-version'} & set(metadata)
        interface = 'hooks/relations/tls/'
        assert {name for name in names if name.startswith(interface)} == {
            interface + file for file in
            ('__init__.py', 'peers.py', 'interface.yaml', 'README.md', 'copyright')}
        assert archive.read(interface + 'peers.py') == (ROOT / 'peers.py').read_bytes()
        assert not [name for name in names if name.startswith(('interfaces', 'charmcraft.yaml'))]


def test_the_example_in_ops_is_packed_as_it_is_and_serves_its_unit(tmp_path):
    platform = platforms('ops-example')[0]
    project = tmp_path / 'charm'
    shutil.copytree(str(TESTS / 'ops-example'), str(project),
                    ignore=shutil.ignore_patterns('__pycache__'))
    charm = pack(project, platform, tmp_path)
    subprocess.run(['unzip', '-q', str(charm), '-d', str(tmp_path / 'packed')], check=True)
    assert not (tmp_path / 'packed/tests').exists()
    with Juju(tmp_path / 'packed', tmp_path / 'units') as juju:
        unit = juju.add_unit()
        juju.elect(unit)
        juju.settle()
        status, message = juju.status(unit)
    assert status == 'active' and message.startswith('signed by ')
