"""Keys, requests and certificates, with the openssl command. Nothing here knows of Juju.

In `pki/` below the charm's directory, which an upgrade of the charm leaves alone:

    key.pem          this unit's private key; made once, never leaves the unit
    request.pem      the CSR for it; kept, so that to ask again is to ask the same
    certificate.pem  the certificate in use
    ca.pem           the CA certificates that this unit trusts
"""
import os
import re
import secrets
import subprocess
import tempfile
from pathlib import Path

HOME = Path('pki')  # hooks and actions run in the charm's directory
KEY = HOME / 'key.pem'
REQUEST = HOME / 'request.pem'
CERTIFICATE = HOME / 'certificate.pem'
CA = HOME / 'ca.pem'

NEW_KEY = ('ecparam', '-name', 'prime256v1', '-genkey', '-noout')

# No extension is taken from a CSR.
CONFIG = '''
[req]
distinguished_name = subject
[subject]
[ca]
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
[leaf]
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = {names}
'''


class Fault(Exception):
    """What openssl has to say against an input."""


# openssl goes by the CAs of the system besides those that it is given; here no other counts.
ENVIRONMENT = dict(os.environ, SSL_CERT_FILE=os.devnull, SSL_CERT_DIR=os.devnull)


def openssl(*arguments, text=''):
    """(stdout, stderr) of the command."""
    done = subprocess.run(('openssl',) + arguments, input=text, universal_newlines=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENVIRONMENT)
    if done.returncode:
        raise Fault(done.stderr.strip())
    return done.stdout, done.stderr


def write(path, text):
    """All of the text or nothing, and never readable by others, not even for a moment."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_suffix('.new')
    with open(os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def subject(name):
    return '/CN=' + name.replace('/', '\\/')


def shown(certificate, *fields):
    """{name: text} of what openssl prints for these fields of a certificate."""
    lines = openssl('x509', '-noout', '-nameopt', 'RFC2253', *['-' + field for field in fields],
                    text=certificate)[0].splitlines()
    return dict(line.split('=', 1) for line in lines)


def blocks(chain):
    return re.findall('-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?', chain,
                      re.DOTALL)


def is_signed_by(chain, trusted):
    """Whether one of the trusted CAs has signed the first certificate of the chain."""
    with tempfile.TemporaryDirectory() as scratch:
        ca = Path(scratch, 'ca.pem')
        write(ca, trusted)
        try:
            openssl('verify', '-CAfile', str(ca), text=blocks(chain)[0])
        except Fault:
            return False
    return True


# A unit.

def request(name):
    """This unit's CSR; made, with its key, the first time."""
    if not KEY.exists():
        write(KEY, openssl(*NEW_KEY)[0])
    if not REQUEST.exists():
        with tempfile.TemporaryDirectory() as scratch:
            config = Path(scratch, 'config')  # or the machine's openssl.cnf has a say
            write(config, CONFIG.format(names='DNS:' + name))
            write(REQUEST, openssl('req', '-new', '-key', str(KEY), '-config', str(config),
                                   '-subj', subject(name))[0])
    return REQUEST.read_text()


def install(chain):
    """Put a chain in use: this unit's certificate first, then the CA certificates to trust.

    The new trust comes first: at no time is the certificate one that this unit would not trust.

    Fault if it is not for this unit's key, or if none of those CAs has signed it.
    """
    certificate, *trusted = blocks(chain)
    public_key = openssl('x509', '-noout', '-pubkey', text=certificate)[0]
    if public_key != openssl('pkey', '-in', str(KEY), '-pubout')[0]:
        raise Fault('the certificate is not for the key of this unit')
    if not is_signed_by(certificate, ''.join(trusted)):
        raise Fault('none of the CAs beside it has signed the certificate')
    write(CA, ''.join(trusted))
    write(CERTIFICATE, certificate)


def standing():
    """By which CA the certificate in use is signed, until when, and which CAs this unit trusts."""
    if not CERTIFICATE.exists():
        return None
    certificate = shown(CERTIFICATE.read_text(), 'issuer', 'enddate')
    trusted = [shown(text, 'subject')['subject'] for text in blocks(CA.read_text())]
    return 'signed by {}, trusts {}, until {}'.format(
        certificate['issuer'].split()[-1],
        ' and '.join(sorted(name.split()[-1] for name in trusted)), certificate['notAfter'])


def ends_within(seconds):
    """Whether the certificate in use, if there is one, ends so soon."""
    try:
        openssl('x509', '-noout', '-checkend', str(seconds), '-in', str(CERTIFICATE))
    except Fault:
        return CERTIFICATE.exists()
    return False


# The leader. The CA's key is in a file only while openssl works with it.

def make_ca(name):
    """(certificate, key) of a new CA, good for ten years."""
    with tempfile.TemporaryDirectory() as scratch:
        config, key = Path(scratch, 'config'), Path(scratch, 'key.pem')
        write(config, CONFIG.format(names='DNS:' + name))
        write(key, openssl(*NEW_KEY)[0])
        certificate = openssl(
            'req', '-x509', '-new', '-key', str(key), '-config', str(config), '-extensions', 'ca',
            '-subj', subject('{} CA {}'.format(name, secrets.token_hex(4))), '-days', '3650')[0]
        return certificate, key.read_text()


def objection(csr):
    """Why this CSR should not be signed, or None."""
    try:
        printed = openssl('req', '-noout', '-pubkey', '-verify', text=csr)
        key = openssl('pkey', '-pubin', '-noout', '-text', text=printed[0])[0]
    except Fault as fault:
        return str(fault)[:500] or 'openssl cannot read it'
    # openssl/openssl apps/req.c: 1.1.1 to 3.0, at least, exit with 0 after these words; newer
    # ones with 1. "verify OK" is on stderr up to 3.4, on stdout since.
    if 'verify failure' in ''.join(printed):
        return 'it is not signed with its own key'
    bits = re.search(r'\(([0-9]+) bit', key)
    least = 2048 if 'Modulus' in key else 224
    if bits and int(bits.group(1)) < least:
        return 'its key has {} bits, fewer than {}'.format(bits.group(1), least)
    return None


def sign(csr, name, alternative_names, days, ca_certificate, ca_key):
    """A certificate for the key that signed `csr`, for server and client use.

    All that is taken from the CSR is its public key; see `objection` first.
    """
    public_key = openssl('req', '-noout', '-pubkey', text=csr)[0]
    with tempfile.TemporaryDirectory() as scratch:
        files = {key: Path(scratch, key) for key in ('config', 'public', 'ca', 'key', 'request')}
        write(files['config'], CONFIG.format(names=', '.join(alternative_names)))
        write(files['public'], public_key)
        write(files['ca'], ca_certificate)
        write(files['key'], ca_key)
        # Carries the subject; -force_pubkey puts the unit's key in place of the CA's.
        write(files['request'], openssl('req', '-new', '-key', str(files['key']),
                                        '-config', str(files['config']), '-subj', subject(name))[0])
        printed = openssl(
            'x509', '-req', '-in', str(files['request']), '-force_pubkey', str(files['public']),
            '-CA', str(files['ca']), '-CAkey', str(files['key']),
            '-set_serial', str(secrets.randbits(159)), '-days', str(days),
            '-extfile', str(files['config']), '-extensions', 'leaf')[0]
        return blocks(printed)[0]  # without what it says of the request, wherever it says that
