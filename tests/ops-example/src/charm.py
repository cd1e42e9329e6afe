#!/usr/bin/env python3
"""The charm of tests/example in ops: the same relation, the same files, the same secret.

Each can be refreshed to the other, unit by unit.
"""
import logging
from typing import Dict, Iterable, Optional

import ops

import pki
import pki_files
from tls import Certificates

CA_LABEL = 'certificate-authority'

logger = logging.getLogger(__name__)


class TlsExample(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        relation = self.model.get_relation('certificates')
        self.tls = Certificates(relation, self.unit) if relation else None
        self.lifetime = min(max(int(self.config['certificate-days']), pki.DAYS[0]), pki.DAYS[-1])
        self.fault: Optional[str] = None  # why its certificate is not to be used now
        on, peers = self.on, self.on['certificates']
        framework.observe(on.collect_unit_status, self.tell)
        if relation:
            framework.observe(on.renew_action, self.renew)
            framework.observe(on.reissue_action, self.reissue)
            for event in (on.leader_elected, on.config_changed, on.start, on.upgrade_charm,
                          on.update_status, peers.relation_created, peers.relation_changed,
                          peers.relation_departed):
                framework.observe(event, self.look)

    def look(self, event: ops.EventBase, renew: bool = False, again: bool = False) -> None:
        """In any hook: does this unit lack something, and does somebody wait for it?"""
        assert self.tls
        csr = pki_files.request(self.unit.name)
        own, answer = self.tls.request(self.unit), self.tls.answer(self.unit)
        if self.tls.is_to_ask(csr, served=pki_files.is_in_use(answer.certificate)):
            self.tls.ask(csr)
        elif answer.certificate and (own.number < answer.number or own.id == answer.id):
            self.install(answer.certificate)
            if renew or self.is_to_renew(event, answer.certificate):
                self.tls.ask(csr)
        if self.unit.is_leader():  # after it has read its own answer: what it writes is not yet so
            leaver = getattr(event, 'departing_unit', None)
            self.tls.forget_leavers(leaver)
            self.sign(self.tls.members(leaver), again)

    def renew(self, event: ops.ActionEvent) -> None:
        self.look(event, renew=True)

    def reissue(self, event: ops.ActionEvent) -> None:
        if self.unit.is_leader():
            self.look(event, again=True)
        else:
            event.fail('{} does not lead'.format(self.unit.name))

    def install(self, chain: str) -> None:
        self.fault = pki_files.unfit(chain) or pki.untimely(chain)
        if not self.fault and not pki_files.is_in_use(chain):
            pki_files.install(chain)

    def is_to_renew(self, event: ops.EventBase, chain: str) -> bool:
        """It ends soon, is of no use, or this unit has another address than is in it."""
        if not isinstance(event, (ops.UpdateStatusEvent, ops.ConfigChangedEvent)):
            return False
        address = self.address_of(self.unit)
        return bool(pki_files.unfit(chain)) or pki.is_to_renew(chain, self.lifetime) \
            or bool(address) and not pki.is_for(chain, self.unit.name, [address])

    def tell(self, event: ops.CollectStatusEvent) -> None:
        """Say what this unit has, and what is against it; the leader, who else waits."""
        refusal, others, standing = '', '', pki_files.standing()
        if self.tls:
            own, answer = self.tls.request(self.unit), self.tls.answer(self.unit)
            refusal = answer.refusal if own.id == answer.id else ''
            if self.unit.is_leader():
                members = self.tls.members()
                waiting = [unit for unit in members
                           if self.tls.waits(unit) or not self.tls.request(unit).number]
                others = '; {} of {} waiting'.format(len(waiting), len(members)) if waiting else ''
        messages = ['request refused: ' + refusal] if refusal else []
        messages += ['certificate ' + self.fault] if self.fault else []
        messages += [standing] if standing else []
        waits = self.fault or not standing
        event.add_status(ops.StatusBase.from_name(
            'blocked' if refusal else 'waiting' if waits else 'active',
            '; '.join(messages or ['for a certificate from the leader']) + others))

    # The leader.

    def sign(self, units: Iterable[ops.Unit], again: bool) -> None:
        """Answer those who wait; `again`: and those whose request is answered."""
        assert self.tls
        for unit in units:
            answered = self.tls.answer(unit).id == self.tls.request(unit).id != ''
            if not (self.tls.waits(unit) or again and answered):
                continue
            fault = self.tls.fault(unit)
            try:
                if fault:
                    raise pki.BadRequest(fault)
                chain = self.certificate_for(unit, self.tls.request(unit).csr)
                self.tls.give(unit, certificate=chain)
            except pki.BadRequest as reason:
                self.tls.give(unit, refusal=str(reason))

    def certificate_for(self, unit: ops.Unit, csr: str) -> str:
        """The chain for that unit: its certificate, then those of the CAs that peers may have."""
        ca, address = self.authority(), self.address_of(unit)
        certificate = pki.sign(csr, unit.name, [address] if address else [], self.lifetime,
                               ca['certificate'], ca['key'])
        return certificate + ca['certificate'] + ca.get('other-certificate', '')

    def address_of(self, unit: ops.Unit) -> str:
        """The IP address of that unit, or '': it may have none, or a name."""
        assert self.tls
        address = pki.ip_address(self.tls.relation.data[unit].get('ingress-address'))
        if not address:
            logger.warning('%s has no IP address for its certificate', unit.name)
        return address or ''

    def authority(self) -> Dict[str, str]:
        """The CA in the secret, as the reactive charm keeps it there; the first leader makes it."""
        try:
            return self.model.get_secret(label=CA_LABEL).get_content(refresh=True)
        except ops.SecretNotFoundError:
            certificate, key = pki.make_ca(self.app.name)
            ca = {'certificate': certificate, 'key': key}
            self.app.add_secret(ca, label=CA_LABEL)
            return ca


if __name__ == '__main__':
    ops.main(TlsExample)
