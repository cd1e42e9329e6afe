"""What a unit says of itself: from the bags and from the files in pki/, as they are now."""
from datetime import timedelta
from typing import TYPE_CHECKING, Iterator

from ops import ActiveStatus, BlockedStatus, StatusBase, WaitingStatus

import pki
import pki_files
from authority import LOST, NoAuthority

if TYPE_CHECKING:
    from charm import TlsExample


def one_line(text: object) -> str:
    """The text without what is not printable, and of a length for people."""
    words = ' '.join(str(text).split())
    return ''.join(each if each.isprintable() else ' ' for each in words).strip()[:200]


def days(number: float) -> str:
    return '1 day' if int(number) == 1 else f'{int(number)} days'


def statuses(charm: 'TlsExample') -> Iterator[StatusBase]:
    """All that there is to say; Juju shows the worst."""
    if charm.options.fault:
        yield BlockedStatus(charm.options.fault)
    if charm.tls:
        yield from of_the_request(charm)
    yield from of_the_files(charm)
    for fault in charm.faults:
        yield BlockedStatus(one_line(fault))
    yield from of_the_ca(charm)


def of_the_request(charm: 'TlsExample') -> Iterator[StatusBase]:
    assert charm.tls
    outcome = charm.tls.outcome()
    if outcome and outcome.refusal:
        yield BlockedStatus(f'request refused: {one_line(outcome.refusal)}')
    elif outcome and not pki_files.is_in_use(outcome.certificate):
        fault = pki_files.unfit(outcome.certificate) or pki.untimely(outcome.certificate)
        if fault:
            yield WaitingStatus(f'certificate {fault}')


def of_the_files(charm: 'TlsExample') -> Iterator[StatusBase]:
    standing, chain = pki_files.standing(), pki_files.in_use()
    fault = standing and pki_files.unfit(chain)
    if not standing or fault:
        yield WaitingStatus(f'certificate in use {fault}' if fault
                            else 'for a certificate from the leader')
        return
    if pki.untimely(chain):
        yield BlockedStatus(f'certificate in use {pki.untimely(chain)}')
    yield from deadlines(charm, chain)
    yield ActiveStatus(str(standing) + notes(charm, chain))


def of_the_ca(charm: 'TlsExample') -> Iterator[StatusBase]:
    """The leader tells that the secret is gone before somebody needs a certificate."""
    if charm.tls and charm.unit.is_leader() and charm.tls.certificates():
        try:
            if not charm.authority.content:
                yield BlockedStatus(LOST)
        except NoAuthority as fault:
            yield BlockedStatus(one_line(fault))


def span(chain: str) -> float:
    """The days from the certificate's start to its end."""
    leaf = pki.certificates(chain)[0]
    return (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / timedelta(days=1)


def deadlines(charm: 'TlsExample', chain: str) -> Iterator[StatusBase]:
    """A renewal begins when a third of the time is left: near the end, nobody has answered."""
    left = pki.days_left(chain)
    if left < span(chain) / 6:
        yield BlockedStatus(f'certificate ends in {days(left)}')
    elif left < span(chain) / 3 and charm.tls and charm.tls.waits(charm.unit):
        yield WaitingStatus(f'for a new certificate; the one in use ends in {days(left)}')
    if charm.unit.is_leader() and ca_days_left(chain) < charm.options.days / 3:
        yield BlockedStatus(f'the CA ends in {days(ca_days_left(chain))}: run the action new-ca')


def ca_days_left(chain: str) -> float:
    return pki.days_left(pki.pem(pki.signer(chain)))


def notes(charm: 'TlsExample', chain: str) -> str:
    """What a leader adds though all is well with itself."""
    if not charm.tls or not charm.unit.is_leader():
        return ''
    states = [charm.tls.state(unit) for unit in charm.tls.members()]
    waiting = states.count('waiting') + states.count('none')
    text = f'; {waiting} of {len(states)} waiting' if waiting else ''
    if ca_days_left(chain) < 2 * charm.options.days:
        text += f'; the CA ends in {days(ca_days_left(chain))}: run the action new-ca'
    return text
