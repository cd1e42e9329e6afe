"""README's lines that get charm-build and build the example, with pip's cache empty.

A warm cache hides what nobody can build any more. So does a new machine: an hour after its first
use virtualenv puts newer packages into the environments that it makes. Run by `tox -e cold`; it
needs python3.8, python3.10 and python3.12 on the PATH.
"""
import os
import re
import shutil
import subprocess
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
# The published layer:basic asks for it, and PyPI has only its source: pip makes the wheel.
WHEELHOUSE = 'charms.reactive>=1.5,<2\n'
# To clone and to deploy is tried in repository/.
PREAMBLE = 'git() { cp -r "$CHECKOUT" interfaces; }\njuju() { :; }\n'
AN_HOUR_LATER = 'virtualenv --upgrade-embed-wheels\n'


def lines():
    readme = (ROOT / 'README.md').read_text()
    blocks = re.findall('^```\n(.*?)^```$', readme, re.DOTALL | re.MULTILINE)
    get, = [block for block in blocks if 'pip install charm-tools' in block]
    build, = [block for block in blocks if 'charm-build --binary-wheels' in block]
    return PREAMBLE + get + AN_HOUR_LATER + build


@pytest.mark.parametrize('version', ['3.8', '3.10', '3.12'])
def test_the_lines_of_the_readme_build_the_example(version, tmp_path):
    python = shutil.which('python' + version)
    assert python, 'there is no python{} on the PATH'.format(version)
    for name in 'bin', 'author', 'interfaces':
        (tmp_path / 'author' / name).mkdir(parents=True)
    (tmp_path / 'author/bin/python3').symlink_to(python)
    shutil.copytree(str(ROOT), str(tmp_path / 'tls'),
                    ignore=shutil.ignore_patterns('.*', '__pycache__'))
    layers = tmp_path / 'tls/tests/fakejuju/layers'
    (layers / 'basic/wheelhouse.txt').write_text(WHEELHOUSE)
    done = subprocess.run(
        ['bash', '-euc', lines()], cwd=str(tmp_path / 'author'), stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, universal_newlines=True, env=dict(
            os.environ, PATH='{}:{}'.format(tmp_path / 'author/bin', os.environ['PATH']),
            CHECKOUT=str(tmp_path / 'tls'), CHARM_LAYERS_DIR=str(layers), CHARM_HIDE_METRICS='1',
            CHARM_BUILD_DIR=str(tmp_path / 'builds'), TMPDIR=str(tmp_path),
            PIP_CACHE_DIR=str(tmp_path / 'cache'),
            VIRTUALENV_OVERRIDE_APP_DATA=str(tmp_path / 'virtualenv')))
    assert done.returncode == 0, done.stdout
    with zipfile.ZipFile(str(tmp_path / 'author/tls-example/tls-example.charm')) as charm:
        wheels = [Path(name).name.replace('_', '.') for name in charm.namelist()
                  if name.startswith('wheelhouse/')]
    assert {'charms.reactive', 'cryptography'} <= {name.split('-')[0] for name in wheels}, wheels
    assert all(name.endswith('.whl') for name in wheels), wheels
