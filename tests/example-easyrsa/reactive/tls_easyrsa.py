"""interface:tls with easy-rsa, and the control flow of layer-tls: only followers ask."""
import ipaddress
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


def names_of(unit):
    """Its name and, if it has one, its IP address; Python takes any text behind a % for a scope."""
    names = 'DNS:' + name_of(unit)
    address = hookenv.relation_get(
        'ingress-address', unit, hookenv.relation_ids('certificates')[-1])
    try:
        return '{},IP:{}'.format(names, ipaddress.ip_address(address.partition('%')[0]))
    except (AttributeError, ValueError):  # it has none yet, or a name
        return names


def make_request():
    """A key, and a CSR for it, of this unit."""
    WORK.mkdir(exist_ok=True)
    easyrsa('init-pki')
    name = name_of(hookenv.local_unit())
    easyrsa('--req-cn=' + name, 'gen-req', name, 'nopass')
    return (WORK / 'pki/reqs' / (name + '.req')).read_text()


def take(unit, csr):
    """Have easy-rsa forget what it has of that unit, and import this; CalledProcessError if bad."""
    name = name_of(unit)
    for file in ('reqs/{}.req', 'issued/{}.crt'):
        if (WORK / 'pki' / file.format(name)).exists():
            (WORK / 'pki' / file.format(name)).unlink()
    file = WORK / (name + '.req')
    file.write_text(csr)
    # easy-rsa takes the subject as it is; and openssl, 3.0 at least, exits with 0 after a failure.
    said = subprocess.run(
        ['openssl', 'req', '-noout', '-verify', '-subject', '-nameopt', 'RFC2253',
         '-in', str(file)], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True,
        universal_newlines=True).stdout
    if 'verify failure' in said or 'subject=CN=' + name not in said.splitlines():
        raise subprocess.CalledProcessError(1, 'openssl', said)
    easyrsa('import-req', file.name, name)


def sign(unit):
    """The certificate for the request that easy-rsa has of that unit, in its form, and the CA's."""
    name = name_of(unit)
    easyrsa('--subject-alt-name=' + names_of(unit), 'sign-req', 'serverClient', name)
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
        try:
            take(unit, csr)
            tls.set_cert(unit, sign(unit))
        except subprocess.CalledProcessError:
            tls.refuse_csr(unit, 'easy-rsa cannot sign it, or it is not for ' + name_of(unit))
    remove_state('sign certificate signing request')


@when('signed certificate available')
def install(tls):
    put_in_use(tls.get_signed_cert())
    remove_state('signed certificate available')
