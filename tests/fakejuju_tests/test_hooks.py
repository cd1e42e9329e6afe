"""Which hooks run and when, as fakejuju has it: Juju's rules.

The number in a name is the topic in the tables of README.md, which have the sources. Each test
runs with forked hooks, and in `tox -e slow` with real processes.
"""
import re
import shutil

import pytest

pytest_plugins = ['probe_charm']

# What fakejuju does does not depend on the Python.
pytestmark = pytest.mark.once


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
    assert get == [2, '', 'ERROR invalid value "peers:0" for option -r: relation not found\n']


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
    assert it.short(it.next_hook('app/0')) == 'joined app/2'
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
    assert it.short(it.next_hook('app/0')) == 'created'


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
        assert (it.short(run.hook), run.env['JUJU_DEPARTING_UNIT']) == ('departed ' + unit, 'app/0')
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
    assert it.short(it.last.hook) == 'departed app/1'
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
    assert it.short(it.last.hook) == 'departed app/0'
    assert it.bag('app/1')['k'] == 'v' and it.next_hook('app/0') is None


def test_js_9_3_leader_elected_is_skipped_if_the_leadership_is_gone(juju):
    it = juju(2)
    it.elect('app/1')
    it.elect('app/0')
    before = len(it.runs)
    it.settle()
    assert it.told('app/1', before) == []
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
    assert 'k' not in it.bag('app/1')  # JSRC A7
    with pytest.raises(ValueError, match='unit "app/1" exists'):
        it.add_unit('app/1')


def test_js_10_update_status_comes_when_nothing_else_is_due(juju):
    it = juju(2)
    it.update_status('app/0')
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before) == ['update-status']


def test_a_unit_that_is_gone_runs_nothing(juju):
    it = juju(2)
    it.kill_unit('app/1')
    assert it.next_hook('app/1') is None
    with pytest.raises(ValueError, match='no hook is due on app/1'):
        it.run('app/1')
    with pytest.raises(KeyError, match='unit "app/9" not found'):
        it.run('app/9')
