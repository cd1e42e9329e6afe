"""fakejuju.testing: what a Deployment does with a charm, and which charms it refuses."""
import json
import os
import re
import subprocess
import sys
import zipfile

import pytest

from fakejuju.testing import Deployment, TaskError, Unusable
from world import TESTS

METADATA = {'name': 'app', 'summary': 'x', 'description': 'x',
            'peers': {'peers': {'interface': 'any'}}}
HOOKS = {
    'hooks/install': 'tell("frameworks", str("charms.reactive" in sys.modules)); '
                     'tell("input", repr([sys.stdin.read(), call("cat")]))',
    'hooks/start': 'call("status-set", "active", "started"); call("juju-log", "here it is")',
    'hooks/config-changed': 'call("is-leader"); tell("option", call("config-get", "word"))',
    'hooks/leader-elected':
        'call("relation-set", "-r", "peers:0", "--app", "leader=" + call("is-leader"))',
    'hooks/update-status': 'call("is-leader"); tell("updates", "x")',
    'actions/good': 'call("action-set", "got=" + call("action-get", "word"))',
    'actions/bad': 'call("action-fail", "for a reason")',
}
HOOK = '''#!/usr/bin/env python3
import subprocess
import sys


def call(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, universal_newlines=True).stdout.strip()


def tell(name, text):
    with open(name, 'a') as file:
        file.write(text)


'''
# It writes into the unit's own bag, something else each time.
WRITE = """import os
tell("{}", "x")
call("relation-set", "-r", "peers:0", "at=%d" % os.getpid())
"""


def charm_of(directory, metadata=METADATA, **files):
    """A charm without a framework, of the hooks above and these files."""
    files = {**{name: HOOK + text for name, text in HOOKS.items()},
             'config.yaml': '{options: {word: {type: string, default: a}, loud: {type: boolean}}}',
             'actions.yaml': '{bad: {}, good: {params: {word: {type: string, default: b}}}}',
             'metadata.yaml': json.dumps(metadata), **files}
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    return directory


@pytest.fixture(scope='module')
def charm(tmp_path_factory):
    return charm_of(tmp_path_factory.mktemp('charm') / 'app')


@pytest.fixture
def juju(tmp_path):
    with Deployment(tmp_path / 'units') as deployment:
        yield deployment


def told(juju, unit, name):
    path = juju.charm_directory(unit) / name
    return path.read_text() if path.exists() else ''


def test_units_come_to_rest_and_the_first_leads(juju, charm):
    assert juju.deploy(charm, num_units=2) == ['app/0', 'app/1']
    assert juju.leader == 'app/0' and juju.status('app/0') == ('waiting', 'installing agent')
    hooks = [run.hook.name for run in juju.settle() if run.unit == 'app/0']
    assert hooks[:5] == ['install', 'peers-relation-created', 'leader-elected', 'config-changed',
                         'start']
    assert juju.status('app/1').current == 'active' and juju.app_bag() == {'leader': 'True'}
    assert juju.bag('app/1')['ingress-address'] == '127.0.1.2'
    assert juju.flags('app/0') == set() and juju.unitdata('app/0') == {}
    assert juju.add_unit() == ['app/2'] and juju.settle() != [] and juju.settle() == []


def test_a_charm_file_is_deployed_under_another_name(juju, charm, tmp_path):
    with zipfile.ZipFile(str(tmp_path / 'app.charm'), 'w') as archive:
        for path in charm.rglob('*'):
            archive.write(str(path), str(path.relative_to(charm)))
    assert juju.deploy(tmp_path / 'app.charm', 'other', config={'word': 'z'}) == ['other/0']
    juju.settle()
    assert told(juju, 'other/0', 'option') == 'z'


@pytest.mark.parametrize('processes', [False, True])
def test_hooks_are_forked_unless_processes_are_asked_for(tmp_path, charm, processes):
    with Deployment(processes=processes) as juju:
        juju.deploy(charm)
        juju.settle()
        assert told(juju, 'app/0', 'frameworks') == str(not processes)
        assert told(juju, 'app/0', 'input') == "['', '']"
        assert juju.run('app/0', 'good').results == {'got': 'b'}


def test_hooks_that_are_not_python_run_as_processes(juju, tmp_path):
    juju.deploy(charm_of(tmp_path / 'app', **{
        'hooks/start': '#!/bin/sh\nstatus-set active "by $0, $JUJU_HOOK_NAME"\n'}))
    juju.settle()
    assert juju.status('app/0').message.endswith('/charm/hooks/start, start')


