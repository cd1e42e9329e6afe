"""Order of hooks, agents, actions and a running Juju 4.1, as fakejuju has them.

The name has section and number of the rule in the second table of README.md. How a hook is
started makes no difference to most of these rules: the hooks are forked.
"""
import shutil
import signal

import pytest

from fakejuju import NotModelled

pytest_plugins = ['probe_charm']

# What fakejuju does does not depend on the Python.
pytestmark = pytest.mark.once

APP_SET, SET = 'relation-set -r peers:0 --app ', 'relation-set -r peers:0 '
APP_GET = 'relation-get -r peers:0 --app '


# B: order of hooks, lifecycle, agent.

def test_jsrc_b1_nothing_comes_between_queued_hooks(deploy, probe):
    it = deploy(1)
    it.refresh('app/0', probe)
    it.run('app/0')
    it.action('app/0', 'act')
    assert it.next_hook('app/0').name == 'config-changed'
    it.add_unit()
    for name in ('install', 'created', 'leader-settings-changed', 'config-changed'):
        it.run('app/1')
        assert it.told('app/1')[-1] == name
    it.action('app/1', 'act')
    it.elect('app/1')
    assert it.next_hook('app/1').name == 'start'


def test_jsrc_b1_a_command_of_juju_2_comes_between(deploy, probe):
    it = deploy(1, version='2.9.50')
    it.refresh('app/0', probe)
    it.run('app/0')
    it.execute_command('app/0', 'true')
    assert it.next_hook('app/0').kind == 'exec'


def test_jsrc_b2_a_dying_unit_runs_what_is_queued_and_no_stop_if_it_never_started(deploy):
    it = deploy(1)
    for units, last, told in ((1, 'config-changed', ['start', 'stop', 'remove']),
                              (1, 'leader-settings-changed', ['remove'])):
        unit = it.add_unit()
        while not it.told(unit) or it.told(unit)[-1] != last:
            it.run(unit)
        it.remove_unit(unit)
        before = len(it.runs)
        it.settle([unit])
        assert it.told(unit, before) == told


def test_jsrc_b3_any_hook_swallows_the_update_status_that_is_due(deploy):
    it = deploy(2)
    it.update_status('app/0')
    it.write('app/1', k='v')
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before) == ['changed app/1']


def test_jsrc_b4_below_4_who_runs_leader_settings_changed_again(deploy, probe):
    it = deploy(3)
    before = len(it.runs)
    it.refresh('app/1', probe)
    it.elect('app/2')
    it.elect('app/0')
    it.settle()
    assert it.told('app/1', before) == ['upgrade-charm', 'config-changed',
                                        'leader-settings-changed']
    assert 'leader-settings-changed' not in it.told('app/2', before)  # the settings are the same


def test_jsrc_b5_a_refresh_beside_an_error_waits_for_the_retry(deploy, probe, tmp_path):
    it = deploy(1)
    old, new = it.charm_directory('app/0'), tmp_path / 'new'
    shutil.copytree(str(probe), str(new))
    it.update_status('app/0')
    it.run('app/0', exit=1)
    it.refresh('app/0', new)
    assert it.charm_directory('app/0') == old
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before) == ['update-status', 'upgrade-charm', 'config-changed']
    assert it.charm_directory('app/0') == str(new)


@pytest.mark.parametrize('dying', [False, True])
def test_jsrc_b6_start_runs_again_after_a_reboot(deploy, dying):
    it = deploy(2)
    before = len(it.runs)
    it.reboot('app/1')
    if dying:
        it.remove_unit('app/1')
    it.settle()
    assert it.told('app/1', before)[0] == 'start' and it.told('app/1', before)[1:] == (
        ['departed app/0', 'broken', 'stop', 'remove'] if dying else ['leader-settings-changed'])


def test_jsrc_b7_a_changed_address_runs_config_changed_and_reaches_the_bag(deploy):
    it = deploy(2)
    it.change_address('app/1', '127.0.9.9')
    it.run('app/1')
    assert it.runs[-1].hook.name == 'config-changed'
    assert it.bag('app/1')['ingress-address'] == '127.0.9.9'
    assert it.short(it.next_hook('app/0')) == 'changed app/1'


