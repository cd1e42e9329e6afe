"""Removal, leadership, faults and restarts, as fakejuju has them by Juju's own source.

The name has section and number of the rule in the second table of README.md. How a hook is
started makes no difference to these rules: the hooks are forked.
"""
import shutil
import signal

import pytest

from fakejuju import Juju, NotModelled
from fakejuju.remembered import RememberedJuju

pytest_plugins = ['probed']

# What fakejuju does does not depend on the Python.
pytestmark = pytest.mark.once

APP_SET, SET = 'relation-set -r peers:0 --app ', 'relation-set -r peers:0 '
APP_GET = 'relation-get -r peers:0 --app '

# Counts its hooks in unitdata.
COUNT = '''#!/usr/bin/env python3
from charmhelpers.core import unitdata
unitdata.kv().set('hooks', unitdata.kv().get('hooks', 0) + 1)
unitdata.kv().flush()
'''


def changed_charm(probe, directory, peers):
    shutil.copytree(str(probe), str(directory))
    (directory / 'metadata.yaml').write_text('{name: app, peers: {%s}}' % ', '.join(
        peer + ': {interface: any}' for peer in peers))
    for event in ('created', 'joined', 'changed'):
        for peer in peers:
            shutil.copy(str(probe / 'hooks/install'),
                        str(directory / 'hooks/{}-relation-{}'.format(peer, event)))
    return directory


# A: what matters for a charm with a peer relation.

@pytest.mark.parametrize('version', ['3.6.8', '4.1'])
def test_jsrc_a1_relation_broken_runs_on_a_leaver_whose_agent_had_restarted(deploy, version):
    it = deploy(2, version=version)
    it.restart_agent('app/1')
    it.remove_unit('app/1')
    before = len(it.runs)
    it.settle(['app/1'])
    assert it.told('app/1', before) == ['departed app/0', 'broken', 'stop', 'remove']
    env = it.runs[before + 1].env
    assert (env['JUJU_REMOTE_UNIT'], env['JUJU_REMOTE_APP']) == ('', '')
    assert 'JUJU_DEPARTING_UNIT' not in env


def test_jsrc_a1_relation_broken_where_the_relation_ends(deploy):
    it = deploy(2, version='4.1')
    it.restart_agent('app/1')
    before = len(it.runs)
    it.remove_relation('peers:0')
    it.settle()
    assert it.told('app/1', before) == ['departed app/0', 'broken']
    assert it.told('app/0', before) == ['departed app/1']


def test_jsrc_a2_in_juju_4_a_leaver_is_listed_and_heard_until_it_is_gone(deploy):
    it = deploy(2, version='4.1')
    it.remove_unit('app/1')
    assert it.next_hook('app/0') is None
    it.ask('app/1', 'relation-set k=v', hook=True)
    assert it.last.hook.kind == 'departed'
    assert it.one('app/0', 'relation-get k', hook=True) == 'v'
    assert it.short(it.last.hook) == 'changed app/1'


@pytest.mark.parametrize('sent, restarted, told', [
    (None, False, False), (None, True, True), (True, False, True), (False, True, False)])
def test_jsrc_a3_in_juju_4_survivors_may_never_be_told(deploy, sent, restarted, told):
    it = deploy(2, version='4.1', departed_sent=sent)
    if restarted:
        it.restart_agent('app/1')
    it.remove_unit('app/1')
    it.settle()
    assert (it.told('app/0')[-1] == 'departed app/1') == told
    assert it.one('app/0', 'relation-list -r peers:0') == ([] if told else ['app/1'])
    it.add_unit()
    it.settle()
    assert it.one('app/2', 'relation-list -r peers:0') == ['app/0']


