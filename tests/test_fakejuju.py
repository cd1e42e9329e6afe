"""Each rule of Juju that fakejuju follows, with its source, on both ways to run a hook.

The number in a name is the topic in the table of README.md, which has the sources; SA: secrets and
actions. The charm knows nothing but how to call hook tools.
"""
import json
import re
import shutil
from pathlib import Path

import pytest

from fakejuju import Juju, NotModelled

# What fakejuju does does not depend on the Python.
pytestmark = pytest.mark.once

PROBE = '''#!/usr/bin/env python3
# Calls the hook tools that the test wrote down for this unit, and keeps environment and answers.
import json, os, subprocess
name = os.environ['JUJU_UNIT_NAME'].replace('/', '-')
commands = []
if os.path.exists(name + '.ask'):
    with open(name + '.ask') as file:
        commands = json.load(file)
    os.remove(name + '.ask')
answers = []
for argv in commands:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    answers.append([done.returncode, done.stdout, done.stderr])
with open(name + '.answer', 'w') as file:
    json.dump({'env': dict(os.environ), 'answers': answers}, file)
'''
EVENTS = ('created', 'joined', 'changed', 'departed', 'broken')


@pytest.fixture(scope='module')
def probe(tmp_path_factory):
    charm = tmp_path_factory.mktemp('probe') / 'charm'
    (charm / 'actions').mkdir(parents=True)
    (charm / 'hooks').mkdir()
    (charm / 'metadata.yaml').write_text('{name: app, peers: {peers: {interface: any}}}')
    for name in ('install', 'config-changed', 'start', 'stop', 'remove', 'update-status',
                 'upgrade-charm', 'leader-elected', 'leader-settings-changed',
                 *('peers-relation-' + event for event in EVENTS)):
        (charm / 'hooks' / name).write_text(PROBE)
        (charm / 'hooks' / name).chmod(0o755)
    shutil.copy(str(charm / 'hooks/install'), str(charm / 'actions/act'))
    return charm


class Probed(Juju):
    """fakejuju with the words of these tests."""

    def start(self, units):
        names = [self.add_unit() for _ in range(units)]
        if names:
            self.elect(names[0])
        self.settle()

    def ask(self, unit, *commands, hook=False, **fault):
        """Run hook tools in an action (or in the next hook): [code, stdout, stderr] of each."""
        self.file(unit, '.ask').write_text(json.dumps([command.split() for command in commands]))
        if not hook:
            self.action(unit, 'act')
        self.last = self.run(unit, **fault)
        return self.seen(unit)['answers'] if self.last.exit_code == 0 else None

    def seen(self, unit):
        return json.loads(self.file(unit, '.answer').read_text())

    def file(self, unit, suffix):
        return Path(self.charm_directory(unit), unit.replace('/', '-') + suffix)

    def one(self, unit, *command, **how):
        """The answer of one hook tool, json read."""
        (code, stdout, stderr), = self.ask(unit, ' '.join(command) + ' --format json', **how)
        assert (code, stderr) == (0, ''), stderr
        return json.loads(stdout)

    def told(self, unit, since=0):
        """The hooks that the unit ran, as 'changed app/1' (relation's) or 'install'."""
        return [short(run.hook) for run in self.runs[since:] if run.unit == unit]


def short(hook):
    return ' '.join(filter(None, [hook.kind if hook.relation else hook.name, hook.remote_unit]))


@pytest.fixture(scope='module')
def at_rest(probe, tmp_path_factory):
    """at_rest(units, knobs): a model of them, made once, to copy from."""
    models = {}

    def model(units, knobs):
        key = units, tuple(sorted(knobs.items()))
        if key not in models:
            models[key] = Probed(probe, tmp_path_factory.mktemp('rest') / 'model', **knobs)
            models[key].start(units)
        return models[key]

    yield model
    for each in models.values():
        each.close()


@pytest.fixture(params=['forked', 'real'])
def juju(request, at_rest, tmp_path):
    """juju(units, **knobs): a model of the probe, at rest; each call gives a new one."""
    models = []

    def deploy(units=0, **knobs):
        model = at_rest(units, dict(knobs, real=request.param == 'real'))
        models.append(model.copy(tmp_path / str(len(models))))
        return models[-1]

    yield deploy
    for model in models:
        model.close()


# JS 1: the hooks of a new unit.

def test_js_1_2_hooks_of_a_new_unit(juju):
    it = juju(2)
    assert it.told('app/0') == ['install', 'created', 'leader-elected', 'config-changed', 'start',
                                'joined app/1', 'changed app/1']
    assert it.told('app/1') == ['install', 'created', 'leader-settings-changed', 'config-changed',
                                'start', 'joined app/0', 'changed app/0']


