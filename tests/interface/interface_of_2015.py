"""A stand-in for the interface of 2015, for the upgrade tests: its wire and its flags.

The CSR is under `csr` in the unit's bag, the answers are in the leader's own bag, there are no
ids. Every call works on the conversation with the remote unit of the hook that happens to run.
"""
from charmhelpers.core import hookenv
from charms.reactive import RelationBase, hook, scopes


class Original(RelationBase):
    scope = scopes.UNIT

    @hook('{peers:tls}-relation-joined')
    def joined(self):
        self.conversation().set_state('create certificate signing request')

    @hook('{peers:tls}-relation-changed')
    def changed(self):
        peer = self.conversation()
        if hookenv.is_leader():
            if peer.get_remote('csr'):
                peer.set_state('sign certificate signing request')
        elif peer.get_remote(hookenv.local_unit() + '_signed_certificate'):
            peer.set_state('signed certificate available')

    def set_csr(self, csr):
        peer = self.conversation()
        peer.set_remote('csr', csr)
        peer.remove_state('create certificate signing request')

    def get_csr_map(self):
        return {peer.scope: peer.get_remote('csr') for peer in self.conversations()}

    def set_cert(self, unit, certificate):
        peer = self.conversation(unit)
        peer.set_remote(unit + '_signed_certificate', certificate)
        peer.remove_state('sign certificate signing request')

    def get_signed_cert(self):
        return self.conversation().get_remote(hookenv.local_unit() + '_signed_certificate')