@pytest.mark.parametrize('version', ['3.6.8', '4.1'])
@pytest.mark.parametrize('after', [[], ['start'], ['upgrade-charm', 'config-changed']])
def test_jsrc_a4_a_restart_or_a_refresh_brings_the_departed_that_was_missed(
        deploy, probe, version, after):
    it = deploy(2, version=version, departed_sent=False)
    it.remove_unit('app/1')
    it.settle()
    before = len(it.runs)
    [it.restart_agent, it.reboot, lambda unit: it.refresh(unit, probe)][len(after)]('app/0')
    it.settle()
    told = [hook for hook in it.told('app/0', before) if hook != 'leader-settings-changed']
    assert told == after + ['departed app/1']


def test_jsrc_a5_actions_run_while_a_hook_is_in_error(deploy):
    it = deploy(2)
    it.update_status('app/0')
    it.run('app/0', exit=1)
    it.ask('app/0', SET + 'k=v')
    assert it.last.hook.name == 'act' and it.bag('app/0')['k'] == 'v'
    assert it.next_hook('app/0') == it.model.unit('app/0').failed


def test_jsrc_a6_the_commit_sends_the_whole_bag(deploy):
    it = deploy(2)
    it.ask('app/0', APP_SET + 'kept=before gone=before')

    def another_leads():
        it.elect('app/1')
        it.write_app('app/1', kept='other', new='other')
        it.elect('app/0')

    it.ask('app/0', APP_GET + 'kept app', APP_SET + 'mine=1 gone=', on_call={2: another_leads})
    assert it.last.committed
    assert it.app_bag() == {'kept': 'before', 'mine': '1', 'new': 'other'}


def test_jsrc_a6_the_own_bag_goes_when_it_was_only_read(deploy):
    it = deploy(1)
    it.write('app/0', k='old')
    it.ask('app/0', 'relation-get -r peers:0 k app/0', 'is-leader',
           on_call={2: lambda: it.write('app/0', k='restored')})
    assert it.bag('app/0')['k'] == 'old'
    it.ask('app/0', APP_GET + 'k app', 'is-leader',
           on_call={2: lambda: it.write_app('app/0', k='other')})
    assert it.app_bag() == {'k': 'other'}


@pytest.mark.parametrize('version', ['3.6.8', '4.1'])
def test_jsrc_a7_a_unit_name_used_again_starts_with_a_fresh_bag(deploy, version):
    it = deploy(2, version=version)
    it.ask('app/1', SET + 'k=old')
    it.settle()
    it.remove_unit('app/1')
    it.settle()
    it.add_unit('app/1')
    it.settle()
    assert 'k' not in it.bag('app/1')
    assert it.one('app/0', 'relation-get -r peers:0 k app/1') is None


def test_jsrc_a8_a_failed_leader_elected_is_skipped_if_the_lease_is_gone(deploy):
    it = deploy(2)
    it.elect('app/1')
    it.run('app/1', exit=1)
    assert it.next_hook('app/1').name == 'leader-elected'
    it.elect('app/0')
    assert it.next_hook('app/1') is None
    it.elect('app/1')
    assert it.next_hook('app/1').name == 'leader-elected'


def test_jsrc_a9_a_lease_lost_and_regained_within_a_hook_gives_no_second_leader_elected(deploy):
    it = deploy(2)

    def lose(*after):
        it.depose()
        for unit in after:
            it.elect(unit)

    it.ask('app/0', 'is-leader', on_call={1: lambda: lose('app/1', 'app/0')})
    assert it.next_hook('app/0') is None
    it.ask('app/0', 'is-leader', on_call={1: lambda: lose('app/1')})
    it.elect('app/0')
    assert it.next_hook('app/0').name == 'leader-elected'


def test_jsrc_a10_a_leader_reads_its_own_copy_until_it_is_deposed(deploy):
    it = deploy(2)
    answers = it.ask('app/0', APP_SET + 'k=mine', APP_GET + 'k app', APP_GET + 'k app', 'is-leader',
                     on_call={3: it.depose, 4: lambda: it.elect('app/0')})
    assert [answer[1] for answer in answers[1:]] == ['mine\n', '', 'False\n']
    assert it.last.committed and it.app_bag() == {'k': 'mine'}


