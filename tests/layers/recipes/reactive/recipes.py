"""The layer of the README's recipes. `pki` stands for your PKI code."""
import json
import os
import subprocess
from pathlib import Path
from tempfile import NamedTemporaryFile

from charmhelpers.core import hookenv
from charms.reactive import clear_flag, endpoint_from_name, hook, set_flag, when

import pki

ENDPOINT = 'certificates'  # as in metadata.yaml
RELOAD = ['sh', '-c', 'sha256sum ca.pem certificate.pem >> reloaded']


def secret(tool, *arguments):
    return subprocess.run([tool, *arguments, '--label', 'cas', '--format', 'json'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)


def read_cas():
    found = secret('secret-get', '--refresh')
    if not found.returncode:
        return hookenv.cache.get('cas') or json.loads(json.loads(found.stdout)['cas'])
    requests = endpoint_from_name(ENDPOINT).get_requests().values()
    if 'not found' not in found.stderr or not requests or any(it['certificate'] for it in requests):
        raise OSError('no CA: ' + found.stderr)  # another would cut off the units
    return write_cas([pki.make_ca()])


def write_cas(cas):
    """Write the secret, or a new one, and return what is in it."""
    found = secret('secret-info-get')
    tool = ['secret-add', '--label', 'cas'] if found.returncode else \
        ['secret-set', *json.loads(found.stdout)]
    with NamedTemporaryFile('w', dir='/dev/shm') as file:  # arguments can be seen, disks be read
        json.dump(cas, file)
        file.flush()
        subprocess.check_call(tool + ['cas#file=' + file.name])
    # In Juju 3, a read by the label may give what was there before this hook (issue 18713).
    hookenv.cache['cas'] = cas
    return cas


def write_private(name, text):
    """Replace a file whole; no other user can read it."""
    with NamedTemporaryFile('w', dir='.', delete=False) as file:
        file.write(text)
    os.replace(file.name, name)


def request(after=None):
    """The CSR that this unit keeps in a file, beside its key.

    After a refusal both are new, since with many tools the same key makes the same CSR. The key in
    use is another file, until there is a certificate for the new one.
    """
    if after or not Path('request.pem').exists():
        key = pki.make_key()
        write_private('request-key.pem', key)
        write_private('request.pem', pki.make_request(key, hookenv.local_unit()))
    return Path('request.pem').read_text()


@when('create certificate signing request')
def ask(tls):
    tls.set_csr(request(after=tls.get_refusal()))


def certificate_for(unit, csr):
    signer, *others = read_cas()
    chain = [pki.sign(csr, unit, address_of(unit), signer)]
    return ''.join(chain + [ca['certificate'] for ca in [signer] + others])


@when('sign certificate signing request')
def sign(tls):
    for unit, csr in tls.get_csr_map().items():
        try:
            tls.set_cert(unit, certificate_for(unit, csr))
        except pki.BadRequest as fault:  # the unit has to make another
            tls.refuse_csr(unit, str(fault))
        except Exception as error:  # whatever a unit wrote: the request goes on waiting
            hookenv.log('cannot sign for {}: {}'.format(unit, error), hookenv.ERROR)


@when('signed certificate available')
def install(tls):
    certificate, *trusted = pki.split(tls.get_signed_cert())
    Path('ca.pem').write_text(''.join(trusted))
    Path('certificate.pem').write_text(certificate)
    write_private('key.pem', Path('request-key.pem').read_text())
    set_flag('my-charm.installed')
    clear_flag('signed certificate available')


@when('my-charm.installed')
def reload():
    subprocess.check_call(RELOAD)
    endpoint_from_name(ENDPOINT).confirm_cert()
    clear_flag('my-charm.installed')


def address_of(unit):
    """None before there is a relation."""
    for relation in hookenv.relation_ids(ENDPOINT)[-1:]:
        return hookenv.relation_get('ingress-address', unit=unit, rid=relation)


@hook('update-status', 'config-changed')
def look_again():
    tls = endpoint_from_name(ENDPOINT)
    chain, address = tls.get_signed_cert(), address_of(hookenv.local_unit())
    if chain and (pki.is_due(chain) or not pki.is_for(chain, address)):
        ask(tls)


@hook('renew')
def renew():
    ask(endpoint_from_name(ENDPOINT))


@hook('new-ca', 'use-new-ca', 'drop-old-ca')
def change_ca():
    if not hookenv.is_leader():
        return hookenv.action_fail(hookenv.local_unit() + ' does not lead')
    tls, (first, *others) = endpoint_from_name(ENDPOINT), read_cas()
    step = 'new-ca' if not others else 'use-new-ca' if others[0]['key'] else 'drop-old-ca'
    behind = [unit for unit, it in tls.get_requests().items()
              if it['state'] != 'answered' or not it['in_use']]
    if hookenv.hook_name() != step:
        return hookenv.action_fail('the next step is ' + step)
    if behind and not hookenv.action_get('force'):
        return hookenv.action_fail('not in use yet on ' + ' '.join(behind))
    tls.reissue()
    write_cas([first, pki.make_ca()] if step == 'new-ca' else  # it does not sign yet
              others + [dict(first, key=None)] if step == 'use-new-ca' else [first])


@hook('update-status')
def tell_status():
    tls = endpoint_from_name(ENDPOINT)
    waiting = [unit for unit, it in tls.get_requests().items() if it['state'] == 'waiting']
    if tls.get_refusal():
        hookenv.status_set('blocked', 'CSR refused: ' + tls.get_refusal())
    elif not tls.get_signed_cert():
        hookenv.status_set('waiting', 'for a certificate from the leader')
    elif pki.is_expired(tls.get_signed_cert()):
        hookenv.status_set('blocked', 'the certificate has expired')
    else:
        hookenv.status_set('active', 'waiting: {}'.format(waiting) if waiting else 'ready')
