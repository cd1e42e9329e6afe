"""What a unit has of its own: a key, a request for a certificate, and what it uses of them.

    easy-rsa/unit/key.pem          the private key, which never leaves the unit
    easy-rsa/unit/request.pem      the CSR for it, kept: to ask again is to ask the same
    pki/key.pem, certificate.pem   in use
    pki/ca.pem                     the CAs that this unit trusts

Both directories are links to one that is made anew at each change, so that a new key never stands
beside the old certificate. Whatever is lost or spoilt is made again from what it was made from.
"""
import hashlib
import time
from pathlib import Path

from . import csr, files, x509
from .authority import WORK
from .command import Failure, openssl

PAIR = WORK / 'unit'
IN_USE = Path('pki')
KEY, REQUEST = PAIR / 'key.pem', PAIR / 'request.pem'
NAMES = ('key.pem', 'certificate.pem', 'ca.pem')

NEW_KEY = ('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256',
           '-pkeyopt', 'ec_param_enc:named_curve')


def request(name):
    """This unit's CSR; made anew, with a new key if need be, where what is there is of no use."""
    key, said = files.read(KEY), kept() and csr.examine(kept())
    if said and csr.is_for(said, name) and csr.public_key(said) == public_key(key):
        return kept()
    # Before the first request of this version the key in use is the only one.
    keys = [each for each in (key, files.read(IN_USE / 'key.pem')) if public_key(each)]
    with files.replacing(PAIR) as new:
        files.write(new / 'key.pem', keys[0] if keys else openssl(*NEW_KEY).stdout)
        made = openssl('req', '-new', '-key', str(new / 'key.pem'), '-subj', '/CN=' + name).stdout
        files.write(new / 'request.pem', made)
    return csr.block(made)


def public_key(key):
    """That of a private key in PEM, '' if it is none."""
    return openssl('pkey', '-passin', 'pass:', '-pubout', text=key,
                   codes=(0, 1)).stdout if key else ''


def kept():
    """The CSR as it is, good or not; '' if there is none."""
    return csr.block(files.read(REQUEST))


def digest_of_pair():
    return digest(files.read(KEY) + files.read(REQUEST))


def digest(text):
    return hashlib.sha256(text.encode(errors='replace')).hexdigest()


def unfit(chain):
    """Why a chain is of no use to this unit, whatever the time, or None."""
    certificate = ''.join(x509.blocks(chain)[:1])
    try:
        if x509.public_key(certificate) != public_key(files.read(KEY)):
            return 'is not for the key of this unit'
        if not x509.is_signed_by(certificate, x509.split(chain)[1]):
            return 'is signed by no CA beside it'
        for each in x509.blocks(chain):
            x509.dates(each)
    except Failure as failure:
        return 'cannot be read: {}'.format(failure)
    return None


def use(chain):
    """Put a chain in use, with the key that it is for; what to remember of it.

    `digest` is that of the files, `start` and `end` are the certificate's.
    """
    texts = dict(zip(NAMES, (files.read(KEY), *x509.split(chain))))
    start, end = x509.dates(chain)
    with files.replacing(IN_USE) as new:
        for name, text in texts.items():
            files.write(new / name, text)
    return {'chain': chain, 'key': digest(texts['key.pem']), 'start': start, 'end': end,
            'digest': digest(''.join(texts.values()))}


def is_intact(used):
    """Whether the files are those that `use` wrote."""
    return digest(''.join(files.read(IN_USE / name) for name in NAMES)) == used['digest']


def has_key_of(used):
    """Whether the key of this unit is still the one in use."""
    return digest(files.read(KEY)) == used['key']


def is_due(used):
    """Whether a third or less of its time is left."""
    return time.time() > used['end'] - (used['end'] - used['start']) / 3


def secure():
    """Keep other users out, if a mode was changed."""
    files.close_to_others(WORK, KEY, REQUEST, IN_USE, *(IN_USE / name for name in NAMES))
