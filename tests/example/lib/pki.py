"""Keys, requests and certificates, with the openssl command. Nothing here knows of Juju.

In `pki/` below the charm's directory, which an upgrade of the charm leaves alone:

    key.pem          this unit's private key; made once, never leaves the unit
    request.pem      the CSR for it; kept, so that to ask again is to ask the same
    certificate.pem  the certificate in use
    ca.pem           the CA certificates that this unit trusts
"""
import hashlib
import ipaddress
import os
import re
import secrets
import ssl
import subprocess
import tempfile
import time
from pathlib import Path

HOME = Path('pki')  # hooks and actions run in the charm's directory
KEY = HOME / 'key.pem'
REQUEST = HOME / 'request.pem'
CERTIFICATE = HOME / 'certificate.pem'
CA = HOME / 'ca.pem'

NEW_KEY = ('ecparam', '-name', 'prime256v1', '-genkey', '-noout')

# Seconds by which a unit's clock may be behind its leader's and make no difference.
SLOW = 3600

# With this file the machine's openssl.cnf has no say. No extension is taken from a CSR.
CONFIG = '''
[req]
distinguished_name = subject
[subject]
[ca]
default_ca = files
[files]
database = index
serial = serial
new_certs_dir = .
default_md = sha256
policy = names
[names]
commonName = supplied
[authority]
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


def openssl(*arguments, text='', directory=None):
    """(stdout, stderr) of the command."""
    done = subprocess.run(('openssl',) + arguments, input=text, cwd=directory, env=ENVIRONMENT,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if done.returncode:
        raise Fault(done.stderr.strip()[:500] or 'openssl {} fails'.format(arguments[0]))
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


def within(most, name, tail):
    """Name and tail in `most` characters: of a longer name the start, and a digest of the whole."""
    room = most - len(tail)
    if len(name) > room:
        name = '{}-{}'.format(name[:room - 9], hashlib.sha256(name.encode()).hexdigest()[:8])
    return name + tail


def common_name(unit):
    """The unit's name; Juju limits it nowhere, RFC 5280 to 64 characters."""
    app, slash, number = unit.partition('/')
    return within(64, app, slash + number)


def host_name(unit):
    """The unit's name as a label of DNS, which has at most 63 characters."""
    app, _, number = unit.partition('/')
    return within(63, app, '-' + number)


def ip_address(text):
    """The IP address that this is, in openssl's form, or None.

    With a scope it is none for a certificate; and Python, from 3.9, takes any text for a scope.
    """
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError:
        return None
    return None if '%' in address else address


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


def is_signed_by(chain, trusted, *checks):
    """Whether one of the trusted CAs has signed the chain's first certificate, valid now or not."""
    with tempfile.TemporaryDirectory() as scratch:
        ca = Path(scratch, 'ca.pem')
        write(ca, trusted)
        try:
            openssl('verify', '-no_check_time', '-CAfile', str(ca), *checks,
                    text=''.join(blocks(chain)[:1]))
        except Fault:
            return False
    return True


def is_for(chain, address):
    """Whether the chain's first certificate stands for that address."""
    return is_signed_by(chain, ''.join(blocks(chain)[1:]), '-verify_ip', address)


def untimely(chain):
    """Why the chain is not to be used now, going by this unit's clock, or None."""
    now = time.time()
    for certificate in blocks(chain)[:2]:  # this unit's, and that of the CA that signed it
        valid = shown(certificate, 'startdate', 'enddate')
        if now < ssl.cert_time_to_seconds(valid['notBefore']):
            bound = 'before ' + valid['notBefore']
        elif now > ssl.cert_time_to_seconds(valid['notAfter']):
            bound = 'after ' + valid['notAfter']
        else:
            continue
        return "not valid {}, this unit's clock says {}".format(
            bound, time.strftime('%b %d %H:%M:%S %Y GMT', time.gmtime(now)))
    return None


def ends_within(chain, seconds):
    """Whether the chain's first certificate ends so soon."""
    end = shown(blocks(chain)[0], 'enddate')['notAfter']
    return ssl.cert_time_to_seconds(end) < time.time() + seconds


def make_request(key, name):
    """A CSR for the key in that file."""
    with tempfile.TemporaryDirectory() as scratch:
        config = Path(scratch, 'config')
        write(config, CONFIG.format(names='DNS:any'))
        return openssl('req', '-new', '-key', str(key), '-config', str(config),
                       '-subj', subject(name))[0]


# A unit.

def request(unit):
    """This unit's CSR; made, with its key, the first time, and where that is lost."""
    if not KEY.exists():
        if REQUEST.exists():
            REQUEST.unlink()  # for the key that is lost
        write(KEY, openssl(*NEW_KEY)[0])
    if not REQUEST.exists():
        write(REQUEST, make_request(KEY, common_name(unit)))
    return REQUEST.read_text()


def in_use():
    """The chain that is in the files, as far as they are there."""
    return ''.join(file.read_text(errors='replace')
                   for file in (CERTIFICATE, CA) if file.exists())


def is_in_use(chain):
    return blocks(chain) == blocks(in_use()) and blocks(chain) != []


def unfit(chain):
    """Why the chain is of no use to this unit, whatever the time, or None."""
    try:
        certificate = ''.join(blocks(chain)[:1])
        public_key = openssl('x509', '-noout', '-pubkey', text=certificate)[0]
        if public_key != openssl('pkey', '-in', str(KEY), '-pubout')[0]:
            return 'not for the key of this unit'
        if not is_signed_by(chain, ''.join(blocks(chain)[1:])):
            return 'signed by none of the CAs beside it'
        untimely(chain)  # its dates can be read, too
    except (Fault, ValueError) as fault:
        return 'of no use: ' + str(fault)
    return None


def install(chain):
    """Put a chain in use: this unit's certificate first, then the CA certificates to trust.

    The new trust comes first: at no time is the certificate one that this unit would not trust.

    Fault if it is unfit or untimely.
    """
    fault = unfit(chain) or untimely(chain)
    if fault:
        raise Fault(fault)
    certificate, *trusted = blocks(chain)
    write(CA, ''.join(trusted))
    write(CERTIFICATE, certificate)


def standing():
    """By which CA the certificate in use is signed, until when, and which CAs this unit trusts.

    None if a file is not there, or nothing that can be read.
    """
    try:
        certificate = shown(CERTIFICATE.read_text(), 'issuer', 'enddate')
        trusted = [shown(text, 'subject')['subject'] for text in blocks(CA.read_text())]
    except (OSError, ValueError, Fault):
        return None
    if not trusted:
        return None
    return 'signed by {}, trusts {}, until {}'.format(
        certificate['issuer'].rpartition(' ')[2],
        ' and '.join(sorted(name.rpartition(' ')[2] for name in trusted)),
        certificate['notAfter'])[:500]


# The leader. The CA's key is in a file only while openssl works with it.

def make_ca(app):
    """(certificate, key) of a new CA, good for ten years."""
    name = within(64, app, ' CA ' + secrets.token_hex(4))
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch, 'key.pem')
        write(file, openssl(*NEW_KEY)[0])
        key, csr = file.read_text(), make_request(file, name)
    return issue(csr, name, 3650, key, '-selfsign', '-extensions', 'authority'), key


def objection(csr):
    """Why this CSR should not be signed, or None."""
    try:
        printed = openssl('req', '-noout', '-pubkey', '-verify', '-config', os.devnull,
                          text=csr)
        key = openssl('pkey', '-pubin', '-noout', '-text', text=printed[0])[0]
    except Fault as fault:
        return str(fault)
    # openssl/openssl apps/req.c: 1.1.1 to 3.0, at least, exit with 0 after these words; newer
    # ones with 1. "verify OK" is on stderr up to 3.4, on stdout since.
    if 'verify failure' in ''.join(printed):
        return 'it is not signed with its own key'
    if re.match('ED(25519|448) ', key):
        return None
    bits = re.search(r'\(([0-9]+) bit', key)
    least = 2048 if 'Modulus:' in key else 224 if 'ASN1 OID:' in key else None
    if not bits or not least:
        return 'its key is not one of RSA, of a named curve, Ed25519 or Ed448'
    if int(bits.group(1)) < least:
        return 'its key has {} bits, fewer than {}'.format(bits.group(1), least)
    return None


def lifetime(days):
    """The days that a certificate may last: up to those of a CA."""
    return min(max(days, 1), 3650)


def sign(csr, unit, alternative_names, days, ca_certificate, ca_key):
    """A certificate for the key that signed `csr`, for server and client use.

    All that is taken from the CSR is its public key. Fault, with the reason, if there is an
    `objection` to it, or if a name has a character that would mean something to openssl.
    """
    reason = objection(csr)
    for name in [unit] + alternative_names:
        if not re.fullmatch('[A-Za-z0-9.:/_-]+', name):
            reason = '{!a} is no name for a certificate'.format(name[:100])
    if reason:
        raise Fault(reason)
    return issue(csr, common_name(unit), days, ca_key, '-cert', 'ca', '-extensions', 'leaf',
                 ca=ca_certificate, config=CONFIG.format(names=', '.join(alternative_names)))


def issue(csr, name, days, key, *options, ca='', config=CONFIG.format(names='DNS:any')):
    """A certificate, valid since an hour ago: `openssl ca` can do that from 1.1.1 on."""
    with tempfile.TemporaryDirectory() as scratch:
        files = {'config': config, 'csr': csr, 'key': key, 'ca': ca,
                 'index': '', 'serial': '{:040x}'.format(secrets.randbits(159))}
        for file, text in files.items():
            write(Path(scratch, file), text)
        printed = openssl(
            'ca', '-config', 'config', '-batch', '-notext', '-in', 'csr', '-keyfile', 'key',
            '-subj', subject(name), '-startdate', moment(-SLOW), '-enddate', moment(days * 86400),
            *options, directory=scratch)[0]
        return blocks(printed)[0]


def moment(seconds):
    """So many seconds from now, in ASN.1's form."""
    return time.strftime('%Y%m%d%H%M%SZ', time.gmtime(time.time() + seconds))
