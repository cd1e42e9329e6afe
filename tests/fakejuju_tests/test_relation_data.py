"""What a hook sees and writes, as fakejuju has it: Juju's rules.

The number in a name is the topic in the tables of README.md, which have the sources. Each test
runs with forked hooks, and in `tox -e slow` with real processes.
"""
import re

import pytest

from fakejuju import NotModelled
from fakejuju.timeline import Names

pytest_plugins = ['probe_charm']

# What fakejuju does does not depend on the Python.
pytestmark = pytest.mark.once


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
    ('secret-get', 2, 'require either a secret URI or label'),
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


@pytest.mark.parametrize('version', ['2.9.50', '3.6.8', '4.1'])
def test_js_4_2_an_empty_key_is_all_of_them(deploy, version):
    it = deploy(1, real=True, forked=False, version=version)
    it.write('app/0', k='v')
    for call in ["relation-get -r peers:0 '' app/0"] + ["leader-set k=v; leader-get ''"] * (
            version < '4'):
        it.execute_command('app/0', call)
        assert 'k: v\n' in it.run('app/0').stdout


@pytest.mark.parametrize('call', [
    "printf '\\377' > x; relation-set -r 0 --file x", "relation-set -r 0 k=$'\\377'",
    "printf 'k: \\377' | relation-set -r 0 --file -", "juju-log $'\\377'",
    "printf '[a]: b' | relation-set -r 0 --file -",
    "printf '<<: {a: b}' | relation-set -r 0 --file -"])
@pytest.mark.parametrize('version', ['2.9.50', '4.1'])
def test_js_4_1_a_text_that_is_not_modelled_is_refused_by_name(deploy, call, version):
    it = deploy(1, real=True, forked=False, version=version)
    it.execute_command('app/0', call)
    with pytest.raises(NotModelled, match='text'):
        it.run('app/0')


def test_js_4_2_without_a_target_it_reads_the_remote_unit_else_the_application(juju):
    it = juju(2)
    it.ask('app/0', 'relation-set -r peers:0 --app who=application')
    it.ask('app/0', 'relation-set -r peers:0 who=leader')
    assert it.one('app/1', 'relation-get', 'who', hook=True) == 'application'
    assert it.one('app/1', 'relation-get', 'who', hook=True) == 'leader'
    assert it.short(it.last.hook) == 'changed app/0'


def test_js_4_4_the_joining_unit_is_listed_the_departing_one_is_not(juju):
    it = juju(2)
    it.settle()
    it.run(it.add_unit())
    assert it.one('app/0', 'relation-list', hook=True) == ['app/1', 'app/2']
    assert it.short(it.last.hook) == 'joined app/2'
    it.run('app/0')
    it.remove_unit('app/1')
    assert it.one('app/0', 'relation-list', hook=True) == ['app/2']
    assert it.short(it.last.hook) == 'departed app/1'


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


@pytest.mark.parametrize('command', [
    'storage-list', 'is-leader --help', 'is-leader -o file', 'status-set --application active'])
def test_js_4_1_what_is_not_modelled_raises(juju, command):
    it = juju(1)
    with pytest.raises(NotModelled):
        it.ask('app/0', command)
    assert it.one('app/0', 'is-leader') is True  # and the model is as it was


def test_what_changed_in_two_relations_is_told_of_both(deploy):
    it = deploy(1)
    it.add_relation_id('peers')
    it.settle()
    it.ask('app/0', 'relation-set -r peers:0 k=1', 'relation-set -r peers:1 k=2',
           'relation-set -r peers:1 --app k=3')
    assert it.last.changes == {'app/0': {'k': (None, '1')}, 'app/0 in peers:1': {'k': (None, '2')},
                               'app': {'k': (None, '3')}}
    assert Names().changes(it.last) == [
        ('app/0', 'k=1'), ('app/0', 'k=2 in peers:1'), ('app', 'k=3')]


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
    assert it.short(it.last.hook) == 'changed app/1'


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
    (code, id_, _), = it.ask(
        'app/0', 'secret-add --label L key#file={}/key num=1'.format(tmp_path))
    assert code == 0 and re.match('secret:[0-9a-z]{20}\n$', id_)
    it.remove_unit('app/0')
    it.settle()
    assert it.one('app/1', 'secret-get --label L') == {'key': 'the key\n', 'num': '1'}
    assert it.ask('app/1', 'secret-add abc=b') == [[1, '', 'ERROR this unit is not the leader\n']]


def test_sa_a_secret_of_a_failed_hook_was_never_made(juju):
    it = juju(1)
    it.ask('app/0', 'secret-add --label L key=v', fail_commit=True)
    assert it.ask('app/0', 'secret-get --label L')[0][0] == 1


def test_sa_a_reader_keeps_its_revision_until_it_refreshes(juju):
    it = juju(2)
    id_ = it.ask('app/0', 'secret-add key=one')[0][1].strip()
    assert it.one('app/1', 'secret-get', id_, 'key') == 'one'
    it.ask('app/0', 'secret-set {} key=two'.format(id_))
    assert [run.hook.name for run in it.settle()] == ['secret-changed']  # JSRC E6
    answers = it.ask('app/1', *('secret-get {} key {}'.format(id_, how)
                                for how in ('', '--peek', '', '--refresh', '')))
    assert [answer[1].strip() for answer in answers] == ['one', 'two', 'one', 'two', 'two']


@pytest.mark.parametrize('version, seen', [('3.6.8', 'one'), ('4.1.0', 'two')])
def test_sa_by_its_label_a_hook_of_juju_3_reads_what_was_there_before_it(juju, version, seen):
    it = juju(1, version=version)
    id_ = it.ask('app/0', 'secret-add --label L key=one')[0][1].strip()
    calls = ['secret-set {} key=two'.format(id_), 'secret-get --label L --refresh',
             'secret-get --label L --peek', 'secret-get {} key --refresh'.format(id_)]
    answers = [answer[1].strip() for answer in it.ask('app/0', *calls)[1:]]
    assert answers == ['key: ' + seen, 'key: ' + seen, 'two']
    it.settle()
    assert it.one('app/0', 'secret-get --label L --refresh') == {'key': 'two'}


def test_sa_juju_2_has_no_secrets(juju):
    it = juju(1, version='2.9.50')
    assert it.ask('app/0', 'secret-ids') is None
    assert 'FileNotFoundError' in it.last.stderr


def test_sa_actions(juju):
    it = juju(2)
    it.action('app/0', 'act', name='value')
    it.ask('app/0', 'action-get name', 'action-set a.b=c', 'action-log here',
           'relation-set -r peers:0 k=v', hook=True)
    assert it.last.action == {'results': {'a': {'b': 'c'}}, 'status': 'completed', 'message': '',
                              'log': ['here']}
    assert it.bag('app/0')['k'] == 'v'
    env = it.seen('app/0')['env']
    assert (env['JUJU_ACTION_NAME'], env['JUJU_HOOK_NAME']) == ('act', '')
    it.ask('app/0', 'action-fail nothing')
    assert it.last.action['status'] == 'failed'
    assert it.ask('app/0', 'is-leader', exit=1) is None
    assert it.next_hook('app/0') is None  # a failed action is over
    it.update_status('app/0')
    assert it.ask('app/0', 'action-get', hook=True)[0][0] == 1
