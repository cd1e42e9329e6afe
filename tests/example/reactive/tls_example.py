"""A charm layer that uses interface:tls: the three flags, and what else a real one needs."""
import json
import subprocess
import tempfile
from pathlib import Path

from charmhelpers.core import hookenv
from charms.reactive import clear_flag, endpoint_from_name, hook, when
from charms.reactive.helpers import data_changed

import pki
import pki_files

CA_LABEL = 'certificate-authority'


@when('create certificate signing request')
def ask(tls):
    tls.set_csr(pki_files.request(hookenv.local_unit()))


@when('sign certificate signing request')
def sign(tls):
    for unit, csr in tls.get_csr_map().items():
        try:
            tls.set_cert(unit, certificate_for(unit, csr))
        except pki.BadRequest as reason:
            tls.refuse_csr(unit, str(reason))


@when('signed certificate available')
def install(tls):
    try:
        pki_files.install(tls.get_signed_cert())
    except pki.Fault:
        return  # `tell` says why; the flag stays, and the next hook tries again
    clear_flag('signed certificate available')


@hook('config-changed', 'update-status')
def renew_in_time():
    """Ask anew when the certificate ends soon, is of no use, or not for this unit's address."""
    chain, address = interface().get_signed_cert(), address_of(hookenv.local_unit())
    if not chain:
        return
    if not pki_files.is_in_use(chain):
        install(interface())  # some of the files are lost
    if pki_files.unfit(chain) or pki.is_to_renew(chain, lifetime()) \
            or address and not pki.is_for(chain, hookenv.local_unit(), [address]):
        renew()


@hook('renew')  # the action
def renew():
    interface().set_csr(pki_files.request(hookenv.local_unit()))


# Actions of the leader. To change the CA without a gap: new-ca, reissue, drop-old-ca, and before
# each next one a look at `juju status`: what the leader has answered every unit has yet to install.

@hook('list-certificates')
def list_certificates():
    if leads():
        hookenv.action_set({'certificates': '\n'.join(
            '{:<24} {:<9} {}'.format(unit, request['state'], reason_in(request)).rstrip()
            for unit, request in interface().get_requests().items())})


def reason_in(request):
    """Of a length, and without a NUL, so that a tool takes it: what waits may have any."""
    return (request['reason'] or '').replace('\0', '')[:200]


@hook('new-ca')
def new_ca():
    """Have all units trust a new CA, too; the old one goes on signing."""
    if not leads():
        return
    ca = certificate_authority()
    if 'other-certificate' in ca:
        hookenv.action_fail('another change of CA is under way')
        return
    certificate, key = pki.make_ca(hookenv.application_name())
    keep(dict(ca, **{'other-certificate': certificate, 'other-key': key}), 'secret-set')
    interface().reissue()


@hook('reissue')
def reissue():
    """Sign every unit's request again; by the new CA, once all units have been told of it."""
    if not leads():
        return
    ca = certificate_authority()
    new = ca.get('other-certificate', '')
    if 'other-key' in ca:
        if are_behind(lambda chain: new in chain):
            return
        keep({'certificate': new, 'key': ca['other-key'], 'other-certificate': ca['certificate']},
             'secret-set')
    interface().reissue()


@hook('drop-old-ca')
def drop_old_ca():
    """Have no unit trust the old CA any more."""
    if not leads():
        return
    ca = certificate_authority()
    if 'other-certificate' not in ca or 'other-key' in ca:
        hookenv.action_fail('there is no old CA to drop')
    elif not are_behind(lambda chain: pki.signer(chain) in pki.certificates(ca['certificate'])):
        keep({'certificate': ca['certificate'], 'key': ca['key']}, 'secret-set')
        interface().reissue()


def are_behind(is_ready):
    """Fail the action with the units whose chain, as far as the leader can see, is not ready."""
    behind = [unit for unit, request in interface().get_requests().items()
              if request['state'] == 'refused'
              or request['certificate'] and not is_ready(request['certificate'])]
    if behind:
        hookenv.action_fail('not ready: ' + ', '.join(behind))
    return behind


def leads():
    if not hookenv.is_leader():
        hookenv.action_fail('{} does not lead'.format(hookenv.local_unit()))
    return hookenv.is_leader()


def interface():
    return endpoint_from_name('certificates')


def tell():
    """Say what this unit has, and what is against it; the leader, who else waits."""
    tls = interface()
    refusal, chain, standing = tls.get_refusal(), tls.get_signed_cert(), pki_files.standing()
    fault = chain and (pki_files.unfit(chain) or pki.untimely(chain))
    messages = ['request refused: ' + refusal] if refusal else []
    messages += ['certificate ' + fault] if fault else []
    messages += [standing] if standing else []
    # A unit that goes has no relation any more in `stop`.
    requests = tls.get_requests() if hookenv.relation_ids('certificates') else {}
    states = [request['state'] for request in requests.values()]
    waiting = states.count('waiting') + states.count('none')
    status = ('blocked' if refusal else 'waiting' if fault or not standing else 'active',
              '; '.join(messages or ['for a certificate from the leader'])
              + ('; {} of {} waiting'.format(waiting, len(states)) if waiting else ''))
    if data_changed('status', status):
        hookenv.status_set(*status)


hookenv.atexit(tell)


def certificate_for(unit, csr):
    """The chain for that unit: its certificate, then those of the CAs by which it knows peers."""
    ca = certificate_authority()
    address = address_of(unit)
    if not address:
        hookenv.log('{} has no IP address for its certificate'.format(unit), hookenv.WARNING)
    certificate = pki.sign(csr, unit, [address] if address else [], lifetime(),
                           ca['certificate'], ca['key'])
    return certificate + ca['certificate'] + ca.get('other-certificate', '')


def lifetime():
    return min(max(hookenv.config('certificate-days'), pki.DAYS[0]), pki.DAYS[-1])


def address_of(unit):
    """The IP address of that unit, or None: it may have none, or a name, or no relation."""
    relations = hookenv.relation_ids('certificates')
    return pki.ip_address(
        relations and hookenv.relation_get('ingress-address', unit, relations[-1]))


def certificate_authority():
    """What is in a secret that the application owns, and that so outlives a leader.

    `certificate` and `key` of the CA that signs. While it is being changed `other-certificate`,
    which the units are to trust, too; with `other-key` that CA is the next to sign. The first
    leader makes it; that and what it signs in the same hook are committed together or not at all.
    """
    found = subprocess.run(['secret-get', '--label', CA_LABEL, '--refresh', '--format', 'json'],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if not found.returncode:
        return json.loads(found.stdout)
    if 'not found' not in found.stderr:
        raise RuntimeError('secret-get: ' + found.stderr.strip())
    certificate, key = pki.make_ca(hookenv.application_name())
    return keep({'certificate': certificate, 'key': key}, 'secret-add')


def keep(ca, tool):
    """Write the secret by secret-add or secret-set."""
    target = ['--label', CA_LABEL]
    if tool == 'secret-set':  # takes no label; this application has one secret
        target = json.loads(subprocess.check_output(['secret-ids', '--format', 'json']))
    with tempfile.TemporaryDirectory() as scratch:  # not as arguments: those can be seen
        for name, text in ca.items():
            pki_files.write(Path(scratch, name), text)
        subprocess.run([tool] + target + ['{0}#file={1}/{0}'.format(name, scratch) for name in ca],
                       check=True)
    return ca