def test_what_hooks_import_is_ready_for_the_next_but_for_what_the_charm_brings(juju, tmp_path):
    juju.deploy(charm_of(tmp_path / 'app', **{
        'hooks/mine.py': '', 'hooks/install': HOOK + 'import colorsys, mine',
        'hooks/start': HOOK + 'tell("ready", str([name in sys.modules for name in ("colorsys", '
                              '"mine")]))'}))
    juju.settle()
    assert told(juju, 'app/0', 'ready') == '[True, False]'


def test_an_action_that_works_and_some_that_do_not(juju, charm):
    juju.deploy(charm)
    task = juju.run('app/0', 'good', {'word': 'c'})
    assert task.success and task.results == {'got': 'c'} and task.return_code == 0
    assert juju.status('app/0').message == 'started'
    with pytest.raises(TaskError, match='for a reason') as error:
        juju.run('app/0', 'bad')
    assert error.value.task.status == 'failed'
    with pytest.raises(TaskError, match='word : must be of type string'):
        juju.run('app/0', 'good', {'word': 1})
    with pytest.raises(ValueError, match='no action better in actions.yaml'):
        juju.run('app/0', 'better')


def test_a_command_in_the_shell_of_a_unit(juju, charm):
    juju.deploy(charm)
    task = juju.exec('is-leader && echo "$1"', unit='app/0')
    assert task.stdout == 'True\n\n'
    assert juju.exec('echo', 'a  b', unit='app/0').stdout == 'a  b\n'
    with pytest.raises(TaskError) as error:
        juju.exec('echo no >&2; exit 3', unit='app/0')
    assert (error.value.task.return_code, error.value.task.stderr) == (3, 'no\n')


def test_options_are_set_and_reset(juju, charm):
    juju.deploy(charm)
    juju.settle()
    assert juju.config({'word': 'b', 'loud': True}) == {'word': 'b', 'loud': True}
    juju.settle()
    assert told(juju, 'app/0', 'option') == 'ab'
    assert juju.config(reset='word') == {'word': 'a', 'loud': True}
    assert [run.hook.name for run in juju.settle()] == ['config-changed']
    juju.config({'word': 'a'})
    assert juju.settle() == []
    for wrong, message in (({'words': 'b'}, 'no option words in config.yaml, which has loud, word'),
                           ({'word': 1}, 'option word is of type string, not 1'),
                           ({'loud': 'x'}, "option loud is of type boolean, not 'x'")):
        with pytest.raises(ValueError, match=message):
            juju.config(wrong)
    with pytest.raises(ValueError, match='no option words'):
        juju.config(reset=['words'])


def test_the_leader_is_removed_and_another_one_leads(juju, charm):
    juju.deploy(charm, num_units=2)
    juju.settle()
    juju.remove_unit('app/0')
    juju.settle()
    assert (juju.units(), juju.leader) == (['app/1'], 'app/1')


def test_what_else_an_operator_and_a_bad_peer_do(juju, charm):
    juju.deploy(charm, num_units=2)
    juju.settle()
    juju.elect('app/1')
    juju.change_address('app/0', '10.0.0.9')
    juju.write('app/0', word='bad')
    juju.settle()
    assert juju.leader == 'app/1' and juju.bag('app/0')['word'] == 'bad'
    assert juju.bag('app/0')['ingress-address'] == '10.0.0.9'
    juju.write_app(leader='')
    assert juju.app_bag() == {}
    juju.settle()


def test_each_unit_runs_update_status_though_another_unit_writes_in_its_own(juju, tmp_path):
    juju.deploy(charm_of(tmp_path / 'app', **{'hooks/update-status': HOOK + WRITE.format(
        'updates')}), num_units=3)
    juju.settle()
    runs = juju.update_status()
    assert [(run.unit, run.hook.name) for run in runs] == [
        ('app/0', 'update-status'), ('app/1', 'peers-relation-changed'),
        ('app/1', 'update-status'), ('app/2', 'peers-relation-changed'),
        ('app/2', 'peers-relation-changed'), ('app/2', 'update-status')]
    juju.fault('update-status', exit=1)
    assert [run.committed for run in juju.update_status('app/2')] == [False, True]
    juju.remove_unit('app/0')
    assert {run.unit for run in juju.update_status()} == {'app/1', 'app/2'}
    with pytest.raises(ValueError, match='app/0 is leaving, and runs no update-status'):
        juju.update_status('app/0')