def test_jsrc_b8_relations_are_visited_in_any_order(deploy):
    for turned, order in ((False, ['peers:0', 'peers:1']), (True, ['peers:1', 'peers:0'])):
        it = deploy(1, reversed_relations=turned)
        it.add_relation_id('peers')
        it.run(it.add_unit())
        it.settle(['app/1'])
        assert [run.hook.relation for run in it.runs if run.hook.kind == 'created'
                and run.unit == 'app/1'] == order


def test_jsrc_b9_in_juju_3_a_dying_relation_may_be_hidden_after_a_restart(deploy):
    it = deploy(1)
    it.remove_relation('peers:0')
    assert it.one('app/0', 'relation-ids peers') == ['peers:0']
    it.restart_agent('app/0')
    ids, own = it.ask('app/0', 'relation-ids peers', 'relation-get -r peers:0 k app/0', hook=True)
    assert it.last.hook.kind == 'broken' and ids == own == [0, '', '']


def test_jsrc_b10_a_hook_that_is_interrupted_is_queued_again(deploy):
    it = deploy(1)
    it.update_status('app/0')
    it.ask('app/0', SET + 'k=v', 'is-leader', hook=True, interrupted_at=2)
    assert it.last.exit_code == -signal.SIGTERM and 'k' not in it.bag('app/0')
    it.action('app/0', 'act')
    assert not it.model.unit('app/0').failed
    assert it.next_hook('app/0').name == 'update-status'
    it.run('app/0')
    assert it.last.committed is False and it.runs[-1].committed
    it.ask('app/0', 'is-leader', interrupted_at=1)
    assert it.last.action['message'] == 'action terminated'


@pytest.mark.parametrize('end', ['exit 0', 'exit 3'])
def test_jsrc_b10_nor_is_one_committed_that_takes_no_notice_of_it(deploy, with_peers, end):
    charm = with_peers('peers')
    (charm / 'hooks/update-status').write_text(
        '#!/bin/bash\ntrap : TERM\nrelation-set -r peers:0 k=v\nis-leader\n' + end)
    it = deploy(1, real=True, forked=False)
    it.refresh('app/0', charm)
    it.settle()
    it.update_status('app/0')
    run = it.run('app/0', interrupted_at=2)
    assert not run.committed and 'k' not in it.bag('app/0')
    assert it.next_hook('app/0') == run.hook and not it.model.unit('app/0').failed


# C: exec and actions.

@pytest.mark.parametrize('version', ['2.9.50', '3.6.8'])
def test_jsrc_c1_writes_of_an_exec_that_fails_are_committed(deploy, version):
    it = deploy(1, version=version, real=True)
    it.execute_command('app/0', SET + 'k=v; exit 4')
    run = it.run('app/0')
    assert (run.exit_code, run.committed, it.bag('app/0')['k']) == (4, True, 'v')
    assert run.action['status'] == 'completed'


def test_jsrc_c2_exec_is_an_action_from_juju_3_on(deploy):
    for version, known in (('2.9.50', None), ('3.6.8', 'juju-exec')):
        it = deploy(1, version=version, real=True)
        it.execute_command('app/0', 'action-set a=b')
        run = it.run('app/0')
        assert run.env.get('JUJU_ACTION_NAME') == known
        assert run.env.get('JUJU_HOOK_NAME') == (known and '')
        assert 'JUJU_DISPATCH_PATH' not in run.env
        assert run.action['results'] == ({'a': 'b'} if known else {})


@pytest.mark.parametrize('fault, message', [
    ({'exit': 3}, 'exit status 3'), ({'fail_commit': True}, 'committing requested changes failed')])
def test_jsrc_c3_the_message_of_an_action_that_failed(deploy, fault, message):
    it = deploy(1)
    it.ask('app/0', 'is-leader', **fault)
    assert (it.last.action['status'], it.last.action['message']) == ('failed', message)
    it.ask('app/0', 'action-fail own', **fault)
    assert it.last.action['message'] == ('own' if 'fail_commit' in fault else message)


# F: seen on a running Juju 4.1.