def test_js_1_5_juju_4_has_no_leader_settings(juju):
    it = juju(2, version='4.0.1')
    assert 'leader-settings-changed' not in it.told('app/1')
    assert it.ask('app/1', 'leader-get') is None
    assert 'FileNotFoundError' in it.last.stderr


def test_js_1_3_peers_see_a_newcomer_before_it_has_acted(juju):
    it = juju(1)
    it.add_unit()
    it.run('app/1')
    assert it.runs[-1].hook.name == 'install'
    it.settle(['app/0'])
    assert it.told('app/0')[-2:] == ['joined app/1', 'changed app/1']
    assert it.told('app/1') == ['install']


def test_js_1_3_a_unit_may_lead_before_leader_elected(juju):
    it = juju()
    it.elect(it.add_unit())
    assert it.one('app/0', 'is-leader', hook=True) is True
    assert it.told('app/0') == ['install']


def test_js_1_3_in_install_there_is_no_relation(juju):
    it = juju()
    it.add_unit()
    ids, get = it.ask('app/0', 'relation-ids peers', 'relation-get -r peers:0 - app/0', hook=True)
    assert it.last.hook.name == 'install'
    assert ids == [0, '', '']
    assert get == [1, '', 'ERROR permission denied\n']


def test_js_1_3_after_a_restart_a_relation_in_scope_counts_as_created(juju):
    it = juju()
    it.add_unit()
    it.run('app/0')
    it.restart_agent('app/0')
    it.settle()
    assert 'created' not in it.told('app/0')


def test_js_1_4_a_lone_unit_gets_created_and_its_own_application_changed(juju):
    it = juju(1)
    before = len(it.runs)
    it.ask('app/0', 'relation-set -r peers:0 --app k=v')
    it.settle()
    assert it.told('app/0', before) == ['act', 'changed']
    assert it.one('app/0', 'relation-list -r peers:0') == []


# JS 2: the next hook of a relation.

def test_js_2_joined_is_followed_by_changed_of_the_same_unit(juju):
    it = juju(2)
    it.add_unit()
    it.settle(['app/2'])
    assert short(it.next_hook('app/0')) == 'joined app/2'
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    it.run('app/0')
    it.action('app/0', 'act')          # an earlier resolver may come between
    it.settle(['app/0'])
    assert it.told('app/0')[-4:] == ['joined app/2', 'act', 'changed app/2', 'changed app/1']


def test_js_2_many_writes_are_one_changed(juju):
    it = juju(2)
    for value in '123':
        it.ask('app/1', 'relation-set -r peers:0 k=' + value)
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before) == ['changed app/1']


def test_js_2_the_order_is_departed_application_joined_changed(juju):
    it = juju(3)
    it.remove_unit('app/1')
    it.add_unit()
    it.run('app/3')
    it.ask('app/2', 'relation-set -r peers:0 k=v')
    it.ask('app/0', 'relation-set -r peers:0 --app k=v')
    before = len(it.runs)
    it.settle(['app/0'])
    assert it.told('app/0', before) == ['departed app/1', 'changed', 'joined app/3',
                                        'changed app/3', 'changed app/2']


def test_js_2_names_are_sorted_as_text(juju):
    it = juju()
    it.elect(it.add_unit())
    for _ in range(10):
        it.run(it.add_unit())
    it.settle(['app/0'])
    joined = [name for name in it.told('app/0') if name.startswith('joined')]
    assert joined[:3] == ['joined app/1', 'joined app/10', 'joined app/2']


def test_js_2_a_unit_removed_before_it_was_joined_gives_no_hook(juju):
    it = juju(1)
    it.run(it.add_unit())
    it.remove_unit('app/1')
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before) == []


def test_js_2_a_unit_removed_between_joined_and_changed(juju):
    it = juju(1)
    it.run(it.add_unit())
    it.run('app/0')
    it.remove_unit('app/1')
    it.settle()
    assert it.told('app/0')[-3:] == ['joined app/1', 'changed app/1', 'departed app/1']


def test_js_2_what_a_hook_reads_may_be_newer_than_what_it_tells_of(juju):
    it = juju(2)
    it.ask('app/1', 'relation-set -r peers:0 k=1')
    read = it.ask('app/0', 'relation-get k app/1', hook=True, on_call={
        1: lambda: it.relation().units['app/1'].merge({'k': '2'}, False)})
    assert read == [[0, '2\n', '']]
    assert it.one('app/0', 'relation-get k', hook=True) == '2'
    assert it.told('app/0')[-2:] == ['changed app/1', 'changed app/1']
    assert it.next_hook('app/0') is None


