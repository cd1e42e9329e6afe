"""The actions. Each is the hook of its name; all but the first two are for the leader.

A change of CA: `new-ca`, `reissue`, `drop-old-ca`. The last two wait for what is installed.
"""
from contextlib import suppress

from charmhelpers.core import hookenv
from charms.reactive import endpoint_from_name, hook

import authority
import options
import status
from lazy import pki, pki_files


def act(step, leader=True):
    """Run a step of an action: what it returns is the result; with a Fault the action fails."""
    try:
        if leader and not hookenv.is_leader():
            raise pki.Fault('{} does not lead'.format(hookenv.local_unit()))
        hookenv.action_set({'result': step(endpoint_from_name('certificates'))})
    except (pki.Fault, OSError, ValueError) as fault:
        hookenv.action_fail(status.line(fault, 1000))


# Any unit.

@hook('renew')
def renew():
    act(ask_anew, leader=False)


@hook('new-key')
def new_key():
    act(ask_with_new_key, leader=False)


def ask_anew(tls):
    unit, refusal = hookenv.local_unit(), tls.get_refusal()
    before = options.bag_of(unit).get('csr_number')
    tls.set_csr(pki_files.request(unit))
    number = options.bag_of(unit).get('csr_number')
    if number == before:
        raise pki.Fault('there is no relation yet' if not number else
                        'refused: {}; see new-key'.format(refusal) if refusal else
                        'request {} still waits for the leader'.format(number))
    return 'request {} is published'.format(number)


def ask_with_new_key(tls):
    if pki_files.NEW_KEY.exists() and not tls.get_refusal():
        raise pki.Fault('a new key waits for its certificate already')
    if not options.bag_of(hookenv.local_unit()):
        raise pki.Fault('there is no relation yet')
    pki_files.new_key()
    return ask_anew(tls)


# The leader.

@hook('list-certificates')
def list_certificates():
    if hookenv.is_leader():
        requests = endpoint_from_name('certificates').get_requests()
        hookenv.action_set({'certificates': '\n'.join(
            row(unit, request) for unit, request in requests.items())})
    else:
        hookenv.action_fail('{} does not lead'.format(hookenv.local_unit()))


def row(unit, request):
    told = request['reason'] or ''
    try:
        leaf = pki.certificates(request['certificate'] or '')[0]
        told = 'serial {:x}, until {:{}}{}'.format(
            leaf.serial_number, leaf.not_valid_after_utc, pki.DATE,
            ', in use' if request['in_use'] else '')
    except pki.Fault:
        pass
    return '{:<24} {:<9} {}'.format(unit, request['state'], status.line(told)).rstrip()


@hook('new-ca')
def new_ca():
    act(make_other_ca)


@hook('cancel-new-ca')
def cancel_new_ca():
    act(drop_other_ca_before_it_signs)


@hook('reissue')
def reissue():
    act(sign_again)


@hook('drop-old-ca')
def drop_old_ca():
    act(drop_other_ca)


def make_other_ca(tls):
    """Have all units trust a new CA, too; the old one goes on signing, if it is still there.

    If it is not, what it has signed goes on until `reissue`.
    """
    ca = authority.read()
    if 'other-certificate' in ca:
        raise pki.Fault('another change of CA is under way')
    ca = ca or {'certificate': trusted(tls)}
    certificate, key = pki.make_ca(hookenv.application_name())
    return change(tls, dict(ca, **{'other-certificate': certificate, 'other-key': key}),
                  'the units are told to trust the new CA, too; then: reissue')


def trusted(tls):
    """The certificates of the CAs that stand in the units' chains."""
    found = []
    for request in tls.get_requests().values():
        with suppress(pki.Fault):
            found += map(pki.pem, pki.certificates(request['certificate'] or '')[1:])
    if not found:
        raise pki.Fault('there is no CA yet')
    return ''.join(dict.fromkeys(found))


def drop_other_ca_before_it_signs(tls):
    """The way back, before `reissue`."""
    ca = authority.read()
    if 'other-key' not in ca:
        raise pki.Fault('there is no new CA that does not sign yet')
    if 'key' not in ca:
        raise pki.Fault('the CA before it is gone, and there is no way back; then: reissue')
    return change(tls, {name: ca[name] for name in ('certificate', 'key')},
                  'the units are told not to trust the new CA')


def sign_again(tls):
    """Sign every unit's request again; by the new CA, once all units trust it."""
    ca = authority.read()
    if not ca:
        raise pki.Fault('there is no CA, or ' + authority.LOST)
    if 'other-key' not in ca:
        tls.reissue()
        return 'all certificates are signed again'
    wait_for(tls, lambda chain: ca['other-certificate'] in chain)
    return change(tls, {'certificate': ca['other-certificate'], 'key': ca['other-key'],
                        'other-certificate': ca['certificate']},
                  'the new CA signs; then: drop-old-ca')


def drop_other_ca(tls):
    """Have no unit trust the old CA any more, once all have a certificate of the new one."""
    ca = authority.read()
    if 'other-certificate' not in ca or 'other-key' in ca:
        raise pki.Fault('there is no old CA to drop')
    wait_for(tls, lambda chain: pki.signer(chain) in pki.certificates(ca['certificate']))
    return change(tls, {name: ca[name] for name in ('certificate', 'key')},
                  'the units are told not to trust the old CA')


def change(tls, ca, result):
    authority.write(ca)
    tls.reissue()
    return result


def wait_for(tls, is_ready):
    """Fault, with the units that have not installed what is ready, unless that is overridden."""
    behind = ['{} ({})'.format(unit, request['state'] if request['state'] != 'answered' else
                               'not installed' if not request['in_use'] else 'not ready')
              for unit, request in tls.get_requests().items()
              if request['state'] != 'answered' or not request['in_use']
              or not is_ready(request['certificate'])]
    if behind and not hookenv.action_get('force'):
        raise pki.Fault('not installed by {}; force=true goes on without them'.format(
            ', '.join(behind)))
