#!/usr/bin/env python3
"""The charm of tests/example in ops: the same relation, the same files, the same secret.

Each can be refreshed to the other, unit by unit.
"""
import ipaddress
import logging
from typing import Dict, Iterable

import ops

import pki
from tls import Certificates

CA_LABEL = 'certificate-authority'

logger = logging.getLogger(__name__)


class TlsExample(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        relation = self.model.get_relation('certificates')
        self.tls = Certificates(relation, self.unit) if relation else None
        self.fault = ''
        on, peers = self.on, self.on['certificates']
        for event in (on.leader_elected, on.config_changed, on.start, on.upgrade_charm,
                      on.update_status, on.renew_action, peers.relation_created,
                      peers.relation_changed, peers.relation_departed):
            framework.observe(event, self.look)
        framework.observe(on.reissue_action, self.reissue)
        framework.observe(on.collect_unit_status, self.tell)

    def look(self, event: ops.EventBase) -> None:
        """In any hook: does this unit lack something, and does somebody wait for it?"""
        if not self.tls:
            return
        csr = pki.request(self.unit.name)
        own, answer = self.tls.request(self.unit), self.tls.answer(self.unit)
        if own.csr != csr or not own.number or own.number < answer.number:
            self.tls.ask(csr)
        elif own.id == answer.id and answer.certificate:
            self.install(answer.certificate)
            if self.is_to_renew(event):
                self.tls.ask(csr)
        if self.unit.is_leader():  # after it has read its own answer: what it writes is not yet so
            members = self.tls.members(getattr(event, 'departing_unit', None))
            self.sign(unit for unit in members if self.tls.waits(unit))

    def install(self, chain: str) -> None:
        files = [file.read_text() for file in (pki.CERTIFICATE, pki.CA) if file.exists()]
        try:
            if pki.blocks(chain) != pki.blocks(''.join(files)):
                pki.install(chain)
        except (pki.Fault, ValueError) as fault:
            self.fault = 'not installed: {}'.format(fault)

    def is_to_renew(self, event: ops.EventBase) -> bool:
        days = int(self.config['certificate-days'])
        return isinstance(event, ops.ActionEvent) \
            or isinstance(event, ops.UpdateStatusEvent) and pki.ends_within(days * 86400 // 3)

    def tell(self, event: ops.CollectStatusEvent) -> None:
        """Say what this unit has or waits for; the leader, how many wait."""
        status, text = 'waiting', 'for a certificate from the leader'
        if pki.standing():
            status, text = 'active', pki.standing()
        if self.tls:
            own, answer = self.tls.request(self.unit), self.tls.answer(self.unit)
            if own.id == answer.id and answer.refusal:
                status, text = 'blocked', 'request refused: ' + answer.refusal
            if self.unit.is_leader():
                members = self.tls.members()
                waiting = sum(self.tls.request(unit).id != self.tls.answer(unit).id
                              for unit in members)
                text += '; {} of {} waiting'.format(waiting, len(members)) if waiting else ''
        if self.fault:
            status, text = 'blocked', self.fault
        event.add_status(ops.StatusBase.from_name(status, text))

    # The leader.

    def sign(self, units: Iterable[ops.Unit]) -> None:
        assert self.tls
        for unit in units:
            csr = self.tls.request(unit).csr
            objection = pki.objection(csr)
            if objection:
                self.tls.give(unit, refusal=objection)
            else:
                self.tls.give(unit, certificate=self.certificate_for(unit, csr))

    def certificate_for(self, unit: ops.Unit, csr: str) -> str:
        """The chain for that unit: its certificate, then those of the CAs that peers may have."""
        assert self.tls
        names = ['DNS:' + unit.name.replace('/', '-')]
        try:  # Juju's word for the address, not the CSR's
            address = self.tls.relation.data[unit].get('ingress-address', '')
            names.append('IP:{}'.format(ipaddress.ip_address(address)))
        except ValueError:
            logger.warning('%s has no IP address for its certificate', unit.name)
        ca = self.certificate_authority()
        certificate = pki.sign(csr, unit.name, names, int(self.config['certificate-days']),
                               ca['certificate'], ca['key'])
        return certificate + ca['certificate'] + ca.get('other-certificate', '')

    def certificate_authority(self) -> Dict[str, str]:
        """What is in the secret, as the reactive charm tells it; the first leader makes it."""
        try:
            return self.model.get_secret(label=CA_LABEL).get_content(refresh=True)
        except ops.SecretNotFoundError:
            certificate, key = pki.make_ca(self.app.name)
            ca = {'certificate': certificate, 'key': key}
            self.app.add_secret(ca, label=CA_LABEL)
            return ca

    def reissue(self, event: ops.ActionEvent) -> None:
        if not self.unit.is_leader():
            event.fail('{} does not lead'.format(self.unit.name))
        elif self.tls:
            self.sign(unit for unit in self.tls.members() if self.tls.waits(unit, again=True))


if __name__ == '__main__':
    ops.main(TlsExample)
