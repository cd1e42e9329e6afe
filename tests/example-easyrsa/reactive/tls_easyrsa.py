"""interface:tls with easy-rsa, and the control flow of layer-tls: only followers ask."""
import shutil
import subprocess
from pathlib import Path

from charmhelpers.core import hookenv
from charms.reactive import remove_state, set_state, when, when_not

EASYRSA = '/usr/share/easy-rsa/easyrsa'
WORK = Path('easy-rsa')  # below the charm's directory; easy-rsa keeps its own pki/ in it
PKI = Path('pki')


def easyrsa(*arguments):
    subprocess.run((EASYRSA, '--batch') + arguments, cwd=str(WORK), check=True)


def name_of(unit):
    return unit.replace('/', '-')


def address_of(unit):
    return hookenv.relation_get('ingress-address', unit, hookenv.relation_ids('certificates')[-1])


def make_request():
    """A key, and a CSR for it, of this unit."""
    WORK.mkdir(exist_ok=True)
    easyrsa('init-pki')
    name = name_of(hookenv.local_unit())
    easyrsa('--req-cn=' + name, 'gen-req', name, 'nopass')
    return (WORK / 'pki/reqs' / (name + '.req')).read_text()


def sign(unit):
    """The certificate for the request that easy-rsa has of that unit, in its form, and the CA's."""
    name = name_of(unit)
    easyrsa('--subject-alt-name=DNS:{},IP:{}'.format(name, address_of(unit)),
            'sign-req', 'serverClient', name)
    return (WORK / 'pki/issued' / (name + '.crt')).read_text() \
        + (WORK / 'pki/ca.crt').read_text()


def put_in_use(chain):
    """Files for a service: its certificate, with whatever text stands around it, and the CA's."""
    PKI.mkdir(mode=0o700, exist_ok=True)
    end = '-----END CERTIFICATE-----'
    certificate, ca = chain.split(end)[:2]
    (PKI / 'certificate.pem').write_text(certificate + end)
    (PKI / 'ca.pem').write_text(ca + end)
    shutil.copy(str(WORK / 'pki/private' / (name_of(hookenv.local_unit()) + '.key')),
                str(PKI / 'key.pem'))
    hookenv.status_set('active', 'certificate installed')


@when('create certificate signing request')
@when_not('tls-easyrsa.requested')
def ask(tls):
    if hookenv.is_leader():
        return  # it makes its own
    tls.set_csr(make_request())
    set_state('tls-easyrsa.requested')


@when('create certificate signing request')
@when_not('tls-easyrsa.ca')
def make_ca(tls):
    if not hookenv.is_leader():
        return
    make_request()
    easyrsa('--req-cn=' + hookenv.application_name(), 'build-ca', 'nopass')
    put_in_use(sign(hookenv.local_unit()))
    set_state('tls-easyrsa.ca')


@when('sign certificate signing request', 'tls-easyrsa.ca')
def answer(tls):
    for unit, csr in tls.get_csr_map().items():
        file = WORK / (name_of(unit) + '.req')
        file.write_text(csr)
        easyrsa('import-req', file.name, name_of(unit))
        tls.set_cert(unit, sign(unit))
    remove_state('sign certificate signing request')


@when('signed certificate available')
def install(tls):
    put_in_use(tls.get_signed_cert())
    remove_state('signed certificate available')