def test_js_2_a_dying_unit_runs_a_pending_changed_and_departed_only(juju):
    it = juju(2)
    it.add_unit()
    it.settle(['app/2'])
    it.run('app/0')
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    it.remove_unit('app/0')
    it.settle(['app/0'])
    assert it.told('app/0')[-6:] == ['joined app/2', 'changed app/2', 'departed app/1',
                                     'departed app/2', 'stop', 'remove']


# JS 3: the environment.

@pytest.mark.parametrize('hook, remote, departing', [
    ('created', '', None), ('joined', 'app/1', None), ('changed', 'app/1', None)])
def test_js_3_environment_of_relation_hooks(juju, hook, remote, departing):
    it = juju()
    it.elect(it.add_unit())
    it.run(it.add_unit())
    while not it.told('app/0') or it.told('app/0')[-1].split()[0] != hook:
        it.run('app/0')
    env = it.seen('app/0')['env']
    assert env['JUJU_HOOK_NAME'] == 'peers-relation-' + hook
    assert env['JUJU_DISPATCH_PATH'] == 'hooks/peers-relation-' + hook
    assert (env['JUJU_RELATION'], env['JUJU_RELATION_ID']) == ('peers', 'peers:0')
    assert (env['JUJU_REMOTE_UNIT'], env['JUJU_REMOTE_APP']) == (remote, 'app')
    assert env.get('JUJU_DEPARTING_UNIT') == departing


def test_js_3_environment_where_the_application_bag_changed(juju):
    it = juju(1)
    it.ask('app/0', 'relation-set -r peers:0 --app k=v')
    it.run('app/0')
    env = it.seen('app/0')['env']
    assert env['JUJU_HOOK_NAME'] == 'peers-relation-changed'
    assert (env['JUJU_REMOTE_UNIT'], env['JUJU_REMOTE_APP']) == ('', 'app')
    assert 'JUJU_DEPARTING_UNIT' not in env
    assert env['JUJU_CHARM_HTTP_PROXY'] == env['JUJU_CHARM_NO_PROXY'] == ''


def test_js_3_environment_of_other_hooks_is_built_not_inherited(juju):
    it = juju(1)
    it.update_status('app/0')
    it.run('app/0')
    env = it.seen('app/0')['env']
    assert not {'HOME', 'USER', 'JUJU_RELATION_ID', 'JUJU_REMOTE_UNIT'} & set(env)
    assert re.match('app/0-update-status-[0-9a-f]{32}$', env['JUJU_CONTEXT_ID'])
    assert env['CHARM_DIR'] == env['JUJU_CHARM_DIR'] == it.charm_directory('app/0')


def test_js_3_a_hook_that_the_charm_does_not_have_counts_as_done(juju, probe, tmp_path):
    charm = tmp_path / 'charm'
    shutil.copytree(str(probe), str(charm))
    (charm / 'hooks/install').unlink()
    it = juju()
    it.charm = charm
    it.add_unit()
    run = it.run('app/0')
    assert (run.hook.name, run.committed, run.calls) == ('install', True, [])
    assert short(it.next_hook('app/0')) == 'created'


# JS 4: hook tools.

@pytest.mark.parametrize('command, code, text', [
    ('relation-get -r one - app/0', 2, 'invalid value "one" for option -r: invalid relation id'),
    ('relation-get -r peers:99 - app/0', 2,
     'invalid value "peers:99" for option -r: relation not found'),
    ('relation-get - app/0', 2, 'no relation id specified'),
    ('relation-get -r peers:0', 2, 'no unit or application specified'),
    ('relation-get -r peers:0 - app', 2, 'expected unit name, got application name "app"'),
    ('relation-get -r peers:0 - ???', 2, 'invalid unit name "???"'),
    ('relation-get -r peers:0 - other/0', 1, 'permission denied'),
    ('relation-get --nonsense', 2, 'option provided but not defined: --nonsense'),
    ('relation-set -r peers:0 word', 2, 'expected "key=value", got "word"'),
    ('relation-set -r peers:0 =word', 2, 'expected "key=value", got "=word"'),
    ('relation-set -r peers:0 k=1 k=2', 2, 'key "k" specified more than once'),
    ('relation-set k=1', 2, 'no relation id specified'),
    ('relation-list -r peers:0 more', 2, 'unrecognized args: ["more"]'),
    ('relation-ids', 2, 'no endpoint name specified'),
    ('unit-get nonsense', 2, 'unknown setting "nonsense"'),
    ('juju-log', 2, 'no message specified'),
    ('secret-get', 1, 'require either a secret URI or label'),
    ('secret-get --label L', 1, 'consumer label "L" not found'),
    ('secret-get --label L --peek --refresh', 2,
     'specify one of --peek or --refresh but not both'),
])
def test_js_4_refusals(juju, command, code, text):
    it = juju(1)
    assert it.ask('app/0', command) == [[code, '', 'ERROR {}\n'.format(text)]]