def test_jsrc_f1_what_hook_tools_answer_in_broken_and_after_it(deploy):
    it = deploy(2, version='4.1')
    it.restart_agent('app/1')
    it.remove_unit('app/1')
    it.run('app/1')
    ids, own, app, none, peers = it.ask(
        'app/1', 'relation-ids peers', 'relation-get -r peers:0 k app/1', APP_GET + 'k app',
        'relation-get -r peers:0', 'relation-list', hook=True)
    assert it.last.hook.kind == 'broken'
    assert (ids[1], own[0], app[0], peers[0]) == ('peers:0\n', 0, 0, 0)
    assert none == [2, '', 'ERROR no unit or application specified\n']
    ids, peers = it.ask('app/1', 'relation-ids peers', 'relation-list -r peers:0', hook=True)
    assert it.last.hook.kind == 'stop' and ids == [0, '', '']
    assert peers == [2, '', 'ERROR invalid value "peers:0" for option -r: relation not found\n']


def test_jsrc_f1_goal_state_drops_who_is_gone(deploy):
    it = deploy(2, version='4.1')
    goal = it.one('app/0', 'goal-state')
    assert set(goal) == {'units', 'relations'} and goal['relations'] == {}
    assert set(goal['units']) == {'app/0', 'app/1'}
    assert set(goal['units']['app/0']) == {'status', 'since'}
    it.remove_unit('app/1')
    assert it.one('app/0', 'goal-state')['units']['app/1']['status'] == 'dying'
    it.settle()
    assert set(it.one('app/0', 'goal-state')['units']) == {'app/0'}
    it = deploy(1, subordinate=True)
    assert it.one('app/0', 'goal-state')['units'] == {}


def test_jsrc_f2_a_leader_that_leaves_leads_and_writes_to_the_end(deploy):
    it = deploy(2, version='4.1')
    it.remove_unit('app/0')
    while it.next_hook('app/0'):
        it.ask('app/0', 'is-leader', APP_SET + 'last=' + it.next_hook('app/0').name, SET + 'k=v',
               hook=True)
        assert it.last.committed and it.seen('app/0')['answers'][0][1] == 'True\n'
    before = len(it.runs)
    it.settle()
    assert it.app_bag() == {'last': 'remove'} and it.model.leader is None
    assert it.told('app/1', before) == ['changed', 'changed app/0']


@pytest.mark.parametrize('version', ['3.6.8', '4.1'])
def test_jsrc_f4_a_commit_to_the_application_bag_without_the_lease_fails(deploy, version):
    it = deploy(2, version=version)
    it.update_status('app/0')
    it.ask('app/0', SET + 'mine=1', APP_SET + 'late=1', 'is-leader', hook=True,
           on_call={3: lambda: it.elect('app/1')})
    assert it.last.error == ('checking lease token: lease not held' if version > '4' else
                             'cannot write for the application: app/0 does not lead')
    assert it.app_bag() == {} and 'mine' not in it.bag('app/0')
    assert it.one('app/0', 'is-leader', hook=True) is False


def test_jsrc_f5_a_retry_sees_the_data_of_today_and_the_change_comes_once_more(deploy):
    it = deploy(2, version='4.1')
    it.write('app/1', k='1')
    it.run('app/0', exit=1)
    it.write('app/1', k='2')
    it.config_changed('app/0')
    it.resolve('app/0')
    before = len(it.runs)
    assert it.one('app/0', 'relation-get k', hook=True) == '2'
    it.settle()
    assert it.told('app/0', before) == ['changed app/1', 'config-changed', 'changed app/1']


@pytest.mark.parametrize('version, times', [('3.6.8', 1), ('4.1', 2)])
def test_jsrc_f6_juju_config_runs_config_changed_twice_on_an_idle_unit(deploy, version, times):
    it = deploy(1, version=version)
    for idle in (True, False):
        if not idle:
            it.update_status('app/0')
        before = len(it.runs)
        it.config_changed('app/0')
        it.settle()
        assert it.told('app/0', before) == ['config-changed'] * (times if idle else 1)


@pytest.mark.parametrize('peers, text', [
    (['peers', 'second'], 'one or more of the provided endpoints "juju-info, peers, second" do not '
                          'exist'),
    (['circle'], 'charm has no corresponding peer relation "peers". Please scale down to 0 units '
                 'to refresh')])
def test_jsrc_f7_in_juju_4_a_refresh_keeps_the_endpoints(deploy, with_peers, peers, text):
    it = deploy(1, version='4.1')
    with pytest.raises(ValueError) as refused:
        it.refresh('app/0', with_peers(*peers))
    assert str(refused.value) == 'setting application "app" charm: ' + text
    assert it.next_hook('app/0') is None


