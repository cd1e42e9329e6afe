"""tests/fakejuju/README.md says what is there, and what it shows works."""
import json
import os
import re
import subprocess
import sys
import zipfile
from inspect import signature

import pytest

from fakejuju.faults import FAULTS, WITH_NUMBER
from fakejuju.runner import Run
from fakejuju.testing import Deployment
from test_testing import charm_of
from world import ROOT, TESTS

MANUAL = (TESTS / 'fakejuju/README.md').read_text()
FIRST_COLUMN = re.findall(r'^\| (`.*?) \|', MANUAL, re.MULTILINE)
PYTHON = re.findall('^```python\n(.*?)^```$', MANUAL, re.DOTALL | re.MULTILINE)


def test_the_quick_start_is_the_examples_own_test():
    named, = re.findall('^<!-- from (.*) -->$', MANUAL, re.MULTILINE)
    assert (ROOT / named).read_text().endswith('\n\n\n' + PYTHON[0])
    assert len(PYTHON[0].splitlines()) <= 20


def test_the_fixture_has_what_the_table_says():
    told = {name for cell in FIRST_COLUMN for name in re.findall(r'`(\w+)(?:\(.*?\))?`', cell)}
    has = {name for name in vars(Deployment) if not name.startswith('_')}
    assert has - {'close', 'is_deployed', 'unmet'} <= told


def test_the_manual_names_each_field_of_a_run_and_the_limit_of_settle():
    told, = [line for line in MANUAL.splitlines() if line.startswith('| `hooks` |')]
    assert set(vars(Run('app/0', None))) - {'env', 'interrupted', 'action'} <= set(
        re.findall(r'`(\w+)`', told))
    assert '| `settle{}` |'.format(signature(Deployment('', '').settle)) in MANUAL


def test_the_table_has_each_fault():
    assert [cell for cell in FIRST_COLUMN if re.match('`[a-z]+=', cell)] and {
        re.match('`([a-z]+)=([A-Za-z]+)`', cell).groups()
        for cell in FIRST_COLUMN if re.match('`[a-z]+=', cell)} == {
            (kind, {'exit': 'CODE'}.get(kind, 'N') if kind in WITH_NUMBER else 'True')
            for kind in FAULTS}


@pytest.mark.parametrize('link', re.findall(r'\]\(([^)h#][^)]*)\)', MANUAL))
def test_links_lead_to_files(link):
    assert (TESTS / 'fakejuju' / link.split('#')[0]).exists()


@pytest.fixture
def charm(tmp_path):
    return charm_of(tmp_path / 'app', **{
        'manifest.yaml': '{bases: [{name: ubuntu, channel: "22.04"}]}',
        'actions/renew': '#!/bin/sh\nrelation-set -r peers:0 renewed=yes\n',
        'actions.yaml': 'renew: {}'})


@pytest.mark.slow
def test_the_other_examples_work(charm, tmp_path):
    (tmp_path / 'test_it.py').write_text('\n\n'.join(PYTHON[1:]) + '''

def test_shared(served):
    assert len(served.units()) == 3
''')
    done = subprocess.run([sys.executable, '-m', 'pytest', '-p', 'fakejuju.plugin', '--charm',
                           str(charm)], env=dict(os.environ, PYTHONPATH=str(TESTS)),
                          cwd=str(tmp_path), stdout=subprocess.PIPE, universal_newlines=True)
    assert done.returncode == 0 and '3 passed' in done.stdout, done.stdout


def test_the_lines_of_the_command_juju(charm, tmp_path):
    lines, = re.findall('^```\n(export FAKEJUJU=.*?)^```$', MANUAL, re.DOTALL | re.MULTILINE)
    with zipfile.ZipFile(str(tmp_path / 'my.charm'), 'w') as archive:
        for path in charm.rglob('*'):
            archive.write(str(path), str(path.relative_to(charm)))
    done = subprocess.run(
        ['bash', '-euc', 'fakejuju-juju() {{ {} "$@"; }}\n'.format(TESTS / 'fakejuju/juju')
         + lines.replace('/tmp/models', str(tmp_path / 'models'))],
        cwd=str(tmp_path), stdout=subprocess.PIPE, universal_newlines=True, check=True)
    assert len(json.loads(done.stdout)['applications']['app']['units']) == 3