@pytest.mark.parametrize('document, code', [
    ('{a: "1", b: 2.50, c: null, d: yes}', 0), ('', 0), ('[a]', 1), ('{a: {b: c}}', 1)])
def test_js_4_3_relation_set_from_a_file(juju, tmp_path, document, code):
    it = juju(1)
    (tmp_path / 'file').write_text(document)
    it.ask('app/0', 'relation-set -r peers:0 c=old e=kept')
    (got, _, error), = it.ask('app/0', 'relation-set -r peers:0 --file {}/file'.format(tmp_path))
    assert got == code and ('unmarshal errors' in error) == bool(code)
    bag = {key: value for key, value in it.bag('app/0').items() if '-' not in key}
    assert bag == ({'a': '1', 'b': '2.50', 'd': 'yes', 'e': 'kept'} if document.startswith('{a: "')
                   else {'c': 'old', 'e': 'kept'})


def test_js_4_3_relation_set_from_arguments(juju, tmp_path):
    it = juju(1, network_keys=False)
    (tmp_path / 'file').write_text('{a: file, b: file}')
    it.ask('app/0', 'relation-set -r peers:0 gone=old',
           'relation-set -r peers:0 a=x=y gone= --file {}/file'.format(tmp_path),
           'relation-set -r peers:0')
    assert it.bag('app/0') == {'a': 'x=y', 'b': 'file'}


def test_js_4_2_what_relation_get_prints(juju):
    it = juju(1, network_keys=False)
    get = 'relation-get -r peers:0 '
    empty, _, key, missing, smart, smart_missing = it.ask(
        'app/0', get + '- app/0 --format=json', 'relation-set -r peers:0 k=v',
        '{} k app/0 --format json'.format(get), get + '--format=json none app/0',
        get + 'k app/0', get + 'none app/0')
    assert [answer[1] for answer in (empty, key, missing, smart, smart_missing)] == [
        '{}\n', '"v"\n', 'null\n', 'v\n', '']


def test_js_4_2_without_a_target_it_reads_the_remote_unit_else_the_application(juju):
    it = juju(2)
    it.ask('app/0', 'relation-set -r peers:0 --app who=application')
    it.ask('app/0', 'relation-set -r peers:0 who=leader')
    assert it.one('app/1', 'relation-get', 'who', hook=True) == 'application'
    assert it.one('app/1', 'relation-get', 'who', hook=True) == 'leader'
    assert short(it.last.hook) == 'changed app/0'


def test_js_4_4_the_joining_unit_is_listed_the_departing_one_is_not(juju):
    it = juju(2)
    it.settle()
    it.run(it.add_unit())
    assert it.one('app/0', 'relation-list', hook=True) == ['app/1', 'app/2']
    assert short(it.last.hook) == 'joined app/2'
    it.run('app/0')
    it.remove_unit('app/1')
    assert it.one('app/0', 'relation-list', hook=True) == ['app/2']
    assert short(it.last.hook) == 'departed app/1'


def test_js_4_5_relation_ids(juju):
    it = juju(1)
    assert it.one('app/0', 'relation-ids peers') == ['peers:0']
    assert it.one('app/0', 'relation-ids nothing') == []
    it.add_relation_id('peers')
    assert it.one('app/0', 'relation-ids', hook=True) == ['peers:0', 'peers:1']
    assert it.last.hook.name == 'peers-relation-created'


def test_js_4_6_is_leader_may_turn_false_in_a_hook_and_not_back(juju):
    it = juju(2)
    answers = it.ask('app/0', *['is-leader'] * 3, on_call={
        2: it.depose, 3: lambda: it.elect('app/0')})
    assert [answer[:2] for answer in answers] == [[0, 'True\n'], [0, 'False\n'], [0, 'False\n']]


