"""The repository is as README and tests/RELEASE.md say; see also test_readme.py."""
import configparser
import fnmatch
import json
import os
import re
import shutil
import subprocess
import zipfile

import pytest
import yaml

import coverage_run
import peers
import tox_summary
from fakejuju import NotModelled, charm
from world import ROOT, TESTS

README = (ROOT / 'README.md').read_text()
EXAMPLES = 'example', 'example-easyrsa'
CODE_BLOCKS = re.findall(r'^```(\w*)\n(.*?)^```$', README, re.DOTALL | re.MULTILINE)


def code_blocks(language):
    return [text for found, text in CODE_BLOCKS if found == language]


# What the README says of layer.yaml, metadata.yaml and manifest.yaml.
USED = list(yaml.safe_load_all(code_blocks('yaml')[0]))


@pytest.fixture
def shell(tmp_path):
    """shell(lines, directory): what they print, `juju` being fakejuju's, layer:basic ours."""
    bin = tmp_path / 'bin'
    bin.mkdir()
    (bin / 'charm-build').symlink_to(shutil.which(os.environ.get('CHARM_BUILD', 'charm-build')))
    env = dict(os.environ, CHARM_LAYERS_DIR=str(TESTS / 'fakejuju/layers'), TMPDIR=str(tmp_path),
               CHARM_BUILD_DIR=str(tmp_path / 'builds'), CHARM_HIDE_METRICS='1',
               FAKEJUJU=str(tmp_path / 'models'), JUJU_MODEL='readme',
               PATH=os.pathsep.join([str(bin), str(TESTS / 'fakejuju'), os.environ['PATH']]))

    def run(lines, directory):
        done = subprocess.run(['bash', '-euc', lines], cwd=str(directory), env=env,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              universal_newlines=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return run


def copy_of_the_checkout(directory):
    shutil.copytree(str(ROOT), str(directory), ignore=shutil.ignore_patterns('.*', '__pycache__'))
    return directory


LEFT_BY_TESTS = ('.coverage', '.hypothesis/examples', '.pytest_cache/README.md',
                 'lib/__pycache__/pki.cpython-310.pyc')


@pytest.fixture
def published(shell, tmp_path):
    """The checkout is what git finds at the address of the repository."""
    checkout = copy_of_the_checkout(tmp_path / 'published')
    for name in LEFT_BY_TESTS:
        (checkout / 'tests/example' / name).parent.mkdir(exist_ok=True)
        (checkout / 'tests/example' / name).write_text('x')
    shell('git init --quiet && git add . && git -c user.name=name -c user.email=address '
          'commit --quiet --message all', checkout)
    # Not by GIT_CONFIG_GLOBAL, which git has from 2.32 on.
    return 'git() {{ command git -c "url.{}.insteadOf={}" "$@"; }}\n'.format(
        checkout, yaml.safe_load((ROOT / 'interface.yaml').read_text())['repo'])


@pytest.mark.slow
def test_the_lines_to_build_and_deploy_do_so(shell, published, tmp_path):
    lines, = [block for block in code_blocks('') if 'juju deploy' in block]
    shell('juju add-model readme', tmp_path)
    author = tmp_path / 'author'
    author.mkdir()
    shell(published + lines, author)
    status = json.loads(shell('juju status --format json', tmp_path))
    assert len(status['applications']['tls-example']['units']) == 3
    with zipfile.ZipFile(str(author / 'tls-example/tls-example.charm')) as archive:
        assert archive.read('hooks/relations/tls/peers.py') == (ROOT / 'peers.py').read_bytes()
        manifest = yaml.safe_load(archive.read('manifest.yaml'))
        assert not set(LEFT_BY_TESTS) & set(archive.namelist())
    assert manifest == USED[2]


@pytest.mark.slow
def test_the_lines_for_a_controller_build_the_charm_and_leave_nothing_behind(shell, tmp_path):
    lines, = re.findall('^```\n(.*?JUJU=real.*?)^```$', (TESTS / 'RELEASE.md').read_text(),
                        re.DOTALL | re.MULTILINE)
    checkout = copy_of_the_checkout(tmp_path / 'checkout')
    before = sorted(checkout.rglob('*'))
    tox = checkout / '.tox/start/bin/tox'
    tox.parent.mkdir(parents=True)
    tox.write_text('#!/bin/sh\necho "$JUJU $* $CHARM"\n')
    tox.chmod(0o755)
    told, arguments, file = shell(lines, checkout).splitlines()[-1].rsplit(' ', 2)
    assert (told, arguments) == ('real -e', 'integration')
    assert 'hooks/relations/tls/peers.py' in zipfile.ZipFile(file).namelist()
    shutil.rmtree(str(checkout / '.tox'))
    assert sorted(checkout.rglob('*')) == before


def test_ci_runs_the_two_commands_word_for_word():
    first, second = code_blocks('')[0].splitlines()
    lines = [line for line in (ROOT / '.ci/run').read_text().splitlines() if line[:1] != '#']
    assert lines[-8:] == [
        first, second, second + ' --skip-missing-interpreters false -e py38,py313'] + [
        second + ' -e ' + each for each in (
            'charmcraft', 'openssl', 'integration -- -k "not machines"', 'slow',
            'demo -- --still README.md')]


@pytest.mark.parametrize('flag', [peers.CREATE, peers.SIGN, peers.AVAILABLE])
def test_the_flag_table_has_each_flag(flag):
    assert len(re.findall(r'^\| `{}` \|'.format(flag), README, re.MULTILINE)) == 1


@pytest.mark.parametrize('key', [
    peers.CSR, peers.CSR_NUMBER, peers.IN_USE, peers.CERTIFICATE.format('[unit-name]'),
    peers.ANSWER_ID.format('[unit-name]'), peers.REFUSAL.format('[unit-name]')])
def test_the_wire_table_has_each_key(key):
    assert len(re.findall(r'^\|.*\| `{}` \|'.format(re.escape(key)), README, re.MULTILINE)) == 1


def test_each_promise_of_the_readme_has_tests_with_its_number():
    promised = set(re.findall(r'^- \*\*P(\d+) ', README, re.MULTILINE))
    tests = ''.join(path.read_text() for path in TESTS.glob('*/test_*.py'))
    assert promised == set(re.findall(r'^def test_p(\d+)_', tests, re.MULTILINE))
    assert promised == {str(number) for number in range(1, 16)}


@pytest.mark.parametrize('link', re.findall(r'\]\(([^)h#][^)]*)\)', README))
def test_links_lead_to_files(link):
    assert (ROOT / link).exists()


ALL_TESTS = re.findall(r'^def test_(\w+)', ''.join(
    path.read_text() for path in TESTS.glob('*/test_*.py')), re.MULTILINE)

# How many rules each section of Juju's own source has.
SECTIONS = {'A': 15, 'B': 10, 'C': 3, 'F': 16, 'D': 19, 'E': 6}
RULES = re.findall(r'^\| ([A-F]\d+) \| .* \| .* \| (.*) \| (.*) \|$',
                   (TESTS / 'fakejuju/RULES.md').read_text(), re.MULTILINE)


def test_the_tables_of_rules_have_each_contract_test_of_the_double():
    told = re.findall('`((?:js|jsrc|sa)_[a-z0-9_]+)`', (TESTS / 'fakejuju/RULES.md').read_text())
    assert sorted(told) == sorted(each for each in ALL_TESTS
                                  if re.match('(js|jsrc|sa)_', each))


def test_the_table_of_rules_has_each_rule_of_jujus_own_source():
    assert [rule[0] for rule in RULES] == [
        section + str(number) for section, count in SECTIONS.items()
        for number in range(1, count + 1)]


@pytest.mark.parametrize('number, places, tests', [
    pytest.param(*rule, id=rule[0]) for rule in RULES])
def test_a_rule_is_named_where_it_acts_and_in_its_test(number, places, tests):
    """Or the row says why not. The rules of D and E go by their section."""
    name = number if number[0] in 'ABCF' else number[0] + r'\d*'
    for place in places.split(', '):
        assert place == '-' or re.search(r'\b{}\b'.format(name),
                                         (TESTS / 'fakejuju' / place).read_text()), place
    assert tests.strip()
    for test in re.findall('`([^`]*)`', tests):
        assert test in ALL_TESTS or (TESTS / 'fakejuju_tests' / test).is_file(), test
        assert not test.startswith('jsrc_') or test.split('_')[1] == number.lower(), test


def test_the_yaml_to_use_is_what_the_example_has():
    layer, metadata, manifest = USED
    for example in EXAMPLES:
        assert layer['includes'] == read(example, 'layer.yaml')['includes']
        assert metadata['peers'] == read(example, 'metadata.yaml')['peers']
        assert manifest == read(example, 'manifest.yaml')
    assert metadata['assumes'] == read('example-easyrsa', 'metadata.yaml')['assumes']


def read(example, name):
    return yaml.safe_load((TESTS / example / name).read_text())


@pytest.mark.parametrize('version', ['2.9.23', '3.0.0', '3.6.8', '4.1-beta2'])
@pytest.mark.parametrize('example', EXAMPLES)
def test_each_juju_takes_the_examples(example, version):
    def text(name):
        path = TESTS / example / name
        return path.read_text() if path.exists() else None

    if (example, version) == ('example', '2.9.23'):  # which has no secrets
        with pytest.raises(NotModelled, match='assumes: juju >= 3.0'):
            charm.check(text, version)
        return
    assert charm.check(text, version)[1] == ['ubuntu@22.04']
    base, = read(example, 'manifest.yaml')['bases']
    assert '{0[name]}@{0[channel]}:{0[architectures][0]}'.format(base) in \
        read(example, 'charmcraft.yaml')['platforms']


@pytest.mark.parametrize('version', ['2.9.23', '3.6.8', '4.1-beta2'])
def test_each_juju_takes_the_yaml_to_use(version):
    _, metadata, manifest = USED
    named = dict(metadata, name='a', summary='b', description='c')
    files = {'metadata.yaml': yaml.safe_dump(named), 'manifest.yaml': yaml.safe_dump(manifest)}
    assert charm.check(files.get, version)[1]


@pytest.mark.parametrize('example', EXAMPLES)
def test_charmcraft_builds_for_the_bases_of_a_reactive_charm(example):
    """`tox -e charmcraft` does so for real; its reactive plugin refuses what is after 24.04."""
    charmcraft = read(example, 'charmcraft.yaml')
    assert charmcraft['type'] == 'charm'
    assert list(charmcraft['platforms']) == ['ubuntu@22.04:amd64', 'ubuntu@24.04:amd64']
    (name, part), = charmcraft['parts'].items()
    assert part == {
        'plugin': 'reactive', 'source': '.', 'build-snaps': ['charm'],
        'reactive-charm-build-arguments': ['--binary-wheels'],
        'build-environment': [{'CHARM_INTERFACES_DIR': '$CRAFT_PROJECT_DIR/interfaces'}]}
    assert read(example, 'layer.yaml')['exclude'] == [
        '.*', 'charmcraft.yaml', 'interfaces', 'tests']


def test_actions_allow_no_parameters_on_any_juju_and_say_what_they_return():
    actions = read('example', 'actions.yaml')
    assert set(actions) == {path.name for path in (TESTS / 'example/actions').iterdir()}
    for action in actions.values():
        assert action['additionalProperties'] is False
        assert 'Returns' in action['description']


def test_the_entry_for_the_layer_index_agrees_with_interface_yaml():
    entry, = map(json.loads, re.findall('^```json\n(.*?)^```$', (TESTS / 'RELEASE.md').read_text(),
                                        re.DOTALL | re.MULTILINE))
    interface = yaml.safe_load((ROOT / 'interface.yaml').read_text())
    assert set(interface) == {'name', 'summary', 'version', 'maintainer', 'repo', 'ignore'}
    assert entry.pop('docs') == interface['repo'].replace('.git', '#readme')
    assert entry == {'id': 'tls', **{key: interface[key] for key in ('name', 'repo', 'summary')}}


def test_the_top_level_holds_what_the_mission_lists():
    names = {path.name for path in ROOT.iterdir()
             if not path.name.startswith('.') and path.name != '__pycache__'}
    assert names == {'interface.yaml', 'peers.py', 'README.md', 'copyright', 'tests', 'tox.ini'}


@pytest.fixture(scope='module')
def tox():
    """{section of tox.ini: {key: value}}"""
    ini = configparser.ConfigParser(interpolation=None)
    ini.read(str(ROOT / 'tox.ini'))
    return ini


def test_each_environment_of_the_default_run_runs_under_any_python(tox):
    """tox takes the Python that runs it unless a name or `base_python` says otherwise."""
    names = re.split(r',\s*', tox['tox']['env_list'])
    assert names == ['lint', 'tests', 'summary']
    assert not re.search('(base_?python|platform)', ''.join(tox['testenv']))
    for name in names:
        assert not re.search('[0-9]', name)
        section = tox['testenv:' + name] if 'testenv:' + name in tox else tox['testenv']
        assert not re.search('(base_?python|platform)', ' '.join(section))


def test_the_default_run_has_each_test_once_but_those_with_an_environment_of_their_own(tox):
    own = {mark for mark in re.findall('^([a-z]+): ', tox['pytest']['markers'], re.MULTILINE)
           if tox.has_section('testenv:' + mark)} - {'once'}
    assert own == {'slow', 'search', 'soak', 'openssl'}
    assert {each.strip() for each in tox['testenv']['daily'].split('and')} == {
        'not ' + mark for mark in own}
    assert '-m "not once and {[testenv]daily}"' in tox['testenv']['commands']
    parts = 'coverage', 'once', 'kit'
    assert tox['testenv:tests']['commands'].split() == [
        '{{[testenv:{}]commands}}'.format(name) for name in parts]
    commands = [tox['testenv:' + name]['commands'] for name in parts[:2]]
    assert all('-m "{[testenv]daily}"' in command for command in commands)
    ignored = re.findall('--ignore-glob "(.*?)"', commands[1])
    assert sorted(str(path) for path in TESTS.rglob('test_*.py') if any(
        fnmatch.fnmatch(str(path), pattern) for pattern in ignored)) == sorted(coverage_run.TESTS)


def test_a_test_that_becomes_slow_finds_what_it_needs(tox):
    for name in 'tests', 'slow':
        assert 'deps' not in tox['testenv:' + name]
        assert tox['testenv:' + name]['commands_pre'] == '{[charm-tools]install}'
        assert '{[charm-tools]env}' in tox['testenv:' + name]['set_env']


def test_a_run_without_a_test_of_a_promise_proves_nothing(tmp_path):
    numbers = re.findall(r'^- \*\*P(\d+) ', README, re.MULTILINE)
    names = ['tests/test_promises_x.py::test_p{}_x[1]'.format(number) for number in numbers]

    def ends(passed):
        (tmp_path / 'promises').write_text(json.dumps(passed))
        return tox_summary.summary(tmp_path)

    (tmp_path / 'tests').write_text(json.dumps(['test_x.py::test_y']))
    lines, proved = ends([])
    assert lines == [
        '1 tests passed (0 in promises, 1 in tests), each once',
        'NOT proved: no test of {} passed'.format(', '.join('P' + each for each in numbers))]
    assert not proved
    assert ends(names[1:])[0][1] == 'NOT proved: no test of P1 passed'
    lines, proved = ends([name.replace('promises', 'fuzz') for name in names])
    assert lines[1] == 'NOT proved: no test of test_promises_*.py passed' and not proved
    lines, proved = ends(names + ['test_x.py::test_y'])
    assert lines[:2] == [
        '{} tests passed ({} in promises, 1 in tests), 1 of them twice'.format(
            len(names) + 1, len(names) + 1),
        'Every promise, P1 to P{}, was covered by at least one of them'.format(numbers[-1])]
    assert proved
