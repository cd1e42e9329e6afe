"""The openssl command, for the tests of what works with it: keys and requests of every kind, and
the same command as other versions of it print, or broken."""
import base64
import hashlib
import os
import re
import shutil
import subprocess
import textwrap
from pathlib import Path

from prerequisites import NEEDED

TESTS = Path(__file__).parent.parent
REAL = shutil.which('openssl')
CONFIG = str(TESTS / 'example-easyrsa/lib/pki/openssl.cnf')

# `req -verify` has other words and another exit code in each version. $verdict is OK or failure,
# $out has what it prints besides.
VERSIONS = {
    # apps/req.c of OpenSSL_1_1_1: the verdict is on stderr, and the exit code is 0.
    '1.1.1': 'echo "verify $verdict" >&2; echo "$out"',
    # apps/req.c of openssl-3.0: the same, with other words.
    '3.0': 'echo "Certificate request self-signature verify $verdict" >&2; echo "$out"',
    # apps/req.c of openssl-3.5 and 3.6: OK on stdout, before the rest; failure ends it with 1.
    '3.6': '''
if [ $verdict = OK ]; then
    echo 'Certificate request self-signature verify OK'; echo "$out"
else
    echo 'Warning: CSR self-signature does not match the contents' >&2
    echo 'Certificate request self-signature verify failure' >&2
    exit 1
fi'''}
AS_VERSION = '''
case " $* " in
" req "*" -verify "*) ;;
*) exec {real} "$@";;
esac
cat > {directory}/in
verdict=failure
if {real} "$@" < {directory}/in 2>&1 | grep -q 'verify OK'; then verdict=OK; fi
for argument; do
    shift
    [ "$argument" = -verify ] || set -- "$@" "$argument"
done
out=$({real} "$@" < {directory}/in) || exit 1
{rule}
'''


def openssl(*arguments, text=''):
    """What the command prints; CalledProcessError if it does not exit with 0."""
    if not REAL:
        raise FileNotFoundError(NEEDED.format('openssl'))
    return subprocess.run(
        (REAL,) + arguments, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        check=True, universal_newlines=True, env=dict(os.environ, OPENSSL_CONF=CONFIG)).stdout


def command(directory, name, script):
    """Put a shell script of that name there, for a PATH."""
    directory.mkdir(exist_ok=True)
    file = directory / name
    file.write_text('#!/bin/sh\n' + script)
    file.chmod(0o755)
    return directory


def as_version(directory, version):
    """An openssl command there that judges requests as that version does."""
    return command(directory, 'openssl', AS_VERSION.format(
        real=REAL, directory=directory, rule=VERSIONS[version]))


def new_key(*kind):
    """A private key of that kind, as genpkey names it: its algorithm, then options."""
    algorithm, *options = kind
    if algorithm == 'dsa':
        arguments = ['-paramfile', '/dev/stdin']
        return openssl('genpkey', *arguments, text=openssl('dsaparam', '1024'))
    return openssl('genpkey', '-algorithm', algorithm,
                   *[word for option in options for word in ('-pkeyopt', option)])


def new_request(key, subject='/CN=app-1', *options):
    return openssl('req', '-new', '-key', '/dev/stdin', '-subj', subject, *options, text=key)


def der(tag, *parts):
    """One value of ASN.1."""
    body = b''.join(parts)
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8 or 1, 'big')
    length = size if len(body) < 128 else bytes([0x80 + len(size)]) + size
    return bytes([tag]) + length + body


def integer(number):
    return der(2, number.to_bytes(number.bit_length() // 8 + 1, 'big'))


def rsa_public_key(modulus, exponent):
    """A SubjectPublicKeyInfo."""
    algorithm = der(0x30, bytes.fromhex('06092a864886f70d010101'), b'\5\0')
    return der(0x30, algorithm, der(3, b'\0', der(0x30, integer(modulus), integer(exponent))))


def pem(label, data):
    lines = textwrap.wrap(base64.b64encode(data).decode(), 64)
    return '\n'.join(['-----BEGIN {}-----'.format(label), *lines,
                      '-----END {}-----'.format(label), ''])


def request_of_exponent_one(name):
    """A CSR of RSA with 2048 bits and the exponent 1: anybody can sign for that key."""
    attribute = der(0x30, bytes.fromhex('0603550403'), der(12, name.encode()))
    info = der(0x30, integer(0), der(0x30, der(0x31, attribute)),
               rsa_public_key(2**2047 + 1, 1), b'\xa0\0')
    sha256 = bytes.fromhex('3031300d060960864801650304020105000420')
    digest = sha256 + hashlib.sha256(info).digest()
    signature = b'\0\1' + b'\xff' * (256 - 3 - len(digest)) + b'\0' + digest
    algorithm = der(0x30, bytes.fromhex('06092a864886f70d01010b'), b'\5\0')
    return pem('CERTIFICATE REQUEST', der(0x30, info, algorithm, der(3, b'\0', signature)))


def forged(request, name, other):
    """The same request with another name of that length in it: well formed, and not signed."""
    body = base64.b64decode(re.sub('-----.*-----', '', request))
    assert body.count(name.encode()) == 1 and len(name) == len(other)
    return pem('CERTIFICATE REQUEST', body.replace(name.encode(), other.encode()))