@pytest.mark.parametrize('version', ['3.6.8', '4.1'])
@pytest.mark.parametrize('command', [APP_GET + 'k app', APP_SET + 'k=v'])
def test_jsrc_a11_in_juju_4_a_leader_reads_with_the_lease_only(deploy, version, command):
    it = deploy(2, version=version)
    answer, leads = it.ask('app/0', command, 'is-leader',
                           on_call={1: lambda: it.depose(unnoticed=True)})
    assert answer == ([1, '', 'ERROR permission denied\n'] if version > '4' else [0, '', ''])
    assert leads[1] == 'True\n'
    assert it.last.committed == (version > '4' or 'get' in command)
    assert it.one('app/0', 'is-leader') is False
    assert it.ask('app/0', APP_GET + 'k app') == [[0, '', '']]


@pytest.mark.parametrize('version', ['3.6.8', '4.1'])
def test_jsrc_a12_in_juju_4_the_first_commit_tells_everybody_if_it_only_deletes(deploy, version):
    it = deploy(2, version=version)
    for told in (version > '4', False):
        it.ask('app/0', APP_SET + 'nokey=')
        assert [it.short(it.next_hook(unit)) for unit in it.units()] \
            == (['changed', 'changed'] if told else [None, None])
        it.settle()


def test_jsrc_a13_a_hook_that_was_committed_may_run_again(deploy):
    it = deploy(2)
    it.update_status('app/0')
    it.ask('app/0', SET + 'k=v', hook=True, again=True)
    assert it.last.changes == {'app/0': {'k': (None, 'v')}}
    assert it.short(it.next_hook('app/1')) == 'changed app/0'
    assert it.one('app/0', 'relation-get -r peers:0 k app/0', hook=True) == 'v'
    assert it.last.hook.name == 'update-status' and it.next_hook('app/0') is None
    it.ask('app/0', SET + 'k=w', again=True)
    assert it.last.action['message'] == 'action terminated'  # never run again
    assert it.bag('app/0')['k'] == 'w' and not it.model.unit('app/0').actions


def test_jsrc_a14_a_failed_hook_may_be_skipped(deploy):
    it = deploy(2)
    it.write('app/1', k='1')
    it.run('app/0', exit=1)
    it.write('app/1', k='2')
    it.action('app/0', 'act')
    it.resolve('app/0', retry=False)
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before) == ['act', 'changed app/1']
    with pytest.raises(ValueError, match='unit "app/0" is not in an error state'):
        it.resolve('app/0', retry=False)


def test_jsrc_a14_a_hook_may_be_left_unrun_in_a_debug_hooks_session(deploy):
    it = deploy(2)
    it.write('app/1', k='1')
    assert it.short(it.skip('app/0')) == 'changed app/1'
    assert it.next_hook('app/0') is None
    with pytest.raises(ValueError, match='no hook is due on app/0'):
        it.skip('app/0')


def test_jsrc_a15_in_juju_3_a_refresh_brings_renames_and_drops_peer_endpoints(
        deploy, probe, tmp_path):
    it = deploy(2)
    it.refresh('app/0', changed_charm(probe, tmp_path / 'two', ['peers', 'ring']))
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before)[:3] == ['upgrade-charm', 'config-changed', 'created']
    assert it.told('app/1', before) == []          # its charm does not have the endpoint
    assert it.one('app/1', 'relation-ids ring') == []
    it.refresh('app/1', tmp_path / 'two')
    it.settle()
    assert it.one('app/0', 'relation-list -r ring:1') == ['app/1']
    for unit in ('app/0', 'app/1'):
        it.refresh(unit, changed_charm(probe, tmp_path / unit, ['wheel']))
    before = len(it.runs)
    it.settle()
    assert [each for each in it.told('app/1', before) if each != 'leader-settings-changed'] == [
        'upgrade-charm', 'config-changed', 'created', 'joined app/0', 'changed app/0']
    assert it.ask('app/0', 'relation-ids peers', 'relation-ids wheel') == [
        [0, '', ''], [0, 'wheel:2\n', '']]


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
def test_jsrc_f7_in_juju_4_a_refresh_keeps_the_endpoints(deploy, probe, tmp_path, peers, text):
    it = deploy(1, version='4.1')
    with pytest.raises(ValueError) as refused:
        it.refresh('app/0', changed_charm(probe, tmp_path / 'charm', peers))
    assert str(refused.value) == 'setting application "app" charm: ' + text
    assert it.next_hook('app/0') is None


