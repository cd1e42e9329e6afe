"""What matters for a charm with a peer relation, as fakejuju has it by Juju's own source.

The name has section and number of the rule in the second table of README.md. How a hook is
started makes no difference to these rules: the hooks are forked.
"""
import shutil
from pathlib import Path

import pytest

from fakejuju import NotModelled
from memoised import MemoisedJuju
from forked import ForkedJuju

pytest_plugins = ['probe_charm']

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
    it.write_app('app/0', k='old')
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


def test_jsrc_a15_in_juju_3_a_refresh_brings_renames_and_drops_peer_endpoints(deploy, with_peers):
    it = deploy(2)
    two, other = with_peers('peers', 'ring'), with_peers('wheel')
    it.refresh('app/0', two)
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before)[:3] == ['upgrade-charm', 'config-changed', 'created']
    assert it.told('app/1', before) == []          # its charm does not have the endpoint
    assert it.one('app/1', 'relation-ids ring') == []
    it.refresh('app/1', two)
    it.settle()
    assert it.one('app/0', 'relation-list -r ring:1') == ['app/1']
    for unit in ('app/0', 'app/1'):
        it.refresh(unit, other)
    before = len(it.runs)
    it.settle()
    assert [each for each in it.told('app/1', before) if each != 'leader-settings-changed'] == [
        'upgrade-charm', 'config-changed', 'created', 'joined app/0', 'changed app/0']
    assert it.ask('app/0', 'relation-ids peers', 'relation-ids wheel') == [
        [0, '', ''], [0, 'wheel:2\n', '']]


@pytest.mark.parametrize('fault', [{'exit': 1}, {'interrupted_at': 1}])
def test_jsrc_a15_the_endpoint_of_a_hook_that_has_to_run_again_is_not_dropped(
        deploy, with_peers, fault):
    it = deploy(2)
    it.write('app/1', k='v')
    it.ask('app/0', 'is-leader', hook=True, **fault)
    with pytest.raises(NotModelled, match='without the endpoint of peers-relation-changed, which '
                                          'app/0 has yet to end'):
        it.refresh('app/1', with_peers('wheel'))
    it.settle()
    it.refresh('app/1', with_peers('ring'))
    it.settle()


def test_jsrc_a15_the_endpoint_of_a_hook_that_runs_is_not_dropped(deploy, with_peers):
    it = deploy(2)
    it.write('app/1', k='v')
    with pytest.raises(NotModelled, match='without the endpoint of peers-relation-changed'):
        it.ask('app/0', 'is-leader', hook=True,
               on_call={1: lambda: it.refresh('app/1', with_peers('wheel'))})


@pytest.mark.parametrize('fault', [
    {'exit': 1}, {'fail_commit': True}, {'kill_at': 1}, {'interrupted_at': 1}, {'again': True}])
@pytest.mark.parametrize('resolved', [False, True])
def test_an_upgrade_charm_that_failed_runs_again_with_the_new_code(
        juju, with_peers, fault, resolved):
    it, new = juju(1), with_peers('peers')
    it.refresh('app/0', new)
    it.ask('app/0', 'is-leader', hook=True, **fault)
    assert it.last.hook.name == 'upgrade-charm'
    kept = Path(it.charm_directory('app/0'), 'kept')
    kept.touch()    # what the unit made in its charm stays as it is
    if resolved:
        it.skip('app/0')
    before = len(it.runs)
    it.settle()
    assert it.told('app/0', before)[0] == ['upgrade-charm', 'config-changed'][resolved]
    assert it.model.unit('app/0').charm == str(new) and kept.exists()


# What no rule but every operator knows: backups.

@pytest.mark.parametrize('kind', [ForkedJuju, MemoisedJuju])
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
            == list(it.history['app/0'])
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
