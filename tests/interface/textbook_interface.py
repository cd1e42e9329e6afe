"""The interface as most interfaces are written, for `tox -e bench` to compare ours with.

Answers are in the unit bag of the leader, and each hook reads all there is. It has what a first
version has, and none of the promises; its flags and methods are ours.
"""
from charmhelpers.core import hookenv, unitdata
from charms.reactive import RelationBase, clear_flag, set_flag, toggle_flag

CREATE = 'create certificate signing request'
SIGN = 'sign certificate signing request'
AVAILABLE = 'signed certificate available'

ANSWER = '{}_signed_certificate'


class Textbook(RelationBase):
    def __init__(self, relation_name, conversations=None):
        self._relation_name = relation_name
        self._conversations = []

    def bags(self):
        """{unit: bag} of all members, this unit included."""
        return {unit: hookenv.relation_get(unit=unit, rid=rid) or {}
                for rid in hookenv.relation_ids(self.relation_name)
                for unit in hookenv.related_units(rid) + [hookenv.local_unit()]}

    def write(self, settings):
        for rid in hookenv.relation_ids(self.relation_name):
            hookenv.relation_set(rid, settings)

    def set_csr(self, csr):
        self.write({'csr': csr})
        clear_flag(CREATE)
        self.look()

    def get_csr_map(self):
        bags = self.bags()
        answered = bags[hookenv.local_unit()]
        return {unit: bag['csr'] for unit, bag in bags.items()
                if 'csr' in bag and ANSWER.format(unit) not in answered}

    def set_cert(self, unit, certificate):
        self.write({ANSWER.format(unit): certificate})
        self.look()

    def get_signed_cert(self):
        return unitdata.kv().get(ANSWER.format(hookenv.local_unit()))

    def look(self):
        bags, key = self.bags(), ANSWER.format(hookenv.local_unit())
        if not bags:
            return
        self.flag(CREATE, 'csr' not in bags[hookenv.local_unit()])
        self.flag(SIGN, hookenv.is_leader() and self.get_csr_map())
        for bag in bags.values():
            if bag.get(key) and bag[key] != self.get_signed_cert():
                unitdata.kv().set(key, bag[key])
                self.flag(AVAILABLE, True)

    def flag(self, name, on):
        toggle_flag(name, on)
        if on:
            set_flag(name, {'relation': self.relation_name, 'conversations': []})


def start():
    for endpoint in hookenv.role_and_interface_to_relations('peers', 'tls'):
        Textbook(endpoint).look()


hookenv.atstart(start)