def test_units_that_do_not_come_to_rest_end_with_the_hooks_that_keep_coming(juju, tmp_path):
    juju.deploy(charm_of(tmp_path / 'app', **{
        'hooks/peers-relation-changed': HOOK + WRITE.format('changes')}), num_units=2)
    with pytest.raises(AssertionError) as error:
        juju.settle(limit=30)
    first, *last = str(error.value).splitlines()
    assert re.match('the units do not come to rest: app/[01] has run 30 hooks, and more are due',
                    first) and 'settle(limit=NUMBER)' in first
    assert len(last) == 10 and {re.sub(' [0-9]+ of', ' N of', line) for line in last} == {
        '    peers-relation-changed of {0} ({1}): exit code 0, committed, wrote at of {0}'.format(
            *pair) for pair in (('app/0', 'app/1'), ('app/1', 'app/0'))}


def test_hook_by_hook_what_is_due_and_what_ran(juju, charm):
    unit, = juju.deploy(charm)
    ran = []
    while juju.due(unit):
        ran.append((juju.due(unit).name, juju.run_hook(unit)))
    assert ran and all(name == run.hook.name for name, run in ran)
    assert [run for _, run in ran] == juju.hooks and juju.due(unit) is None
    with pytest.raises(ValueError, match='no hook is due on app/0'):
        juju.run_hook(unit)
    assert repr(ran[2][1]) == \
        '<Run: leader-elected of app/0: exit code 0, committed, wrote leader of app>'


def test_units_go_to_another_build_of_the_charm(juju, charm, tmp_path):
    juju.deploy(charm)
    juju.settle()
    juju.refresh(charm_of(tmp_path / 'new', **{'hooks/upgrade-charm': HOOK + 'tell("new", "x")'}))
    juju.settle()
    assert told(juju, 'app/0', 'new') == 'x'


def test_the_log_by_level(juju, charm):
    juju.deploy(charm)
    juju.fault('config-changed', exit=2)
    juju.settle()
    assert 'INFO unit.app/0.juju-log here it is' in juju.debug_log()
    assert juju.debug_log("WARNING").endswith(
        "unit.app/0.config-changed hook failed: exit code 2\n")


@pytest.mark.parametrize('fault', [
    {'kill': 1}, {'fail': 1}, {'interrupted': 1}, {'regained': 1}, {'exit': 3},
    {'uncommitted': True}, {'deposed': True}, {'again': True}, {'skipped': True}])
def test_a_fault_meets_one_hook_by_its_name(juju, charm, fault):
    juju.deploy(charm, num_units=2)
    juju.fault('config-changed', 'app/1', **fault)
    juju.settle()
    runs = [run for run in juju.hooks if run.hook.name == 'config-changed']
    assert [run.unit for run in runs].count('app/0') == 1
    mine = [run for run in runs if run.unit == 'app/1']
    assert len(mine) == 1 + any(fault.get(kind) for kind in (
        'kill', 'interrupted', 'exit', 'uncommitted', 'again'))
    assert mine[0].committed is not any(fault.get(kind) for kind in (
        'kill', 'interrupted', 'exit', 'uncommitted'))
    assert juju.unmet() == '' and told(juju, 'app/1', 'option').strip('a') == ''


def test_a_fault_of_an_action_and_of_any_unit(juju, charm):
    juju.deploy(charm, num_units=2)
    juju.settle()
    juju.fault('good', uncommitted=True)
    with pytest.raises(TaskError, match='committing requested changes failed'):
        juju.run('app/1', 'good')
    assert juju.run('app/1', 'good').success


def test_a_fault_that_no_hook_met_with_is_told(charm):
    with pytest.raises(AssertionError) as error, Deployment() as juju:
        assert juju.unmet() == ''
        juju.deploy(charm)
        juju.fault('update-status', 'app/0', fail=2)
        juju.fault('config-changed', kill=3)
        juju.settle()
    assert str(error.value) == (
        'fault not met: kill=3 at config-changed of any unit, which ran on app/0 with 2 calls of '
        'hook tools; fault not met: fail=2 at update-status of app/0: no such hook ran')
    with pytest.raises(ZeroDivisionError), Deployment() as juju:
        juju.deploy(charm)
        juju.fault('update-status', exit=1)
        1 / 0


