"""tls.py of the example in ops, case by case: wire_vectors.json."""
import sys

import ops
import pytest
from ops import testing

from wire import UNIT, bag_of, check, each_case, text_of
from world import METADATA, TESTS

sys.path.append(str(TESTS / 'ops-example/src'))

# After the path (E402), by which they are found.
from tls import Certificates  # noqa: E402


class Charm(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        self.tls = Certificates(self.model.get_relation('certificates'), self.unit)


class InOps:
    def __init__(self):
        self.contexts = [testing.Context(Charm, meta=METADATA, app_name='tls', unit_id=number)
                         for number in (0, 1)]

    def look(self, case, leads, ask):
        """What `ask`, a function of the charm's object, gives on the leader or the unit."""
        own, app = bag_of(case, 'own'), bag_of(case, 'application')
        relation = testing.PeerRelation(
            'certificates', local_app_data=app, local_unit_data={} if leads else own,
            peers_data={1: own} if leads else {0: {}})
        context = self.contexts[0 if leads else 1]
        with context(context.on.update_status(),
                     testing.State(relations=[relation], leader=leads)) as manager:
            return ask(manager.charm.tls, manager.charm)

    def leader(self, case):
        def ask(tls, charm):
            unit = charm.model.get_unit(UNIT)
            waits = tls.waits(unit)
            return {'waits': waits, 'refused': waits and bool(tls.fault(unit)),
                    'in_use': tls.is_in_use(unit)}
        return self.look(case, True, ask)

    def unit(self, case):
        def ask(tls, charm):
            answer, csr = tls.outcome(), tls.request(charm.unit).csr
            takes = answer and ('certificate' if answer.certificate else 'refusal')
            try:
                if tls.is_to_ask(csr, served=False):
                    tls.ask(csr)
            except ValueError:  # no charm has that for its CSR
                pass
            number = tls.relation.data[charm.unit].get('csr_number')
            return {'takes': takes,
                    'publishes': None if number == case['own'].get('csr_number') else number}
        return self.look(case, False, ask)

    def next(self, case):
        def ask(tls, charm):
            tls.ask(text_of('{%s}' % case.get('asks', 'next csr')))
            return {'next': tls.relation.data[charm.unit]['csr_number']}
        return self.look(case, False, ask)


@pytest.fixture(scope='module')
def in_ops():
    return InOps()


@each_case
def test_the_example_in_ops_does_as_the_case_says(in_ops, case):
    follows = dict(in_ops.leader(case), **in_ops.unit(case))
    if 'next' in case:
        follows.update(in_ops.next(case))
    check(case, follows)
