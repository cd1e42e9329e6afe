"""The CA, on the disk of the leader that made it, by easy-rsa.

In `easy-rsa/pki`, as easy-rsa has it: the CA's key and certificate, and the records of what it has
signed, for `easyrsa revoke`, say. easy-rsa itself works in a directory that is new each time, so
nothing that a killed run leaves behind disturbs the next: no index that is cut off, no lock.

A new CA is signed by the one before it, too. While units change from one to the other, each unit
trusts the certificates of both: a unit that has changed trusts the old CA beside the new one, and
presents what the old CA has signed to units that have not changed.
"""
import shutil
import time
from pathlib import Path

from . import files, x509
from .command import Failure, openssl, run

WORK = Path('easy-rsa')  # hooks and actions run in the charm's directory
PKI = WORK / 'pki'
CERTIFICATE, KEY, INDEX = PKI / 'ca.crt', PKI / 'private/ca.key', PKI / 'index.txt'
# The earlier CAs that are trusted; this CA's certificate as the last of them has signed it.
PREVIOUS, CROSS = PKI / 'previous.crt', PKI / 'cross.crt'

# What a certificate and a CA may last.
DAYS, CA_DAYS = 90, 3650
DAY = 86400
# A P-256 key without a pass phrase for the CA. No `vars` file has a say.
SETTINGS = {'EASYRSA_BATCH': '1', 'EASYRSA_NO_PASS': '1', 'EASYRSA_NO_VARS': '1',
            'EASYRSA_ALGO': 'ec', 'EASYRSA_CURVE': 'prime256v1', 'EASYRSA_DN': 'cn_only',
            'EASYRSA_CA_EXPIRE': str(CA_DAYS)}
# easy-rsa marks it critical from 3.2.3 on; from 3.13 on Python accepts no CA without that.
CRITICAL = 'basicConstraints = critical,CA:TRUE'
# Without the serial number, which a CA's two certificates do not share.
BY_KEY = 'authorityKeyIdentifier = keyid'


def easyrsa(pki, *arguments, **settings):
    """The command on the PATH, or else that of the package.

    It works in the directory above, by the short name of this one: openssl takes no long path.
    """
    program = shutil.which('easyrsa') or '/usr/share/easy-rsa/easyrsa'
    run(program, *arguments, directory=str(pki.parent), EASYRSA_PKI=pki.name,
        **dict(SETTINGS, **settings))


def certificate():
    """The CA's certificate, None if this unit does not hold a CA."""
    found = x509.blocks(files.read(CERTIFICATE))
    return found[0] if found and files.read(KEY) else None


def trusted():
    """The CA's certificate, and those of the CAs before it that are trusted still."""
    return (certificate() or '') + files.read(PREVIOUS)


def chain():
    """What stands after each certificate that is signed; '' if this unit holds no CA."""
    return files.read(CROSS) + trusted() if certificate() else ''


def forget_previous():
    """Trust no CA but the present one."""
    for file in (CROSS, PREVIOUS):
        files.remove(file)


def make(name, previous=()):
    """A new CA, in place of any that is there, beside previous ones that stay trusted."""
    previous = [each for each in previous if not x509.untimely(each)]
    with files.replacing(PKI) as new:
        pki = new / 'pki'
        easyrsa(pki, 'init-pki')
        easyrsa(pki, 'build-ca', 'nopass', EASYRSA_REQ_CN=name, EASYRSA_EXTRA_EXTS=CRITICAL)
        if not fits(pki / 'private/ca.key', files.read(pki / 'ca.crt')):
            raise Failure('easyrsa made a CA whose key and certificate do not fit')
        for each in pki.iterdir():
            each.rename(new / each.name)
        pki.rmdir()
        files.write(new / PREVIOUS.name, ''.join(previous))
        if certificate() in previous[:1] and days_left():
            files.write(new / CROSS.name, cross(name, new / 'private/ca.key'))


def cross(name, key):
    """The certificate of the present CA for the one that takes its place."""
    request = openssl('req', '-new', '-key', str(key), '-subj', '/CN=' + name).stdout
    issued = issue('ca', 'ca', request, days_left(), EASYRSA_EXTRA_EXTS=CRITICAL)
    return x509.blocks(issued)[0]


def restore(known):
    """Put the CA's certificate back, if this is the one for its key; whether it was."""
    if files.read(KEY) and fits(KEY, known):
        files.write(CERTIFICATE, known)
        return True
    return False


def fits(key, certificate):
    """Whether the key in that file is that of the certificate."""
    public = openssl('pkey', '-in', str(key), '-passin', 'pass:', '-pubout', codes=(0, 1)).stdout
    return bool(public) and public == x509.public_key(certificate)


def days_left():
    """Whole days until the CA ends. Failure if it is not valid now."""
    start, end = x509.dates(certificate())
    now = time.time()
    if not start <= now <= end:
        raise Failure('the CA is valid from {} to {}, and this clock says {}'.format(
            *map(x509.on, (start, end, now))))
    return int((end - now) // DAY)


def sign(name, request, alternative_names):
    """A certificate for a request with the subject CN=`name`, and after it the chain.

    It has easy-rsa's readable text before it, is for server and client use, and ends no later
    than the CA. Nothing is taken from the request but its subject and its public key.
    """
    days = min(DAYS, days_left())
    if not days:
        raise Failure('the CA ends within a day; run new-ca')
    issued = issue('serverClient', name, request, days, EASYRSA_EXTRA_EXTS=BY_KEY,
                   options=['--subject-alt-name=' + ','.join(alternative_names)])
    return issued.rstrip() + '\n' + chain()


def issue(kind, name, request, days, options=(), **settings):
    """What easy-rsa makes of a request."""
    with files.scratch(WORK / 'signing') as new:
        pki = new / 'pki'
        prepare(pki)
        files.write(pki / 'reqs' / (name + '.req'), request)
        easyrsa(pki, *options, 'sign-req', kind, name, EASYRSA_CERT_EXPIRE=str(days), **settings)
        issued = files.read(pki / 'issued' / (name + '.crt'))
        if len(x509.blocks(issued)) != 1 or not x509.is_signed_by(issued, certificate()):
            raise Failure('easyrsa made no certificate of this CA')
        record(pki, name)
    return issued


def prepare(pki):
    """The CA in an easy-rsa directory that has signed nothing yet."""
    easyrsa(pki, 'init-pki')
    for name in ('issued', 'certs_by_serial'):
        (pki / name).mkdir(exist_ok=True)
    for name, text in (('index.txt', ''), ('index.txt.attr', ''), ('serial', '01\n')):
        (pki / name).write_text(text)
    for file in (CERTIFICATE, KEY):
        (pki / file.relative_to(PKI)).symlink_to(file.resolve())


def record(pki, name):
    """Note what was signed where easy-rsa looks for it; each file at once, the index last."""
    line = files.read(pki / 'index.txt')
    if line.count('\t') != 5:
        raise Failure('easyrsa made no line in its index', line)
    issued = files.read(pki / 'issued' / (name + '.crt'))
    for file, text in (('reqs/{}.req'.format(name), files.read(pki / 'reqs' / (name + '.req'))),
                       ('issued/{}.crt'.format(name), issued),
                       ('certs_by_serial/{}.pem'.format(line.split('\t')[3]), issued)):
        (PKI / file).parent.mkdir(mode=0o700, exist_ok=True)
        files.write(PKI / file, text)
    files.write(INDEX, files.read(INDEX) + line)
