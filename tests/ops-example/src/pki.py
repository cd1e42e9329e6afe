"""Keys, requests and certificates, by pyca/cryptography, as PEM text; nothing of Juju, no files.

A chain is a unit's certificate, and behind it those of the CAs to trust, its own CA's among them.
"""
import hashlib
import ipaddress
import re
import secrets
import time
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from typing import Any, Dict, Iterable, List, Optional, Tuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding, NoEncryption, PrivateFormat, PublicFormat, load_pem_private_key)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAYS = range(1, 3651)  # that a certificate may last; a CA lasts the most of them
DATE = '%Y-%m-%d %H:%M UTC'
SLOW = timedelta(hours=1)  # by which a unit's clock may be behind its leader's
CURVES = ec.SECP256R1, ec.SECP384R1, ec.SECP521R1
EDWARDS = ed25519.Ed25519PublicKey, ed448.Ed448PublicKey
LABEL = '[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?'
HOST = re.compile(fr'(?=.{{1,253}}\Z)(\*\.)?({LABEL}\.)*(?![0-9]+\Z){LABEL}\Z', re.I | re.A)
NO_USAGE = dict.fromkeys(
    ['digital_signature', 'content_commitment', 'key_encipherment', 'data_encipherment',
     'key_agreement', 'key_cert_sign', 'crl_sign', 'encipher_only', 'decipher_only'], False)

# Raised by cryptography for an input that is at fault; anything else is a fault of this machine.
UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature, x509.InvalidVersion,
              x509.DuplicateExtension, x509.ExtensionNotFound, x509.UnsupportedGeneralNameType)


class Fault(Exception):
    """What is wrong with a key, a certificate or a name: one line, for people."""


class BadRequest(Fault):
    """What is wrong with a CSR: the reason for which to refuse it."""


def within(most: int, name: str, tail: str) -> str:
    """Name and tail in at most `most` characters: a longer name is cut, and gets a digest."""
    room = most - len(tail)
    if len(name) > room:
        name = f'{name[:room - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}'
    return name + tail


def common_name(unit: str) -> str:
    """The unit's name; Juju limits it nowhere, RFC 5280 to 64 characters."""
    app, slash, number = unit.partition('/')
    return within(64, app, slash + number)


def host_name(unit: str) -> str:
    """The unit's name as a label of DNS, which has at most 63 characters."""
    app, _, number = unit.partition('/')
    return within(63, app, '-' + number)


def ip_address(text: Optional[str]) -> Optional[str]:
    """The text as an IP address in its usual form; None if it is none, or has a scope."""
    try:
        address = str(ipaddress.ip_address(text or ''))
        return None if '%' in address else address
    except ValueError:
        return None


def general_name(text: str) -> x509.GeneralName:
    """This IP address or host name; Fault if it is neither."""
    address = ip_address(text)
    if address:
        return x509.IPAddress(ipaddress.ip_address(address))
    if HOST.match(text):
        return x509.DNSName(text.lower())
    raise Fault(f'{text[:100]!a} is no IP address and no host name')


def names_of(unit: str, others: Iterable[str]) -> List[x509.GeneralName]:
    """What a certificate of that unit stands for: its host name, and these addresses and names."""
    host = host_name(unit)
    names = [general_name(text) for text in (host, *others)]
    if host != unit.replace('/', '-'):  # a label of DNS is too short for it
        names.append(x509.UniformResourceIdentifier('juju:' + unit))
    return list(dict.fromkeys(names))


def subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def make_key() -> str:
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()).decode()


def load_key(text: str) -> Any:
    """The private key that this is; Fault if it is none, or a weak one."""
    try:
        key = load_pem_private_key(text.encode(), password=None)
        check_key(key.public_key())
        return key
    except UNREADABLE as error:
        raise Fault('its private key cannot be read') from error


def check_key(key: Any) -> None:
    """BadRequest if nobody should sign for this public key."""
    if isinstance(key, ec.EllipticCurvePublicKey):
        if not isinstance(key.curve, CURVES):
            raise BadRequest(f'its curve is {key.curve.name}, not P-256, P-384 or P-521')
    elif isinstance(key, rsa.RSAPublicKey):
        exponent = key.public_numbers().e
        if key.key_size < 2048:
            raise BadRequest(f'its key has {key.key_size} bits, fewer than 2048')
        if exponent < 65537 or exponent % 2 == 0:
            raise BadRequest('the exponent of its key is not odd and at least 65537')
    elif not isinstance(key, EDWARDS):
        raise BadRequest('its key is not one of RSA, P-256, P-384, P-521, Ed25519 and Ed448')


def digest_for(key: Any) -> Any:
    return None if isinstance(key.public_key(), EDWARDS) else hashes.SHA256()


def make_request(key: Any, unit: str) -> str:
    return pem(x509.CertificateSigningRequestBuilder(subject(common_name(unit)))
               .sign(key, digest_for(key)))


