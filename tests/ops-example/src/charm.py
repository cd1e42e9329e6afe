#!/usr/bin/env python3
"""The charm of tests/example in ops: the same relation, the same files, the same secret.

Each hook works out what is missing from the bags and from the files in pki/, and does that.
"""
import logging
from typing import Iterable, List, Optional

import ops

import pki
import pki_files
import renewal
import service
from authority import Authority
from ca_actions import CaActions
from options import Options
from status import one_line, statuses
from tls import CERTIFICATE_KINDS, Certificates, fault_in

ENDPOINT = 'certificates'
REGULAR = (ops.UpdateStatusEvent, ops.ConfigChangedEvent)

logger = logging.getLogger(__name__)


class TlsExample(ops.CharmBase):
    def __init__(self, framework: ops.Framework):
        super().__init__(framework)
        # Juju 3 may list two where the endpoint was renamed: the newest counts.
        relation = max(self.model.relations[ENDPOINT], key=lambda each: each.id, default=None)
        self.tls = Certificates(relation, self.unit) if relation else None
        self.authority = Authority(self)
        self.options = Options(self.config)
        self.faults: List[str] = []  # what did not work in this hook, and is tried in the next
        self.ca_actions = CaActions(self)
        on, peers = self.on, self.on[ENDPOINT]
        for event in (on.start, on.config_changed, on.leader_elected, on.update_status,
                      on.upgrade_charm, peers.relation_created, peers.relation_changed,
                      peers.relation_departed):
            framework.observe(event, self._reconcile)
        framework.observe(on.renew_action, self._renew)
        framework.observe(on.new_key_action, self._new_key)
        framework.observe(on.collect_unit_status, self._tell)

    def _reconcile(self, event: ops.EventBase) -> None:
        """Ask for what this unit lacks, use what it has got, and answer requests that wait."""
        if not self.tls:
            return
        csr, answer = pki_files.request(self.unit.name), self.tls.answer(self.unit)
        in_use = pki_files.is_in_use(answer.certificate)
        if self.tls.is_to_ask(csr, served=in_use):
            self.tls.ask(csr)
        elif answer.certificate and (in_use or self.tls.outcome()):
            self._use(answer.certificate, event)
        if self.unit.is_leader():  # last: its own answer counts when the hook has been committed
            leaver = getattr(event, 'departing_unit', None)
            self.tls.forget_leavers(leaver)
            self.answer(self.tls.members(leaver))

    def _use(self, chain: str, event: ops.EventBase) -> None:
        """Put this unit's chain in use, and ask for another when it is time.

        The leader is told at once while it changes the CA (there are two in the chain then),
        otherwise now and then, since every peer runs a hook for it.
        """
        assert self.tls
        regular = isinstance(event, REGULAR)
        if not pki_files.is_in_use(chain):
            try:
                pki_files.install(chain)
            except pki.Fault as fault:  # the status says so, too
                logger.warning('certificate not installed: %s', fault)
        faults = service.follow()
        self.faults += faults
        is_used = pki_files.is_in_use(chain) and not faults
        if is_used and (regular or len(pki.certificates(chain)) > 2):
            self.tls.confirm(chain)
        if regular and not self.options.fault and not self.tls.waits(self.unit) and renewal.is_due(
                chain, self.unit.name, self.address_of(self.unit), self.options):
            self.tls.ask(pki_files.request(self.unit.name))

    def _renew(self, event: ops.ActionEvent) -> None:
        if not self.tls:
            event.fail('there is no relation yet, and so nobody to ask')
            return
        csr, own = pki_files.request(self.unit.name), self.tls.request(self.unit)
        outcome = self.tls.outcome()
        if own.csr == csr and outcome and outcome.refusal:
            event.fail(f'the leader has refused this request: {one_line(outcome.refusal)}; '
                       'new-key makes another')
        elif own.csr == csr and self.tls.waits(self.unit):
            event.fail(f'request {own.number} still waits for the leader')
        else:
            self.tls.ask(csr)
            event.set_results({'result': f'request {self.tls.request(self.unit).number} was made'})
            self._reconcile(event)

    def _new_key(self, event: ops.ActionEvent) -> None:
        if self.tls and self.tls.waits(self.unit) and pki_files.NEW_KEY.exists():
            event.fail('a new key waits for its certificate already')
            return
        if self.tls:
            pki_files.new_key()
        self._renew(event)

    def _tell(self, event: ops.CollectStatusEvent) -> None:
        for status in statuses(self):
            event.add_status(status)

    # The leader.

    def answer(self, units: Iterable[ops.Unit]) -> None:
        """Answer the requests of these units that wait."""
        assert self.tls
        for unit in units:
            if not self.tls.waits(unit):
                continue
            certificate, reason = '', self.tls.fault(unit) or ''
            try:
                if not reason:
                    certificate = self._certificate_for(unit)
            except pki.BadRequest as bad:
                reason = str(bad)
            except Exception as fault:  # of this machine, of Juju, of an option: it goes on waiting
                logger.exception('cannot sign for %s', unit.name)
                self.faults.append(f'cannot sign: {str(fault) or type(fault).__name__}')
                continue
            self.tls.give(unit, certificate, reason)

    def _certificate_for(self, unit: ops.Unit) -> str:
        """The chain for that unit. pki.BadRequest if its CSR is not one to sign."""
        assert self.tls
        if self.options.fault:
            raise ValueError(self.options.fault)
        if not self.authority.content and not self.tls.certificates():
            self.authority.make()
        address = self.address_of(unit)
        if not address:
            logger.warning('%s has no IP address for its certificate', unit.name)
        certificate = self.authority.sign(
            self.tls.request(unit).csr, unit.name, self.options.names_with(address),
            self.options.days, self.tls.answer(unit).certificate)
        fault = fault_in(certificate, CERTIFICATE_KINDS)
        if fault:  # published, it would be no answer, and signed again in each hook
            raise ValueError(f'certificate of {unit.name}: {fault}')
        return certificate

    def address_of(self, unit: ops.Unit) -> Optional[str]:
        """The IP address of that unit, or None: it may have none, or a name."""
        assert self.tls
        return pki.ip_address(self.tls.bag(unit).get('ingress-address'))


if __name__ == '__main__':
    ops.main(TlsExample)
