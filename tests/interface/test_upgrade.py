"""P11 upgrade: a charm built with the original upgrades to ours unit by unit, in any order."""
from itertools import permutations

import pytest

from world import AVAILABLE, CREATE, METADATA, SIGN, TESTS, assemble, certificate, request

UNITS = ['tls/0', 'tls/1', 'tls/2']
ORDERS = list(permutations(UNITS))
FAULTS = [{'exit': 1}, {'fail_commit': True}, {'again': True}] + [
    {kind: call} for kind in ('kill_at', 'interrupted_at', 'fail_at') for call in (1, 3)]


@pytest.fixture(scope='session')
def original(tmp_path_factory):
    return assemble(tmp_path_factory.mktemp('original'),
                    peers=TESTS / 'interface/interface_of_2015.py')


@pytest.fixture(scope='session')
def renamed(tmp_path_factory):
    peers = {'certs': METADATA['peers']['certificates']}
    return assemble(tmp_path_factory.mktemp('renamed'), metadata=dict(METADATA, peers=peers))


@pytest.mark.parametrize('forced', [False, True])
@pytest.mark.parametrize('order', [
    pytest.param(each, marks=pytest.mark.slow if each in ORDERS[1:-1] else ()) for each in ORDERS])
def test_p11_from_the_original_unit_by_unit(world, original, charm, order, forced):
    it = world(3, charm=original)
    # The original never serves the leader.
    assert [bool(it.announced(unit)) for unit in UNITS] == [False, True, True]
    asked = [it.juju.kv(unit)['asked'] for unit in UNITS]
    requests = {unit: it.juju.bag(unit)['csr'] for unit in UNITS}
    for number, unit in enumerate(order):
        if forced:  # out of an error, and then no upgrade-charm runs
            it.juju.config_changed(unit)
            it.juju.run(unit, exit=1)
        it.juju.refresh(unit, charm, force=forced)
        it.juju.settle()
        assert ('upgrade-charm' in [run.hook.name for run in it.juju.runs]) is not forced
        new = set(order[:number + 1])
        assert {unit for unit in UNITS if it.is_served(unit)} == (new if 'tls/0' in new else set())
    assert it.unserved() == []
    assert [it.juju.kv(unit)['asked'] for unit in UNITS] == asked
    assert {unit: it.juju.bag(unit)['csr'] for unit in UNITS} == requests
    assert [it.flags(unit) for unit in UNITS] == [set()] * 3


def test_p11_what_the_original_left_of_the_flags_is_cleared(world, original, charm):
    it = world(charm=original)
    for _ in range(2):
        it.juju.add_unit()
    it.juju.elect('tls/0')
    it.tell('tls/1', 'busy', AVAILABLE)
    it.juju.settle()
    assert it.flags('tls/1') == {AVAILABLE}
    it.juju.refresh('tls/1', charm)
    it.juju.settle()
    assert it.flags('tls/1') == set()


def test_p11_a_unit_of_the_original_that_asks_after_the_leader_is_upgraded(world, original, charm):
    it = world(3, charm=original)
    it.juju.refresh('tls/0', charm)
    it.juju.settle()
    it.juju.add_unit()                 # of the revision that the application has
    it.juju.settle()
    for unit in it.juju.units():
        it.juju.refresh(unit, charm)
        it.juju.settle()
    assert it.unserved() == []


def test_p11_back_to_the_original_and_forward_again(world, original, charm):
    it = world(3)
    for unit in UNITS:
        it.juju.refresh(unit, original)
        it.juju.settle()
    it.juju.write('tls/1', csr=request('of the original'))  # which leaves the number as it is
    it.juju.settle()
    assert it.juju.bag('tls/0')['tls/1_signed_certificate'] == certificate(
        'of the original by tls/0 #1')
    for unit in UNITS:
        it.juju.refresh(unit, charm)
        it.juju.settle()
    it.heal()
    assert it.unserved() == []
    assert it.announced('tls/1')[-1] == 'tls/1 2 by tls/0 #1'
    assert all(run.exit_code == 0 for run in it.juju.runs)


@pytest.mark.parametrize('order', [UNITS, UNITS[::-1]])
def test_p11_an_endpoint_that_a_refresh_renames_under_flags_that_are_set(world, renamed, order):
    it = world()
    for _ in UNITS:
        it.tell(it.juju.add_unit(), 'busy', CREATE + SIGN + AVAILABLE)
    it.juju.elect('tls/0')
    it.juju.settle()
    it.ask('tls/1', 'mine')
    it.juju.settle()
    it.csr_map('tls/0')
    it.answer_with('tls/0', 'tls/1', 'mine by hand')
    it.ask('tls/2', 'waits')
    it.juju.settle()
    assert [it.flags(unit) for unit in UNITS] == [{CREATE, SIGN}, {AVAILABLE}, set()]
    for unit in order:
        it.tell(unit, 'busy', '')
        it.juju.refresh(unit, renamed)
        it.juju.settle()
    it.expect_healed()                 # no hook failed: each handler was given its object
    assert it.announced('tls/1')[0] == 'mine by hand'
    assert it.announced('tls/2') == ['waits by tls/0 #1']
    assert list(it.juju.model.relations) == ['certs:1']


def upgrade(it, charm, fault, resolved=False):
    """Unit by unit, each with that fault in upgrade-charm."""
    for unit in UNITS:
        it.juju.refresh(unit, charm)
        run = it.juju.run(unit, **fault)
        assert run.hook.name == 'upgrade-charm'
        assert run.committed == ('again' in fault or 'fail_at' in fault)
        if resolved:
            it.juju.resolve(unit, retry=False)
        else:
            assert 'fail_at' in fault or it.juju.next_hook(unit) == run.hook
        it.juju.settle()
        assert it.juju.model.unit(unit).charm == str(charm)
    it.heal()
    assert it.unserved() == []
    assert [it.flags(unit) for unit in UNITS] == [set()] * 3


@pytest.mark.parametrize('fault', FAULTS, ids=str)
def test_p11_from_the_original_with_a_fault_in_upgrade_charm(world, original, charm, fault):
    upgrade(world(3, charm=original), charm, fault)


def test_p11_from_the_original_where_upgrade_charm_fails_and_is_skipped(world, original, charm):
    upgrade(world(3, charm=original), charm, {'exit': 1}, resolved=True)


@pytest.mark.parametrize('fault', FAULTS, ids=str)
def test_p5_p6_a_fault_in_upgrade_charm_of_the_same_version(world, charm, fault):
    it = world(3)
    before = it.juju.app_bag()
    upgrade(it, charm, fault)
    assert it.juju.app_bag() == before