def test_jsrc_f7_two_relations_of_one_peer_endpoint_are_an_error_in_juju_4(deploy):
    with pytest.raises(NotModelled, match='two relations of one peer endpoint'):
        deploy(1, version='4.1').add_relation_id('peers')


@pytest.mark.parametrize('how', ['retry', 'force', 'restart'])
def test_jsrc_f8_where_the_retry_fails_new_code_comes_without_upgrade_charm(
        deploy, probe, tmp_path, how):
    it = deploy(1, version='4.1')
    shutil.copytree(str(probe), str(tmp_path / 'new'))
    it.update_status('app/0')
    it.run('app/0', exit=1)
    it.refresh('app/0', tmp_path / 'new', force=how == 'force')
    before = len(it.runs)
    if how == 'restart':
        it.restart_agent('app/0')
    else:
        assert it.run('app/0', exit=1).env['CHARM_DIR'] == str(probe)
    assert it.run('app/0').env['CHARM_DIR'] == str(tmp_path / 'new')
    it.settle()
    assert set(it.told('app/0', before)) == {'update-status'}


def test_jsrc_f9_a_hook_whose_agent_was_killed_runs_again(deploy):
    it = deploy(1)
    it.update_status('app/0')
    it.run('app/0')
    it.update_status('app/0')
    it.ask('app/0', SET + 'k=v', 'is-leader', hook=True, kill_at=2)
    it.restart_agent('app/0')
    assert it.last.exit_code == -signal.SIGKILL
    assert it.next_hook('app/0') == it.model.unit('app/0').failed == it.last.hook


def test_jsrc_f10_by_force_in_juju_4_nobody_runs_a_hook(deploy):
    it = deploy(2, version='4.1')
    before = len(it.runs)
    it.forget_unit('app/1')
    it.settle()
    assert it.runs[before:] == [] and it.units() == ['app/0']
    assert it.one('app/0', 'relation-list -r peers:0') == ['app/1']


def test_jsrc_f11_removed_during_install_it_vanishes_and_a_failed_stop_is_resolved(deploy):
    it = deploy(1, version='4.1')
    it.add_unit()
    it.ask('app/1', 'is-leader', hook=True, on_call={1: lambda: it.remove_unit('app/1')})
    assert it.last.hook.name == 'install' and it.next_hook('app/1') is None
    assert it.units() == ['app/0'] and it.next_hook('app/0') is None
    it.remove_unit('app/0')
    it.run('app/0', exit=1)
    assert it.told('app/0')[-1] == 'stop' and it.next_hook('app/0').name == 'stop'
    it.resolve('app/0', retry=False)
    assert it.next_hook('app/0').name == 'remove'


def test_jsrc_f11_removed_during_config_changed_it_starts_first(deploy):
    it = deploy(1, version='4.1')
    it.add_unit()
    it.run('app/1')
    it.run('app/1')
    it.ask('app/1', 'is-leader', hook=True, on_call={1: lambda: it.remove_unit('app/1')})
    it.settle(['app/1'])
    assert it.told('app/1')[-4:] == ['config-changed', 'start', 'stop', 'remove']


def test_jsrc_f12_a_fresh_unit_of_juju_4(deploy):
    it = deploy(2, version='4.1')
    it.ask('app/0', APP_SET + 'k=v')
    it.settle()
    it.run(it.add_unit())
    assert it.short(it.next_hook('app/0')) == 'joined app/2'
    assert set(it.one('app/0', 'relation-get', '- app/2', hook=True)) == {
        'ingress-address', 'egress-subnets'}
    it.settle()
    assert it.told('app/2') == ['install', 'created', 'config-changed', 'start', 'changed',
                                'joined app/0', 'changed app/0', 'joined app/1', 'changed app/1']


def test_jsrc_f13_the_environment_of_juju_4(deploy):
    it = deploy(1, version='4.1')
    it.update_status('app/0')
    env = it.run('app/0').env
    assert env['JUJU_CHARM_NO_PROXY'] == '127.0.0.1,localhost,::1'
    assert env['TERM'] == 'tmux-256color'
    assert {'JUJU_CHARM_TRACE_CONFIG_' + each for each in ('HTTP', 'GRPC', 'CA_CERT')} <= set(env)
    assert not {'JUJU_SLA', 'JUJU_METER_STATUS', 'JUJU_METER_INFO'} & set(env)
