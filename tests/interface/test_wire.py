"""The wire, case by case: what peers.py makes of the bags in wire_vectors.json."""
import json
import re

import pytest

from inprocess import InProcessJuju
from wire import RULES, UNIT, WIRE, bag_of, check, each_case, text_of
from world import AVAILABLE, CREATE, SIGN, World


def test_every_rule_has_a_case_and_every_case_a_rule():
    assert {case['rule'] for case in WIRE['cases']} == set(RULES)


def test_no_case_stands_there_twice():
    bags = [json.dumps([bag_of(case, 'own'), bag_of(case, 'application'), case.get('asks')],
                       sort_keys=True) for case in WIRE['cases']]
    assert sorted(bags) == sorted(set(bags))


class Peers:
    """tls/0 leads. No layer answers a flag; the bags are written from outside."""

    def __init__(self, world):
        self.world, self.juju = world, world.juju
        for unit in self.juju.add_unit(), self.juju.add_unit():
            world.tell(unit, 'busy', CREATE + SIGN + AVAILABLE)
        self.juju.elect('tls/0')
        self.juju.settle()
        self.settled = self.juju.save()

    def begin(self, case, own=True):
        """Two units at rest, and then the bags of the case."""
        self.juju.load(self.settled)
        if own:
            self.juju.write(UNIT, **bag_of(case, 'own'))
        self.juju.write_app('tls/0', **bag_of(case, 'application'))

    def update_status(self, unit):
        """What is due on the unit, and then that hook, which any other would swallow."""
        self.juju.settle([unit])
        self.juju.update_status(unit)
        self.juju.settle([unit])

    def leader(self, case):
        self.begin(case)
        self.update_status('tls/0')
        waits = UNIT in self.world.csr_map('tls/0')
        written = self.juju.app_bag() != bag_of(case, 'application')
        refused = written and bool(self.world.refusal(UNIT)) \
            and self.world.answer_id(UNIT) == self.world.request_id(UNIT)
        requests = self.world.do('tls/0', 'results.append(tls.get_requests())')[0]
        return {'waits': waits or refused, 'refused': refused,
                'in_use': requests[UNIT].get('in_use')}

    def unit(self, case):
        """It has published the request itself, as far as it can have; then the answer comes."""
        self.juju.load(self.settled)
        own = bag_of(case, 'own')
        if self.makes(own):
            self.juju.write_app('tls/0', **bag_of(case, 'application'))
        else:
            self.begin(case)
        self.update_status(UNIT)
        after = self.juju.bag(UNIT)
        takes = 'certificate' if self.world.certificate(UNIT) else \
            'refusal' if self.world.refusal_seen_by(UNIT) else None
        return {'takes': takes, 'publishes': None if after.get('csr_number') == own.get(
            'csr_number') else after['csr'] == own['csr'] and after['csr_number']}

    def makes(self, own):
        """Have the unit publish that request; whether it could."""
        if not re.fullmatch('[1-9][0-9]*', own.get('csr_number', '')):
            return False
        if own['csr_number'] != '1':
            self.juju.write(UNIT, csr_number=str(int(own['csr_number']) - 1))
        self.world.do(UNIT, 'try:\n    tls.set_csr({!r})\nexcept ValueError:\n    pass'.format(
            own.get('csr')))
        bag = self.juju.bag(UNIT)
        return all(bag.get(key) == own.get(key) for key in ('csr', 'csr_number'))

    def next(self, case):
        self.begin(case)
        asks = text_of('{%s}' % case.get('asks', 'next csr'))
        self.world.do(UNIT, 'tls.set_csr({!r})'.format(asks))
        assert self.juju.bag(UNIT)['csr'] == asks
        return {'next': self.juju.bag(UNIT)['csr_number']}


@pytest.fixture(scope='module')
def peers(charm, tmp_path_factory):
    world = World(charm, tmp_path_factory.mktemp('wire') / 'model', InProcessJuju)
    yield Peers(world)
    world.juju.close()


@pytest.mark.once
@each_case
def test_peers_py_does_as_the_case_says(peers, case):
    follows = dict(peers.leader(case), **peers.unit(case))
    if 'next' in case:
        follows.update(peers.next(case))
    check(case, follows)