@pytest.mark.parametrize('hook, what, message', [
    ('start', {}, 'no fault {}: there are kill=NUMBER, fail=NUMBER'),
    ('start', {'kill': 1, 'fail': 1}, 'no fault '), ('start', {'kill': 0}, 'no fault '),
    ('start', {'kill': True}, 'no fault '), ('start', {'again': 1}, 'no fault '),
    ('start', {'again': False}, 'no fault '), ('start', {'burn': 1}, 'no fault '),
    ('begin', {'kill': 1}, 'the charm has neither a hook nor an action begin')])
def test_a_fault_that_is_none_is_refused(juju, charm, hook, what, message):
    juju.deploy(charm)
    with pytest.raises(ValueError, match=message):
        juju.fault(hook, **what)
    with pytest.raises(KeyError, match='unit "app/9" not found'):
        juju.fault('start', 'app/9', exit=1)


def test_a_hook_that_fails_on_and_on_ends_with_what_it_wrote(juju, tmp_path):
    charm = charm_of(tmp_path / 'app', **{'hooks/start': HOOK + 'sys.exit("too bad")'})
    juju.deploy(charm)
    with pytest.raises(AssertionError, match='start of app/0: exit code 1(?s:.*)too bad'):
        juju.settle()
    assert juju.status('app/0') == ('error', 'hook failed: "start"')
    with pytest.raises(AssertionError, match='too bad'):
        juju.run('app/0', 'good')


def test_nothing_is_deployed_or_too_much(juju, charm):
    with pytest.raises(RuntimeError, match='nothing is deployed: call deploy first'):
        juju.settle()
    juju.deploy(charm)
    with pytest.raises(RuntimeError, match='app is deployed, and a model has one application'):
        juju.deploy(charm)


@pytest.mark.parametrize('version', ['2.9.49', '4.1-beta2'])
def test_another_juju(juju, tmp_path, version):
    juju.deploy(charm_of(tmp_path / 'app', **{
        'manifest.yaml': '{bases: [{name: ubuntu, channel: "22.04"}]}',
        'hooks/install': HOOK + 'import os; tell("version", os.environ["JUJU_VERSION"])'}),
        version=version)
    juju.settle()
    assert told(juju, 'app/0', 'version') == version


@pytest.mark.parametrize('files, message', [
    (None, r'no charm at \S*app: there is no such file or directory'),
    ({'metadata.yaml': None}, r'no charm at \S*app: archive file "metadata.yaml" not found'),
    ({'metadata.yaml': '{name: app, summary: x, description: x}'},
     r'no charm for fakejuju at \S*app: it does not model a charm without a peer relation'),
    ({'metadata.yaml': '{name: app}'},
     r'no charm at \S*app: metadata: summary: expected string, got nothing'),
    ({'hooks': None}, r'the charm at \S*app is not built: it has neither hooks nor dispatch. '
     r'Run charm-build \(or charmcraft pack\), and name the charm that it makes'),
    ({'wheelhouse/a-1.0-cp27-cp27m-manylinux1_x86_64.whl': ''},
     r'the charm at \S*app is built for another Python than this, 3.\d+: '
     r'a-1.0-cp27-cp27m-manylinux1_x86_64.whl is in its wheelhouse'),
    ({'lib/charms/layer/basic.py': 'import os'},
     r'the charm at \S*app is built on the real layer:basic, whose hooks install packages on this '
     r'machine: build it on the one that `fakejuju layers` names')])
def test_a_charm_that_cannot_run_here_is_refused_in_a_sentence(juju, tmp_path, files, message):
    directory = tmp_path / 'app'
    if files is not None:
        charm_of(directory, **{name: text for name, text in files.items() if text is not None})
        for name in [name for name, text in files.items() if text is None]:
            (directory / name).rename(tmp_path / 'away')
    with pytest.raises(Unusable) as error:
        juju.deploy(directory)
    assert re.fullmatch(message, str(error.value))


def test_the_python_of_the_tests_may_have_blanks_in_its_path(charm, tmp_path):
    python = tmp_path / 'my python' / 'bin'
    python.mkdir(parents=True)
    (python / 'python').symlink_to(sys.executable)
    printed = subprocess.check_output(
        [str(python / 'python'), '-c', 'import sys\nfrom fakejuju.testing import Deployment\n'
         'with Deployment(processes=True) as juju:\n    juju.deploy(sys.argv[1])\n'
         '    juju.settle()\n    print(juju.status("app/0"))', str(charm)],
        env=dict(os.environ, PYTHONPATH=os.pathsep.join([str(TESTS), *sys.path])))
    assert b"current='active'" in printed
