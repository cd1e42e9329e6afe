"""Reads what is in a certificate."""
import re
import ssl
import tempfile
import time

from .command import Failure, openssl

BLOCK = re.compile('-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----\n?', re.DOTALL)
PUBLIC_KEY = re.compile('-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----\n?', re.DOTALL)


def blocks(text):
    """The certificates in a chain, without the text around them."""
    return [block.strip() + '\n' for block in BLOCK.findall(text)]


def dates(certificate):
    """(start, end) of a certificate, in seconds since 1970."""
    said = openssl('x509', '-noout', '-startdate', '-enddate', text=certificate).stdout
    found = dict(line.split('=', 1) for line in said.splitlines() if '=' in line)
    try:
        return tuple(ssl.cert_time_to_seconds(found[name]) for name in ('notBefore', 'notAfter'))
    except (KeyError, ValueError):
        raise Failure('openssl prints no dates of a certificate', said)


def public_key(certificate):
    return openssl('x509', '-noout', '-pubkey', text=certificate).stdout


def common_name(certificate):
    """CN=NAME, in one line."""
    return openssl('x509', '-noout', '-subject', '-nameopt', 'RFC2253',
                   text=certificate).stdout.strip().replace('subject=', '')


def is_for(certificate, address):
    """Whether that IP address is among its names."""
    said = openssl('x509', '-noout', '-checkip', address, text=certificate).stdout
    return 'does match' in said


def is_signed_by(certificate, trusted):
    """Whether a CA among `trusted` has signed it, valid now or not."""
    with tempfile.NamedTemporaryFile('w') as file:
        file.write(trusted)
        file.flush()
        return not openssl('verify', '-no_check_time', '-CAfile', file.name, text=certificate,
                           codes=(0, 1, 2)).code


def split(chain):
    """(what to present, what to trust): CAs are trusted that have signed themselves."""
    found = blocks(chain)
    roots = [each for each in found[1:] if is_signed_by(each, each)]
    return ''.join(each for each in found if each not in roots), ''.join(roots)


def on(seconds):
    """That time, as people write it."""
    return time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(seconds))


def untimely(certificate):
    """Why it is not valid now, by this unit's clock, or None."""
    now = time.time()
    start, end = dates(certificate)
    return None if start <= now <= end else \
        'is valid from {} to {}, and this clock says {}'.format(*map(on, (start, end, now)))
