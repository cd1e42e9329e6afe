"""Which certificate signing requests (CSRs) are fit to be signed."""
import base64
import binascii
import re
import textwrap

from .command import Failure, openssl
from .x509 import PUBLIC_KEY

PEM = re.compile('-----BEGIN ((?:NEW )?CERTIFICATE REQUEST)-----(.*?)-----END \\1-----', re.DOTALL)
# What openssl says of a good signature, in a line of its own: 1.1.1, and 3.0 and later.
VERIFIED = {'verify OK', 'Certificate request self-signature verify OK'}

LEAST_BITS, LEAST_EXPONENT = 2048, 65537  # of RSA
CURVES = ('prime256v1', 'secp384r1', 'secp521r1')  # P-256, P-384, P-521
KINDS = 'its key is none of RSA, P-256, P-384, P-521, Ed25519 and Ed448'

# Any openssl that works takes this one.
SAMPLE = '''-----BEGIN CERTIFICATE REQUEST-----
MIHKMHMCAQAwETEPMA0GA1UEAwwGc2FtcGxlMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAE3GPCSTF0SRvVMEpek7CHSSw82JorHcdNwT640RICC4a7ClNmHiNM6sxU
XAZS8jRELpzGTY/YJg1og48Y4W8wL6AAMAoGCCqGSM49BAMCA0cAMEQCIESZDclH
2+c4KyQiztr5JGiqJNy6jtwHiviFaqLcil+dAiAiQ/M5mu1Mx12gYqH//2hvIHlk
xYd8uLh5aF7gLNMMxQ==
-----END CERTIFICATE REQUEST-----
'''


def objection(text, name):
    """Why this request is not fit to be signed for that name, or None.

    Failure if openssl cannot tell, which is no fault of the request.
    """
    request = block(text)
    said = request and examined(request)
    if not said:
        return 'it cannot be read, or is not signed with its own key'
    if not is_for(said, name):
        # easy-rsa takes the subject of a request as it is.
        return 'its subject is not CN={}'.format(name)
    return weakness(openssl('pkey', '-pubin', '-noout', '-text', text=public_key(said)).stdout)


def block(text):
    """The first request in the text, and nothing else; '' if there is none."""
    found = PEM.search(text)
    try:
        der = base64.b64decode(''.join(found.group(2).split()), validate=True) if found else b''
    except binascii.Error:
        der = b''
    lines = textwrap.wrap(base64.b64encode(der).decode(), 64)
    return '\n'.join(['-----BEGIN CERTIFICATE REQUEST-----', *lines,
                      '-----END CERTIFICATE REQUEST-----', '']) if der else ''


def examined(request):
    """As `examine`, but tells a broken openssl from a broken request. A request counts as bad if
    openssl rejects it before and after it accepts a good one.
    """
    said = examine(request)
    if said:
        return said
    if not examine(SAMPLE):
        raise Failure('openssl rejects a request that is good')
    return examine(request)


def examine(request):
    """Subject and public key, as openssl prints them; None if it cannot read or verify that."""
    done = openssl('req', '-noout', '-verify', '-pubkey', '-subject', '-nameopt', 'RFC2253',
                   text=request, codes=(0, 1))
    # 1.1.1 and 3.0 exit with 0 after a bad signature. The verdict is on stderr up to 3.4.
    verified = VERIFIED.intersection((done.stdout + '\n' + done.stderr).splitlines())
    return done.stdout if verified and PUBLIC_KEY.search(done.stdout) else None


def public_key(said):
    """The public key in what `examine` gives."""
    return PUBLIC_KEY.search(said).group()


def is_for(said, name):
    """Whether the subject in what `examine` gives is that name and nothing else."""
    return 'subject=CN=' + name in said.splitlines()


def weakness(key):
    """Why a public key, as `openssl pkey -text` prints it, is not good enough, or None."""
    if re.match('ED(25519|448) ', key):
        return None
    curve = re.search('^ASN1 OID: (.*)$', key, re.MULTILINE)
    if curve:
        return None if curve.group(1) in CURVES else KINDS
    bits, exponent = re.search(r'\(([0-9]+) bit', key), exponent_in(key)
    if 'Modulus:' not in key or not bits or exponent is None:
        return KINDS
    if int(bits.group(1)) < LEAST_BITS:
        return 'its key has {} bits, fewer than {}'.format(bits.group(1), LEAST_BITS)
    if exponent < LEAST_EXPONENT or exponent % 2 == 0:
        return 'the exponent of its key is even, or less than {}'.format(LEAST_EXPONENT)
    return None


def exponent_in(key):
    """That of an RSA key; openssl prints a large one in lines of hexadecimal bytes."""
    small = re.search('^ *Exponent: ([0-9]+) ', key, re.MULTILINE)
    large = re.search('^ *Exponent:((?:\\s+[0-9a-f]{2}(?::[0-9a-f]{2})*:?)+)$', key, re.MULTILINE)
    if small:
        return int(small.group(1))
    return int(re.sub('[^0-9a-f]', '', large.group(1)), 16) if large else None
