"""The unit's status: what it has, what is wrong, and what ends when."""
from charmhelpers.core import hookenv, unitdata
from charms.reactive import is_flag_set
from charms.reactive.helpers import data_changed

import authority
import options
from lazy import Lazy, pki, pki_files

GRADES = 'blocked', 'waiting', 'active'  # the worst first
CANNOT_SIGN = 'status.cannot-sign'  # in the cache, which lasts for a hook

# The shares of the lifetime of a certificate, and of a CA, that are left when the status warns, and
# when it is blocked. A renewal is asked for when a third is left.
CERTIFICATE_ENDS, CA_ENDS = (0.3, 0.1), (0.1, 0.03)


def line(text, most=200):
    """One line of that length without control characters, whatever the text is."""
    words = ' '.join(str(text).split())
    return ''.join(each if each.isprintable() else '?' for each in words)[:most]


def cannot_sign(unit, error):
    """Its request goes on waiting, and the next hook tries again; the log has the whole error."""
    hookenv.log('cannot sign for {}: {!r}'.format(unit, error)[:2000], hookenv.ERROR)
    hookenv.cache[CANNOT_SIGN] = 'cannot sign: ' + (str(error) or type(error).__name__)


def look_for_the_ca():
    """Have the leader know that the secret is gone before somebody needs a certificate."""
    try:
        if hookenv.hook_name() == 'update-status' and hookenv.is_leader():
            authority.read()
    except pki.Fault as fault:
        hookenv.log('it is not known whether the CA is there: {}'.format(fault), hookenv.WARNING)


def tell(tls):
    """Set the status, in each hook that may have changed it; whether all is well, or None."""
    is_refused = data_changed('refusal', tls.get_refusal(), hash_type='sha256')
    if not (is_refused or Lazy.used or hookenv.hook_name() in ('leader-elected', 'upgrade-charm')):
        return None
    told = [*of_the_options(), *of_the_request(tls), *of_the_files()]
    told = [*(told or [('waiting', 'for a certificate from the leader')]), *of_the_leader(tls)]
    grade = min((grade for grade, _ in told), key=GRADES.index)
    status = grade, '; '.join(line(text) for _, text in told)
    if data_changed('status', status, hash_type='sha256'):
        hookenv.status_set(*status)
    return grade == 'active'


def of_the_options():
    for option in (options.days, options.names):
        try:
            option()
        except pki.Fault as fault:
            yield 'blocked', fault


def of_the_request(tls):
    refusal, chain = tls.get_refusal(), tls.get_signed_cert()
    if refusal:
        yield 'blocked', 'request refused: ' + refusal
    fault = chain and (pki_files.unfit(chain) or pki.untimely(chain))
    if fault:
        yield 'waiting', 'certificate ' + fault
    if is_flag_set('tls-example.installed'):
        yield 'waiting', 'for the service to read its certificate'


def of_the_files():
    standing = pki_files.standing()
    if standing:
        leaf = pki.certificates(pki_files.in_use())[0]
        yield from ending('certificate', leaf, CERTIFICATE_ENDS, 'and no other has come')
        yield 'active', standing


def of_the_leader(tls):
    requests = tls.get_requests()  # none if it does not lead
    if CANNOT_SIGN in hookenv.cache:
        yield 'blocked', hookenv.cache[CANNOT_SIGN]
    if requests and pki_files.standing():
        try:
            ca = pki.signer(pki_files.in_use())
            yield from ending('the CA', ca, CA_ENDS, 'change it by the action new-ca')
        except pki.Fault:
            pass  # told of the files
    if unitdata.kv().get(authority.GONE) and any(
            request['certificate'] for request in requests.values()):
        yield 'blocked', authority.LOST
    states = [request['state'] for request in requests.values()]
    waiting = states.count('waiting') + states.count('none')
    if waiting:
        yield 'active', '{} of {} waiting'.format(waiting, len(states))


def ending(what, certificate, shares, advice):
    """Whether that certificate ends soon, by the time that it lasts."""
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    left = (end - pki.now()).total_seconds()
    share = left / (end - start).total_seconds()
    if left <= 0:
        yield 'blocked', '{} ended {:.1f} days ago, {}'.format(what, -left / 86400, advice)
    elif share < shares[0]:
        yield ('blocked' if share < shares[1] else 'active'), '{} ends in {:.1f} days, {}'.format(
            what, left / 86400, advice)