def load_request(csr: str) -> x509.CertificateSigningRequest:
    """The CSR that this is; BadRequest if it is none, or not one to sign."""
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key = request.public_key()
        check_key(key)
        if not request.is_signature_valid:
            raise BadRequest('it is not signed with its own key')
        encoded = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        if encoded not in request.tbs_certrequest_bytes:  # as explicit parameters of a curve
            raise BadRequest('its key is in a form that its certificate would not have')
        return request
    except UNREADABLE as error:
        raise BadRequest('it cannot be read as a certificate signing request') from error


def pem(*items: Any) -> str:
    return ''.join(item.public_bytes(Encoding.PEM).decode() for item in items)


def certificates(chain: str) -> List[x509.Certificate]:
    """At least one; Fault if there is none, or one that cannot be read."""
    try:
        found = x509.load_pem_x509_certificates(chain.encode())
        for each in found:  # these parts are read only when they are asked for
            each.public_key(), each.extensions, each.subject, each.issuer
        return found
    except UNREADABLE as error:
        raise Fault('cannot be read') from error


def signer(chain: str) -> x509.Certificate:
    """The CA in the chain that signed its first certificate; Fault if there is none."""
    leaf, *others = certificates(chain)
    for ca in others:
        with suppress(*UNREADABLE):
            leaf.verify_directly_issued_by(ca)
            if ca.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
                return ca
    raise Fault('signed by none of the CAs beside it')


def is_for(chain: str, unit: str, others: Iterable[str]) -> bool:
    """Whether the chain's first certificate stands for just what one of that unit should."""
    wanted = x509.SubjectAlternativeName(names_of(unit, others))
    return wanted in [each.value for each in certificates(chain)[0].extensions]


def now() -> datetime:
    return datetime.fromtimestamp(time.time(), timezone.utc)


def untimely(chain: str) -> Optional[str]:
    """Why the chain is not to be used now, going by this machine's clock, or None."""
    for each in certificates(chain)[0], signer(chain):
        start, end = each.not_valid_before_utc, each.not_valid_after_utc
        if not start <= now() <= end:
            bound = f'before {start:{DATE}}' if now() < start else f'after {end:{DATE}}'
            return f"not valid {bound}, this unit's clock says {now():{DATE}}"
    return None


def days_left(chain: str) -> float:
    return (certificates(chain)[0].not_valid_after_utc - now()) / timedelta(days=1)


def is_to_renew(chain: str, days: int) -> bool:
    """Whether it is time for another chain, to last that many days: a third of the time of this one
    is left, or it was made to last another number of days. No chain outlasts its CA."""
    leaf, last = certificates(chain)[0], signer(chain).not_valid_after_utc
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return now() > end - (end - start) / 3 and end < last \
        or abs(min(start + SLOW + timedelta(days), last) - end) > timedelta(minutes=1)


def make_ca(app: str) -> Tuple[str, str]:
    """(certificate, key) of a new CA, good for ten years."""
    key, name = make_key(), subject(within(64, app, ' CA ' + secrets.token_hex(4)))
    return issue(name, load_key(key).public_key(), name, key, now() + timedelta(DAYS[-1]), {
        x509.BasicConstraints(ca=True, path_length=0): True,
        x509.KeyUsage(**dict(NO_USAGE, key_cert_sign=True, crl_sign=True)): True}), key


def sign(csr: str, unit: str, others: Iterable[str], days: int, ca: str, ca_key: str) -> str:
    """A certificate of that unit for the key that signed `csr`, for server and client use.

    All that is taken from the CSR is its public key. BadRequest, with the reason, if it is not one
    to sign; Fault if a name or the CA is not valid now, or the key is not that of the CA.
    """
    key, authority = load_request(csr).public_key(), certificates(ca)[0]
    end = min(now() + timedelta(days), authority.not_valid_after_utc)
    if not authority.not_valid_before_utc <= now() < end:
        raise Fault(f"the CA is not valid on {now():{DATE}}, which is what this unit's clock says")
    identifier = authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    certificate = issue(subject(common_name(unit)), key, authority.subject, ca_key, end, {
        x509.BasicConstraints(ca=False, path_length=None): True,
        x509.KeyUsage(**dict(NO_USAGE, digital_signature=True)): True,
        x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH,
                               ExtendedKeyUsageOID.CLIENT_AUTH]): False,
        x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier): False,
        x509.SubjectAlternativeName(names_of(unit, others)): False})
    signer(certificate + ca)  # its key may not be that of this CA
    return certificate


def issue(name: x509.Name, key: Any, issuer: x509.Name, by: str, end: datetime,
          extensions: Dict[x509.ExtensionType, bool]) -> str:
    """A certificate for that public key, signed by that private key; valid since an hour ago."""
    builder = x509.CertificateBuilder(
        issuer, name, key, x509.random_serial_number(), now() - SLOW, end)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key)
    for extension, critical in {**extensions, identifier: False}.items():
        builder = builder.add_extension(extension, critical)
    return pem(builder.sign(load_key(by), digest_for(load_key(by))))
