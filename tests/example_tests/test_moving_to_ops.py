"""From the reactive example to the one in ops and back: a refresh, unit by unit, as any other."""
from collections import Counter
from itertools import permutations

import pytest

import ops_build
from charm_build import build
from deployed import parties, served
from forked import ForkedJuju
from handshake import shake_hands
from world import TESTS

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('moving')]

UNITS = ['tls-example/{}'.format(number) for number in range(4)]


@pytest.fixture(scope='module')
def charms(tmp_path_factory):
    """The example that is reactive, and the one in ops."""
    directory = tmp_path_factory.mktemp('charms')
    return build(TESTS / 'example', directory / 'reactive'), ops_build.assemble(directory / 'ops')


@pytest.fixture(scope='module')
def four(charms, tmp_path_factory, request):
    """Four units of the reactive example on that Juju, all served, the first the leader."""
    with ForkedJuju(charms[0], tmp_path_factory.mktemp('four') / 'units', real=True, forked=True,
                    version=request.param) as juju:
        for _ in UNITS:
            juju.add_unit()
        juju.elect(UNITS[0])
        juju.settle()
        yield juju


def test_both_make_keys_and_certificates_and_keep_files_by_the_same_code():
    for name in 'pki.py', 'pki_files.py', 'placing.py':
        reactive, ops = TESTS / 'example/lib' / name, TESTS / 'ops-example/src' / name
        assert ops.read_text() == reactive.read_text(), 'copy {} to {}'.format(reactive, ops)


class Move:
    """What is done to the units while they move, and what is seen in each hook."""

    def __init__(self, juju):
        self.juju = juju
        self.keys = {unit: self.file(unit, 'key.pem') for unit in juju.units()}
        self.served = set(juju.units())
        self.requests = 0
        self.answered = Counter()

    def file(self, unit, name):
        path = self.juju.unit_directory(unit) / 'charm/pki' / name
        return path.read_text() if path.exists() else None

    def id(self, unit):
        return self.juju.app_bag().get(unit + '_csr_id')

    def settle(self):
        """One hook per unit in turn, as the double's own, with a look after each."""
        while any(self.juju.next_hook(unit) for unit in self.juju.units()):
            for unit in self.juju.units():
                if self.juju.next_hook(unit):
                    self.run(unit)

    def run(self, unit):
        run = self.juju.run(unit)
        assert run.committed, run.story()
        key = self.file(unit, 'key.pem')
        assert self.keys.get(unit) in (None, key)
        self.keys[unit] = key
        self.served |= {unit} if self.file(unit, 'certificate.pem') else set()
        assert (unit in self.served) == bool(self.file(unit, 'certificate.pem'))
        for key, (_, new) in run.changes.get(self.juju.model.app, {}).items():
            name, _, kind = key.partition('_')
            if new and kind != 'csr_id':
                self.answered[name, self.id(name)] += 1
        return run

    def renew(self, *units):
        """These units ask anew, the leader first, before anything else is due on them.

        By the action: with another `certificate-days` what the leader signs for itself meanwhile
        would be renewed once more when that is set back.
        """
        for unit in sorted(units, key=lambda unit: unit != self.juju.model.leader):
            while self.juju.next_hook(unit):
                self.run(unit)
            self.juju.action(unit, 'renew')
            assert unit in self.run(unit).changes
            self.requests += 1

    def refresh(self, order, charm):
        """Refresh the units in this order. On the way the first and the last renew, a unit is
        added, and the leader goes; one of the other charm leads after it, if there is one.
        """
        self.renew(order[0], order[-1])
        for number, unit in enumerate(order):
            if number == 1:
                new = self.juju.add_unit()
                self.requests += 1
            if number == 3:
                leader = self.juju.model.leader
                self.renew(new, order[1])
                self.juju.remove_unit(leader)
                self.settle()
                self.juju.elect(order[-1] if leader != order[-1] else new)
            if unit in self.juju.units():
                self.juju.refresh(unit, charm)
            self.settle()

    def check(self, charm):
        """All as promised."""
        assert {unit.charm for unit in self.juju.model.units.values() if unit.life == 'alive'} \
            == {str(charm)}
        served(self.juju)
        assert set(self.answered.values()) == {1}, self.answered
        assert len(self.answered) == self.requests
        for unit in self.juju.units():
            assert self.id(unit).partition('-')[0] == self.juju.bag(unit)['csr_number']
            answer = self.juju.app_bag()[unit + '_signed_certificate']
            assert answer == self.file(unit, 'certificate.pem') + self.file(unit, 'ca.pem')


def order(units, leader, position):
    """The units with the leader at that position; the others are alike."""
    others = [unit for unit in units if unit != leader]
    return others[:position] + [leader] + others[position:]


@pytest.mark.slow
@pytest.mark.parametrize('four, position', [
    ('3.6.8', 0), ('4.1.0', 1), ('3.6.8', 2), ('4.1.0', 3)], indirect=['four'])
def test_unit_by_unit_to_ops_and_back(charms, four, tmp_path, position):
    reactive, ops = charms
    with four.copy(tmp_path / 'units') as juju:
        there = Move(juju)
        there.refresh(order(juju.units(), juju.model.leader, position), ops)
        there.check(ops)
        back = Move(juju)
        back.refresh(order(juju.units(), juju.model.leader, position), reactive)
        # Of the one that came meanwhile the reactive charm knows nothing: it asks once more.
        back.requests += 'tls-example/4' in juju.units()
        back.check(reactive)


@pytest.mark.slow
@pytest.mark.parametrize('four', ['4.1.0'], indirect=True)
def test_as_processes_and_every_pair_shakes_hands_on_the_way(charms, four, tmp_path):
    with four.copy(tmp_path / 'units') as juju:
        juju.forked = False
        move, unitdata = Move(juju), {}
        for unit in UNITS[1], UNITS[0], UNITS[2], UNITS[3]:
            if unit in UNITS[1:3]:
                juju.action(unit, 'renew')
                move.requests += 1
                move.run(unit)
            unitdata[unit] = juju.kv(unit)
            juju.refresh(unit, charms[1])
            move.settle()
            for server, client in permutations(parties(juju), 2):
                assert shake_hands(server, client) == (client.name, server.name)
        juju.action(UNITS[3], 'renew')
        move.requests += 1
        move.settle()
        move.check(charms[1])
        assert {unit: juju.kv(unit) for unit in UNITS} == unitdata  # for the way back


@pytest.mark.slow
@pytest.mark.parametrize('four', ['3.6.8'], indirect=True)
def test_out_of_an_error_with_a_renewal_that_was_not_committed(charms, four, tmp_path):
    """What the record says and the bag does not is asked again, here or when it is back."""
    with four.copy(tmp_path / 'units') as juju:
        move = Move(juju)
        for charm in reversed(charms):
            juju.model.config['certificate-days'] *= 4
            juju.update_status(UNITS[1])
            assert not juju.run(UNITS[1], fail_commit=True).changes
            juju.refresh(UNITS[1], charm, force=True)
            move.settle()
            move.requests += 1
            assert move.answered[UNITS[1], move.id(UNITS[1])] == 1
        assert 'upgrade-charm' not in [run.hook.name for run in juju.runs]
        assert len(move.answered) == move.requests
