"""README and repository say what is there."""
import json
import os
import re
import shutil
import subprocess
import textwrap
import zipfile
from collections import Counter

import pytest
import yaml

import peers
from world import ROOT, TESTS

README = (ROOT / 'README.md').read_text()
CODE_BLOCKS = re.findall(r'^```(\w*)\n(.*?)^```$', README, re.DOTALL | re.MULTILINE)


def code_blocks(language):
    return [text for found, text in CODE_BLOCKS if found == language]


def test_each_code_block_of_the_readme_is_one_that_is_checked():
    """Here, but for the diagram (test_end_to_end.py) and the text (`demo.py --still`)."""
    assert Counter(language for language, _ in CODE_BLOCKS) == {
        'python': 2, 'mermaid': 1, 'text': 1, 'yaml': 2, 'json': 1, '': 3}


def test_the_handlers_on_the_first_screen_are_the_examples_own():
    layer = (TESTS / 'example/reactive/tls_example.py').read_text()
    shown, _ = code_blocks('python')
    handlers = shown.strip().split('\n\n\n')
    assert len(handlers) >= 3
    for handler in handlers:
        assert handler in layer


def test_the_lines_that_matter_in_ops_are_the_examples_own():
    _, shown = code_blocks('python')
    assert len(shown.splitlines()) <= 15
    assert textwrap.indent(shown, ' ' * 4) in (TESTS / 'ops-example/src/charm.py').read_text()


@pytest.fixture
def shell(tmp_path):
    """shell(lines, directory): what they print, `juju` being fakejuju's and `charm` the build."""
    bin = tmp_path / 'bin'
    bin.mkdir()
    (bin / 'charm').write_text(
        '#!/bin/sh\nshift\nexec "${CHARM_BUILD:-charm-build}" --hide-metrics'
        ' --layer-index file:///nonexistent/ "$@"\n')
    (bin / 'charm').chmod(0o755)
    env = dict(os.environ, CHARM_LAYERS_DIR=str(TESTS / 'layers'), TMPDIR=str(tmp_path),
               CHARM_BUILD_DIR=str(tmp_path / 'builds'),
               FAKEJUJU=str(tmp_path / 'models'), JUJU_MODEL='readme',
               PATH=os.pathsep.join([str(bin), str(TESTS / 'fakejuju'), os.environ['PATH']]))

    def run(lines, directory):
        done = subprocess.run(['bash', '-euc', lines], cwd=str(directory), env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


@pytest.mark.once
def test_the_lines_to_build_and_deploy_do_so(shell, tmp_path):
    lines, = [block for block in code_blocks('') if 'juju deploy' in block]
    shutil.copytree(str(TESTS / 'example'), str(tmp_path / 'layer'))
    (tmp_path / 'interfaces').mkdir()
    (tmp_path / 'interfaces/tls').symlink_to(ROOT)
    shell('juju add-model readme', tmp_path)
    shell(lines, tmp_path / 'layer')
    status = json.loads(shell('juju status --format json', tmp_path))
    assert len(status['applications']['tls-example']['units']) == 4


@pytest.mark.once
def test_the_lines_for_a_controller_build_the_charm_and_leave_nothing_behind(shell, tmp_path):
    lines, = [block for block in code_blocks('') if 'JUJU=real' in block]
    checkout = tmp_path / 'checkout'
    shutil.copytree(str(ROOT), str(checkout), ignore=shutil.ignore_patterns('.*', '__pycache__'))
    before = sorted(checkout.rglob('*'))
    tox = checkout / '.tox/start/bin/tox'
    tox.parent.mkdir(parents=True)
    tox.write_text('#!/bin/sh\necho "$JUJU $* $CHARM"\n')
    tox.chmod(0o755)
    told, arguments, charm = shell(lines, checkout).splitlines()[-1].rsplit(' ', 2)
    assert (told, arguments) == ('real -e', 'integration')
    assert 'hooks/relations/tls/peers.py' in zipfile.ZipFile(charm).namelist()
    shutil.rmtree(str(checkout / '.tox'))
    assert sorted(checkout.rglob('*')) == before


def test_ci_runs_the_two_commands_word_for_word():
    first, second = code_blocks('')[0].splitlines()
    lines = (ROOT / '.ci/run').read_text().split('\n')
    assert lines[-7:] == [first, second, second + ' -e py39,py310,py311,py312',
                          second + ' -e integration', second + ' -e charmcraft',
                          second + ' -e demo -- --still README.md', '']


@pytest.mark.parametrize('flag', [peers.CREATE, peers.SIGN, peers.AVAILABLE])
def test_the_flag_table_has_each_flag(flag):
    assert len(re.findall(r'^\| `{}` \|'.format(flag), README, re.MULTILINE)) == 1


@pytest.mark.parametrize('key', [
    peers.CSR, peers.CSR_ID, peers.ANSWER.format('[unit-name]'),
    peers.ANSWER_ID.format('[unit-name]'), peers.REFUSAL.format('[unit-name]')])
def test_the_wire_table_has_each_key(key):
    assert len(re.findall(r'^\|.*\| `{}` \|'.format(re.escape(key)), README, re.MULTILINE)) == 1


def test_each_promise_of_the_readme_has_tests_with_its_number():
    promised = set(re.findall(r'^- \*\*P(\d+) ', README, re.MULTILINE))
    tests = ''.join(path.read_text() for path in TESTS.glob('test_*.py'))
    assert promised == set(re.findall(r'^def test_p(\d+)_', tests, re.MULTILINE))
    assert promised == {str(number) for number in range(1, 15)}


@pytest.mark.parametrize('link', re.findall(r'\]\(([^)h#][^)]*)\)', README))
def test_links_lead_to_files(link):
    assert (ROOT / link).exists()


def test_the_table_of_rules_has_each_contract_test_of_the_double():
    told = re.findall('`((?:js|sa)_[a-z0-9_]+)`', (TESTS / 'README.md').read_text())
    tests = re.findall(r'^def test_((?:js|sa)_\w+)', (TESTS / 'test_fakejuju.py').read_text(),
                       re.MULTILINE)
    assert sorted(told) == sorted(tests)


def test_the_yaml_to_use_is_what_the_example_has():
    layer, metadata = (yaml.safe_load(block) for block in code_blocks('yaml'))
    example = TESTS / 'example'
    assert layer['includes'] == yaml.safe_load((example / 'layer.yaml').read_text())['includes']
    assert metadata['peers'] == yaml.safe_load((example / 'metadata.yaml').read_text())['peers']


def test_the_entry_for_the_layer_index_agrees_with_interface_yaml():
    entry, = (json.loads(block) for block in code_blocks('json'))
    interface = yaml.safe_load((ROOT / 'interface.yaml').read_text())
    assert set(interface) == {'name', 'summary', 'version', 'maintainer', 'repo', 'ignore'}
    assert entry == {'id': 'tls', **{key: interface[key] for key in ('name', 'repo', 'summary')}}


def test_the_top_level_holds_what_the_mission_lists():
    names = {path.name for path in ROOT.iterdir()
             if not path.name.startswith('.') and path.name != '__pycache__'}
    assert names == {'interface.yaml', 'peers.py', 'README.md', 'copyright', 'tests', 'tox.ini'}