def test_js_4_6_leader_set_is_at_once_and_not_rolled_back(juju):
    it = juju(2)
    assert it.ask('app/1', 'leader-set k=v') == [[
        1, '', 'ERROR cannot write leadership settings: cannot write settings: not the leader\n']]
    it.ask('app/0', 'leader-set k=v', exit=1)
    value, missing = it.ask('app/1', 'leader-get k --format=json',
                            'leader-get none --format=json', hook=True)
    assert it.last.hook.name == 'leader-settings-changed'
    assert (value[1], missing[1]) == ('"v"\n', 'null\n')


def test_js_4_6_what_a_unit_is_told_of_itself(juju):
    it = juju(1)
    address = it.bag('app/0')['ingress-address']
    assert it.one('app/0', 'unit-get private-address') == address
    assert it.one('app/0', 'network-get peers --ingress-address') == address
    assert it.one('app/0', 'network-get peers')['ingress-addresses'] == [address]
    assert it.one('app/0', 'config-get none') is None
    it.ask('app/0', 'juju-log -l warning some words', 'juju-log --debug word')
    assert it.last.log == [('WARNING', 'some words'), ('DEBUG', 'word')]


@pytest.mark.parametrize('version, keys', [
    ('3.6.8', {'private-address', 'ingress-address', 'egress-subnets'}),
    ('4.0.1', {'ingress-address', 'egress-subnets'})])
def test_js_4_7_what_a_bag_holds_initially(juju, version, keys):
    it = juju(1, version=version)
    assert set(it.bag('app/0')) == keys
    it.ask('app/0', 'relation-set -r peers:0 ingress-address=mine')
    assert (it.bag('app/0')['ingress-address'] == 'mine') == (version < '4')


@pytest.mark.parametrize('command', ['goal-state', 'is-leader --help', 'is-leader -o file',
                                     'juju-log -l loud word', 'status-set --application active'])
def test_js_4_1_what_is_not_modelled_raises(juju, command):
    it = juju(1)
    with pytest.raises(NotModelled):
        it.ask('app/0', command)
    assert it.one('app/0', 'is-leader') is True  # and the model is as it was


# JS 5: who may read and write what.

def test_js_5_everybody_reads_the_application_bag_and_only_the_leader_writes_it(juju):
    it = juju(2)
    it.ask('app/0', 'relation-set -r peers:0 --app k=v')
    assert it.one('app/1', 'relation-get -r peers:0 --app k app') == 'v'
    assert it.ask('app/1', 'relation-set -r peers:0 --app k=w') == [[
        1, '', 'ERROR cannot write relation settings\n']]
    assert it.app_bag() == {'k': 'v'}


def test_js_5_leadership_is_checked_again_at_the_commit(juju):
    it = juju(2)
    it.update_status('app/0')
    it.ask('app/0', 'relation-set -r peers:0 --app k=v', 'relation-set -r peers:0 k=v', hook=True,
           depose_before_commit=True)
    assert it.last.exit_code == 0 and not it.last.committed
    assert it.app_bag() == {} and 'k' not in it.bag('app/0')
    assert it.next_hook('app/0').name == 'update-status'
    assert it.one('app/0', 'is-leader', hook=True) is False


def test_js_5_a_unit_needs_no_leadership_for_its_own_bag(juju):
    it = juju(2)
    it.ask('app/0', 'relation-set -r peers:0 k=v', depose_before_commit=True)
    assert it.last.committed and it.bag('app/0')['k'] == 'v'


# JS 6: visibility and failure.

def test_js_6_own_writes_are_visible_here_and_elsewhere_after_the_commit(juju):
    it = juju(2)
    seen = []
    answers = it.ask('app/0', 'relation-set -r peers:0 k=v', 'relation-set -r peers:0 --app k=v',
                     'relation-get -r peers:0 k app/0', 'relation-get -r peers:0 --app k app',
                     on_call={4: lambda: seen.append((it.bag('app/0').get('k'), it.app_bag()))})
    assert [answer[1] for answer in answers] == ['', '', 'v\n', 'v\n']
    assert seen == [(None, {})]
    assert it.bag('app/0')['k'] == it.app_bag()['k'] == 'v'


@pytest.mark.parametrize('fault', [{'exit': 1}, {'fail_commit': True}, {'kill_at': 2}])
def test_js_6_a_failed_hook_writes_nothing_and_is_all_that_runs_until_it_succeeds(juju, fault):
    it = juju(2)
    it.update_status('app/0')
    it.ask('app/0', 'relation-set -r peers:0 k=v', 'is-leader', 'status-set active kept',
           hook=True, **fault)
    assert 'k' not in it.bag('app/0')
    assert (it.status('app/0') == ('active', 'kept')) == ('kill_at' not in fault)  # not buffered
    it.config_changed('app/0')
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    first = it.last.env['JUJU_CONTEXT_ID'], it.runs[-2].env['JUJU_CONTEXT_ID']
    assert it.next_hook('app/0').name == 'update-status'
    run = it.run('app/0')
    assert run.committed and run.env['JUJU_CONTEXT_ID'] not in first
    it.settle()
    assert it.told('app/0')[-2:] == ['config-changed', 'changed app/1']


