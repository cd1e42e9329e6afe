"""The layer of the README's recipes. Tests steer it by the options in config.yaml.

Of the CAs the first signs, and all are trusted. They are in a file, so they stay on their leader;
tests/example shows where they belong.
"""
import json
import subprocess
from pathlib import Path

from charmhelpers.core import hookenv
from charms.reactive import clear_flag, endpoint_from_name, hook, set_flag, when

import pki

CAS = Path('cas.json')
RELOAD = ['sh', '-c', 'sha256sum ca.pem certificate.pem >> reloaded']


def read_cas():
    if not CAS.exists():
        write_cas([pki.make_ca('first CA')])
    return json.loads(CAS.read_text())


def write_cas(cas):
    CAS.write_text(json.dumps(cas))


def request(after=None):
    """The CSR that this unit keeps in a file, beside the key that it is for; another after a
    refusal."""
    if after or not Path('request.pem').exists():
        if not Path('key.pem').exists():
            Path('key.pem').touch(0o600)  # nobody else may read it
            Path('key.pem').write_text(pki.make_key())
        Path('request.pem').write_text(
            pki.make_request(Path('key.pem').read_text(), hookenv.local_unit()))
    return Path('request.pem').read_text()


@when('create certificate signing request')
def ask(tls):
    tls.set_csr(request(after=tls.get_refusal()))


def certificate_for(unit, csr):
    if hookenv.config('is-out-of-order'):
        raise OSError('no answer')
    if unit == hookenv.config('bans'):
        raise pki.BadRequest('{} is banned'.format(unit))
    signer, *others = read_cas()
    chain = [pki.sign(csr, unit, address_of(unit), signer, hookenv.config('age'))]
    return ''.join(chain + [ca['certificate'] for ca in [signer] + others])


@when('sign certificate signing request')
def sign(tls):
    for unit, csr in tls.get_csr_map().items():
        try:
            tls.set_cert(unit, certificate_for(unit, csr))
        except pki.BadRequest as fault:  # the unit has to make another
            tls.refuse_csr(unit, str(fault))
        except OSError as error:  # the request goes on waiting
            hookenv.log('cannot sign for {}: {}'.format(unit, error), hookenv.ERROR)


@when('signed certificate available')
def install(tls):
    certificate, *trusted = pki.split(tls.get_signed_cert())
    Path('ca.pem').write_text(''.join(trusted))
    Path('certificate.pem').write_text(certificate)
    set_flag('my-charm.installed')
    clear_flag('signed certificate available')


@when('my-charm.installed')
def reload():
    subprocess.check_call(RELOAD)
    endpoint_from_name('certificates').confirm_cert()
    clear_flag('my-charm.installed')


def address_of(unit):
    relation = hookenv.relation_ids('certificates')[-1]
    return hookenv.relation_get('ingress-address', unit=unit, rid=relation)


@hook('update-status', 'config-changed')
def look_again():
    tls = endpoint_from_name('certificates')
    chain, address = tls.get_signed_cert(), address_of(hookenv.local_unit())
    if chain and (pki.is_due(chain) or address not in pki.addresses_in(chain)):
        tls.set_csr(request())


@hook('renew')
def renew():
    endpoint_from_name('certificates').set_csr(request())


@hook('new-ca', 'use-new-ca', 'drop-old-ca')
def change_ca():
    tls, (first, *others) = endpoint_from_name('certificates'), read_cas()
    behind = [unit for unit, it in tls.get_requests().items()
              if it['state'] != 'answered' or not it['in_use']]
    if behind:
        hookenv.action_fail('not in use yet on ' + ' '.join(behind))
        return
    tls.reissue()  # raises if this unit does not lead: then the action fails
    write_cas({'new-ca': [first, pki.make_ca('next CA')],  # trusted, and does not sign yet
               'use-new-ca': others + [first],             # signs; the old one is trusted
               'drop-old-ca': [first]}[hookenv.hook_name()])


@hook('update-status')
def tell_status():
    tls = endpoint_from_name('certificates')
    waiting = [unit for unit, it in tls.get_requests().items() if it['state'] == 'waiting']
    if tls.get_refusal():
        hookenv.status_set('blocked', 'CSR refused: ' + tls.get_refusal())
    elif not tls.get_signed_cert():
        hookenv.status_set('waiting', 'for a certificate from the leader')
    else:
        hookenv.status_set('active', 'waiting: {}'.format(waiting) if waiting else 'ready')
