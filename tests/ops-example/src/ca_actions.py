"""The leader's actions: a table of the certificates, and a change of the CA without a gap.

new-ca has every unit trust another CA, too; reissue has that one sign; drop-old-ca ends the trust
in the old one. The last two wait until every unit uses what the one before has brought it.
"""
from contextlib import suppress
from typing import TYPE_CHECKING, Callable, List

import ops
from cryptography import x509

import pki
from authority import NoAuthority
from pki_files import ca_id
from status import one_line

if TYPE_CHECKING:
    from charm import TlsExample
    from tls import Certificates


class CaActions(ops.Object):
    def __init__(self, charm: 'TlsExample'):
        super().__init__(charm, 'ca-actions')
        self.charm, self.authority = charm, charm.authority
        for event, action in ((charm.on.list_certificates_action, self._list_certificates),
                              (charm.on.new_ca_action, self._new_ca),
                              (charm.on.cancel_new_ca_action, self._cancel_new_ca),
                              (charm.on.reissue_action, self._reissue),
                              (charm.on.drop_old_ca_action, self._drop_old_ca)):
            self.framework.observe(event, action)

    def _list_certificates(self, event: ops.ActionEvent) -> None:
        if self._leads(event):
            event.set_results({'certificates': '\n'.join(map(self._line, self.tls.members()))})

    def _line(self, unit: ops.Unit) -> str:
        """The unit's line of the table."""
        chain, about = self.tls.certificates().get(unit.name), self.tls.answer(unit).refusal
        if chain:
            try:
                leaf = pki.certificates(chain)[0]
                about = f'serial {leaf.serial_number:x}, ' \
                    f'until {leaf.not_valid_after_utc:{pki.DATE}}'
            except pki.Fault as fault:
                about = str(fault)
            about += ', in use' if self.tls.is_in_use(unit) else ''
        return f'{unit.name:<24} {self.tls.state(unit):<9} {one_line(about)}'.rstrip()

    def _new_ca(self, event: ops.ActionEvent) -> None:
        if not self._leads(event):
            return
        if 'other-certificate' in self.authority.content:
            event.fail('another change of CA is under way: '
                       + ('reissue' if self.authority.next_certificate else 'drop-old-ca')
                       + ' comes next')
            return
        trusted = self._trusted()
        if not self.authority.content and not trusted:
            event.fail('there is no CA yet: the first request has one made')
            return
        self.authority.make_next(trusted)
        self._sign_again(event)
        event.set_results({'result': f'{name_of(self.authority.next_certificate)} was made; when '
                                     'every unit uses a chain with it, run reissue'})

    def _cancel_new_ca(self, event: ops.ActionEvent) -> None:
        """No certificate is signed by the new CA yet, so nobody has to wait for anybody."""
        if not self._leads(event):
            return
        if not self.authority.next_certificate:
            event.fail('there is no new CA that does not sign yet')
            return
        if 'key' not in self.authority.content:
            event.fail('the CA before it is gone, and there is no way back: go on with reissue')
            return
        event.set_results({'result': f'{name_of(self.authority.next_certificate)} was dropped'})
        self.authority.drop_other()
        self._sign_again(event)

    def _trusted(self) -> str:
        """The certificates of the CAs that stand in the answers."""
        found: List[x509.Certificate] = []
        for chain in self.tls.certificates().values():
            with suppress(pki.Fault):
                found += pki.certificates(chain)[1:]
        return pki.pem(*dict.fromkeys(found))

    def _reissue(self, event: ops.ActionEvent) -> None:
        if not self._leads(event) or not self._has_ca(event):
            return
        next_ca = self.authority.next_certificate
        signs = next_ca or self.authority.certificate
        if 'other-certificate' in self.authority.content and self._are_behind(
                event, lambda chain: pki.certificates(signs)[0] in pki.certificates(chain)):
            return
        if next_ca:
            self.authority.switch()
        self._sign_again(event)
        event.set_results({'result': f'every certificate is signed again, by {name_of(signs)}'})

    def _drop_old_ca(self, event: ops.ActionEvent) -> None:
        if not self._leads(event) or not self._has_ca(event):
            return
        if not self.authority.old_certificate:
            event.fail('there is no old CA to drop' + (
                ': run reissue first' if self.authority.next_certificate else ''))
            return
        signs = pki.certificates(self.authority.certificate)[0]
        if not self._are_behind(event, lambda chain: signs == pki.signer(chain)):
            self.authority.drop_other()
            self._sign_again(event)
            event.set_results({'result': f'only {name_of(self.authority.certificate)} is trusted'})

    # What they have in common.

    @property
    def tls(self) -> 'Certificates':
        assert self.charm.tls
        return self.charm.tls

    def _leads(self, event: ops.ActionEvent) -> bool:
        if not self.charm.unit.is_leader():
            event.fail(f'{self.charm.unit.name} does not lead')
            return False
        if not self.charm.tls:
            event.fail('there is no relation yet')
            return False
        try:
            self.authority.content
        except NoAuthority as fault:
            event.fail(one_line(fault))
            return False
        return True

    def _has_ca(self, event: ops.ActionEvent) -> bool:
        if not self.authority.content:
            event.fail('there is no CA, or its secret is gone; new-ca makes one')
        return bool(self.authority.content)

    def _are_behind(self, event: ops.ActionEvent, is_ready: Callable[[str], bool]) -> List[str]:
        """Fail the action with the names of the units that do not use a chain that is ready.

        Units that are stopped, lost or refused among them; not if the parameter `force` is true.
        """
        chains, behind = self.tls.certificates(), []
        for unit in self.tls.members():
            try:
                ready = self.tls.is_in_use(unit) and is_ready(chains[unit.name])
            except (KeyError, pki.Fault):  # there is none, or none that can be read
                ready = False
            behind += [] if ready else [unit.name]
        if behind and not event.params.get('force'):
            event.fail('not installed yet by ' + ', '.join(behind))
            return behind
        return []

    def _sign_again(self, event: ops.ActionEvent) -> None:
        members = self.tls.members()
        self.tls.reissue(members)
        self.charm.answer(members)
        if self.charm.faults:
            event.log(f'{one_line(self.charm.faults[0])}; it is tried again in each hook')


def name_of(certificate: str) -> str:
    return 'CA ' + ca_id(pki.certificates(certificate)[0].subject)