def test_js_6_a_retry_reads_afresh(juju):
    it = juju(2)
    it.ask('app/1', 'relation-set -r peers:0 k=1')
    assert it.ask('app/0', 'relation-get k', hook=True, exit=1) is None
    assert it.last.calls[0].stdout == '1\n'
    it.ask('app/1', 'relation-set -r peers:0 k=2')
    assert it.one('app/0', 'relation-get k', hook=True) == '2'
    assert short(it.last.hook) == 'changed app/1'


# JS 7: versions.

def test_js_7_a_write_that_changes_nothing_tells_nobody(juju):
    it = juju(2)
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    it.settle()
    it.ask('app/1', 'relation-set -r peers:0 k=v none=')
    it.ask('app/1', 'relation-set -r peers:0 k=w', 'relation-set -r peers:0 k=v')
    assert it.next_hook('app/0') is None


def test_js_7_two_bags_are_two_hooks_the_application_first(juju):
    it = juju(2)
    it.ask('app/0', 'relation-set -r peers:0 k=v', 'relation-set -r peers:0 --app k=v')
    before = len(it.runs)
    it.settle()
    assert it.told('app/1', before) == ['changed', 'changed app/0']


@pytest.mark.parametrize('content_versions', [True, False])
def test_js_2_a_change_and_back_unseen_in_between(juju, content_versions):
    it = juju(2, content_versions=content_versions)
    it.ask('app/1', 'relation-set -r peers:0 k=a')
    it.settle()
    for value in 'ba':
        it.ask('app/1', 'relation-set -r peers:0 k=' + value)
    assert (it.next_hook('app/0') is None) == content_versions


# JS 8: is the leader told of its own write?

@pytest.mark.parametrize('notified', [True, False])
def test_js_8_the_leader_and_its_own_write(juju, notified):
    it = juju(2, leader_notified=notified)
    it.ask('app/0', 'relation-set -r peers:0 --app k=v')
    it.settle()
    assert (it.told('app/0')[-1] == 'changed') == notified
    assert it.told('app/1')[-1] == 'changed'
    it.elect('app/1')
    before = len(it.runs)
    it.settle()
    assert ('changed' in it.told('app/0', before)) == (not notified)


# JS 9: removal and leadership.

def test_js_9_1_the_leaver_departs_from_each_and_is_gone(juju):
    it = juju(3)
    it.remove_unit('app/0')
    for unit in ('app/1', 'app/2'):
        run = it.run('app/0')
        assert (short(run.hook), run.env['JUJU_DEPARTING_UNIT']) == ('departed ' + unit, 'app/0')
    assert it.one('app/0', 'is-leader', hook=True) is True  # in stop
    it.settle(['app/0'])
    assert it.told('app/0')[-2:] == ['stop', 'remove']
    assert it.units() == ['app/1', 'app/2'] and it.model.leader is None
    assert 'broken' not in it.told('app/0')


def test_js_9_1_a_dying_leader_still_writes_the_application_bag(juju):
    it = juju(2)
    it.remove_unit('app/0')
    it.ask('app/0', 'relation-set --app k=v', hook=True)
    assert it.app_bag() == {'k': 'v'}


def test_js_9_2_survivors_are_told_at_once_and_can_still_read_the_bag(juju):
    it = juju(3)
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    it.settle()
    it.remove_unit('app/1')
    assert it.one('app/0', 'relation-get k app/1', hook=True) == 'v'
    assert short(it.last.hook) == 'departed app/1'
    assert it.last.env['JUJU_DEPARTING_UNIT'] == 'app/1'
    assert it.one('app/0', 'relation-get -r peers:0 k app/1') == 'v'


def test_js_9_1_removing_the_application_departs_everybody_from_everybody(juju):
    it = juju(2)
    it.remove_application()
    it.settle()
    departed = [(run.unit, run.env['JUJU_DEPARTING_UNIT']) for run in it.runs
                if run.hook.kind == 'departed']
    assert sorted(departed) == [('app/0', 'app/0'), ('app/1', 'app/1')]
    assert it.units() == []


def test_js_9_3_a_new_leader_gets_no_replay(juju):
    it = juju(2)
    it.depose()
    it.ask('app/0', 'relation-set -r peers:0 k=v')
    it.settle()
    it.elect('app/1')
    before = len(it.runs)
    it.settle()
    assert it.told('app/1', before) == ['leader-elected']