def test_jsrc_f7_two_relations_of_one_peer_endpoint_are_an_error_in_juju_4(deploy):
    with pytest.raises(NotModelled, match='two relations of one peer endpoint'):
        deploy(1, version='4.1').add_relation_id('peers')


@pytest.mark.parametrize('force', [False, True])
def test_jsrc_f8_where_the_retry_fails_new_code_comes_without_upgrade_charm(
        deploy, probe, tmp_path, force):
    it = deploy(1, version='4.1')
    shutil.copytree(str(probe), str(tmp_path / 'new'))
    it.update_status('app/0')
    it.run('app/0', exit=1)
    it.refresh('app/0', tmp_path / 'new', force=force)
    before = len(it.runs)
    assert it.run('app/0', exit=1).env['CHARM_DIR'] == str(probe)
    assert it.run('app/0').env['CHARM_DIR'] == str(tmp_path / 'new')
    it.settle()
    assert it.told('app/0', before) == ['update-status'] * 2


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


# What no rule but every operator knows: backups.

@pytest.mark.parametrize('kind', [Juju, RememberedJuju])
def test_unitdata_is_lost_and_restored(probe, tmp_path, kind):
    charm = tmp_path / 'charm'
    shutil.copytree(str(probe), str(charm))
    for hook in (charm / 'hooks').iterdir():
        hook.write_text(COUNT)
    with kind(charm, tmp_path / 'units') as it:
        it.add_unit()
        it.settle()
        hooks = it.kv('app/0')['hooks']
        assert [json_text(number) for number in range(hooks + 1)] \
            == list(it.unitdata_history('app/0'))
        it.restore_unitdata('app/0', 2)
        assert it.kv('app/0') == {'hooks': hooks - 2}
        it.lose_unitdata('app/0')
        assert it.kv('app/0') == {}
        it.update_status('app/0')
        it.settle()
        assert it.kv('app/0') == {'hooks': 1}
        with pytest.raises(ValueError, match='app/0 has run {} hooks'.format(hooks + 1)):
            it.restore_unitdata('app/0', hooks + 2)


def json_text(hooks):
    return '{"hooks": %s}' % hooks if hooks else '{}'


@pytest.mark.parametrize('version', ['3.6.8', '4.1'])
@pytest.mark.parametrize('owner, told', [(None, ['changed', 'changed app/1']),
                                         ('app', ['changed']), ('app/1', ['changed app/1'])])
def test_bags_go_back_and_who_has_seen_later_ones_is_told(deploy, version, owner, told):
    it = deploy(2, version=version)
    then = it.bags()
    it.write_app('app/0', k='v')
    it.write('app/1', k='v')
    it.settle()
    it.restore_bags(then, owner)
    assert ('k' in it.app_bag()) == (owner == 'app/1')
    assert ('k' in it.bag('app/1')) == (owner == 'app')
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before) == told


def test_hooks_of_two_units_overlap(deploy):
    it = deploy(2)
    it.update_status('app/0')
    flight = it.fly('app/0')
    it.file('app/0', '.ask').write_text('[["relation-set", "-r", "peers:0", "k=v"]]')
    run = next(flight)
    assert it.ask('app/1', 'relation-get -r peers:0 k app/0') == [[0, '', '']]
    assert list(flight) == [] and run.committed
    assert it.one('app/1', 'relation-get', 'k', hook=True) == 'v'