def test_js_9_4_departed_is_never_sent(juju):
    it = juju(2, departed_sent=False)
    it.remove_unit('app/1')
    it.settle()
    assert 'departed app/1' not in it.told('app/0')
    assert it.one('app/0', 'relation-list -r peers:0') == ['app/1']


def test_js_9_1_forced_removal_tells_only_the_survivors(juju):
    it = juju(2)
    before = len(it.runs)
    it.kill_unit('app/1')
    it.forget_unit('app/1')
    it.settle()
    assert it.told('app/0', before) == ['departed app/1'] and it.told('app/1', before) == []


def test_js_9_1_a_unit_removed_before_it_is_installed_runs_nothing(juju):
    it = juju(1)
    before = len(it.runs)
    it.remove_unit(it.add_unit())
    it.settle()
    assert it.runs[before:] == [] and it.units() == ['app/0']


def test_js_9_1_of_what_a_dying_unit_writes_nobody_is_told(juju):
    it = juju(2)
    it.remove_unit('app/1')
    it.settle(['app/0'])
    it.ask('app/1', 'relation-set -r peers:0 k=v', hook=True)
    assert short(it.last.hook) == 'departed app/0'
    assert it.bag('app/1')['k'] == 'v' and it.next_hook('app/0') is None


def test_js_9_3_leader_elected_is_skipped_if_the_leadership_is_gone(juju):
    it = juju(2)
    it.elect('app/1')
    it.elect('app/0')
    before = len(it.runs)
    it.settle()
    assert it.told('app/1', before) == ['leader-settings-changed']
    assert it.told('app/0', before) == ['leader-elected']


def test_js_9_3_who_runs_leader_settings_changed(juju):
    it = juju(3)

    def who():
        before = len(it.runs)
        it.settle()
        return [run.unit for run in it.runs[before:] if run.hook.name == 'leader-settings-changed']

    it.restart_agent('app/1')
    assert who() == ['app/1']
    it.ask('app/0', 'leader-set k=v')
    it.remove_unit('app/2')
    assert who() == ['app/1']


# JS 10: upgrade and names.

def test_js_10_refresh(juju, probe):
    it = juju(1)
    before = len(it.runs)
    it.refresh('app/0', probe)
    it.settle()
    assert it.told('app/0', before) == ['upgrade-charm', 'config-changed']
    it.update_status('app/0')
    it.run('app/0', exit=1)
    with pytest.raises(ValueError, match='unit "app/0" is in an error state'):
        it.refresh('app/0', probe)
    before = len(it.runs)
    it.refresh('app/0', probe, force=True)
    it.settle()
    assert it.told('app/0', before) == ['update-status']


def test_js_10_unit_numbers_and_names(juju):
    it = juju(2)
    it.ask('app/1', 'relation-set -r peers:0 k=old')
    it.remove_unit('app/1')
    it.settle()
    assert it.add_unit() == 'app/2'
    assert it.add_unit('app/1') == 'app/1'  # as on Kubernetes
    it.settle()
    assert it.bag('app/1')['k'] == 'old'
    with pytest.raises(ValueError, match='unit "app/1" exists'):
        it.add_unit('app/1')


def test_js_10_update_status_waits_for_all_else(juju):
    it = juju(2)
    it.update_status('app/0')
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    it.settle()
    assert it.told('app/0')[-2:] == ['changed app/1', 'update-status']


def test_js_10_an_endpoint_that_a_refresh_brings_is_not_modelled(juju, probe, tmp_path):
    it = juju(1)
    charm = tmp_path / 'charm'
    shutil.copytree(str(probe), str(charm))
    (charm / 'metadata.yaml').write_text('{name: app, peers: {others: {interface: any}}}')
    with pytest.raises(NotModelled, match='others'):
        it.refresh('app/0', charm)
    it.settle()
    assert 'upgrade-charm' not in it.told('app/0')


# JS 12: what a hook sees of the others.

@pytest.mark.parametrize('stale', [True, False])
def test_js_12_2_bags_of_members_are_cached_until_their_changed(juju, stale):
    it = juju(2, stale_caches=stale)
    read = 'relation-get -r peers:0 k app/1'
    assert it.one('app/0', read) is None
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    assert it.one('app/0', read) == (None if stale else 'v')
    assert it.one('app/0', read, hook=True) == 'v'  # in the changed of that unit


def test_js_12_2_the_bag_of_a_unit_that_has_not_joined_is_cached_for_one_hook_only(juju):
    it = juju(1)
    it.run(it.add_unit())
    read = 'relation-get -r peers:0 k app/1'
    assert it.one('app/0', read) is None
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    assert it.one('app/0', read) == 'v'
    assert it.one('app/0', 'relation-list -r peers:0') == []


def test_js_12_2_the_application_bag_is_cached_for_one_hook_only(juju):
    it = juju(2)
    read = 'relation-get -r peers:0 --app k app'
    assert it.one('app/1', read) is None
    it.ask('app/0', 'relation-set -r peers:0 --app k=v')
    assert it.one('app/1', read) == 'v'
    answers = it.ask('app/1', read, read, on_call={
        2: lambda: it.relation().app.merge({'k': 'w'}, False)})
    assert [answer[1] for answer in answers] == ['v\n', 'v\n']


def test_js_12_13_a_restart_empties_the_caches(juju):
    it = juju(2)
    read = 'relation-get -r peers:0 k app/1'
    it.one('app/0', read)
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    it.restart_agent('app/0')
    assert it.one('app/0', read) == 'v'


def test_js_12_14_two_relation_ids_have_bags_of_their_own(juju):
    it = juju(2)
    it.ask('app/1', 'relation-set -r peers:0 k=v')
    it.add_relation_id('peers')
    it.settle()
    assert 'k' in it.bag('app/1', 'peers:0') and 'k' not in it.bag('app/1', 'peers:1')


# SA: secrets and actions.

def test_sa_an_application_secret_outlives_its_leader(juju, tmp_path):
    it = juju(2)
    (tmp_path / 'key').write_text('the key\n')
    (code, id_, _), pending = it.ask(
        'app/0', 'secret-add --label L key#file={}/key n=1'.format(tmp_path),
        'secret-get --label L key')
    assert code == 0 and re.match('secret:[0-9a-z]{20}\n$', id_)
    assert pending[1] == 'the key\n\n'
    it.remove_unit('app/0')
    it.settle()
    assert it.one('app/1', 'secret-get --label L') == {'key': 'the key\n', 'n': '1'}
    assert it.ask('app/1', 'secret-add a=b') == [[1, '', 'ERROR this unit is not the leader\n']]


def test_sa_a_secret_of_a_failed_hook_was_never_made(juju):
    it = juju(1)
    it.ask('app/0', 'secret-add --label L k=v', fail_commit=True)
    assert it.ask('app/0', 'secret-get --label L')[0][0] == 1


def test_sa_a_reader_keeps_its_revision_until_it_refreshes(juju):
    it = juju(2)
    id_ = it.ask('app/0', 'secret-add k=1')[0][1].strip()
    assert it.one('app/1', 'secret-get', id_, 'k') == '1'
    it.ask('app/0', 'secret-set {} k=2'.format(id_))
    answers = it.ask('app/1', *('secret-get {} k {}'.format(id_, how)
                                for how in ('', '--peek', '', '--refresh', '')))
    assert [answer[1].strip() for answer in answers] == ['1', '2', '1', '2', '2']


def test_sa_juju_2_has_no_secrets(juju):
    it = juju(1, version='2.9.50')
    assert it.ask('app/0', 'secret-ids') is None
    assert 'FileNotFoundError' in it.last.stderr


def test_sa_actions(juju):
    it = juju(2)
    it.action('app/0', 'act', name='value')
    it.ask('app/0', 'action-get name', 'action-set a.b=c', 'action-log here',
           'relation-set -r peers:0 k=v', hook=True)
    assert it.last.action == {'results': {'a.b': 'c'}, 'status': 'completed', 'message': '',
                              'log': ['here']}
    assert it.bag('app/0')['k'] == 'v'
    env = it.seen('app/0')['env']
    assert (env['JUJU_ACTION_NAME'], env['JUJU_HOOK_NAME']) == ('act', '')
    it.ask('app/0', 'action-fail nothing to do')
    assert it.last.action['status'] == 'failed'
    assert it.ask('app/0', 'is-leader', exit=1) is None
    assert it.next_hook('app/0') is None  # a failed action is over
    it.update_status('app/0')
    assert it.ask('app/0', 'action-get', hook=True)[0][0] == 1


def test_a_unit_that_is_gone_runs_nothing(juju):
    it = juju(2)
    it.kill_unit('app/1')
    assert it.next_hook('app/1') is None
    with pytest.raises(ValueError, match='no hook is due on app/1'):
        it.run('app/1')
    with pytest.raises(KeyError, match='unit "app/9" not found'):
        it.run('app/9')
