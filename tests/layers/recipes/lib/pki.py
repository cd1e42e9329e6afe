"""The PKI of the README's recipes, by pyca/cryptography; whatever makes certificates would do."""
import ipaddress
import re
import secrets
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class BadRequest(Exception):
    """What is wrong with a CSR."""


def now():
    return datetime.now(timezone.utc)


def pem(item):
    return item.public_bytes(serialization.Encoding.PEM).decode()


def name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make_key():
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()).decode()


def load_key(text):
    return serialization.load_pem_private_key(text.encode(), None)


def make_request(key, unit):
    request = x509.CertificateSigningRequestBuilder().subject_name(name(unit))
    return pem(request.sign(load_key(key), hashes.SHA256()))


def public_key_of(csr):
    """The key in a CSR; BadRequest if it is no CSR, or not signed with that key."""
    try:
        request = x509.load_pem_x509_csr(csr.encode())
        key, is_signed = request.public_key(), request.is_signature_valid
    except (ValueError, x509.InvalidVersion, UnsupportedAlgorithm, InvalidSignature) as error:
        raise BadRequest('it cannot be read: {}'.format(error))
    if not is_signed:
        raise BadRequest('its signature is wrong')
    return key


def issue(subject, key, issuer, issuer_key, start, extension, days=90):
    return pem(x509.CertificateBuilder(
        name(issuer), name(subject), key, x509.random_serial_number(), start,
        start + timedelta(days=days)).add_extension(extension, True).sign(
            load_key(issuer_key), hashes.SHA256()))


def make_ca():
    """A CA: its name, certificate and key. No two have one name, or openssl would take either."""
    key, title = make_key(), 'CA ' + secrets.token_hex(8)
    return {'name': title, 'key': key, 'certificate': issue(
        title, load_key(key).public_key(), title, key, now(), x509.BasicConstraints(True, None),
        days=3650)}


def sign(csr, unit, address, ca):
    """A certificate for the key in that CSR."""
    names = [x509.DNSName(unit.replace('/', '-')), x509.IPAddress(ipaddress.ip_address(address))]
    return issue(unit, public_key_of(csr), ca['name'], ca['key'], now() - timedelta(hours=1),
                 x509.SubjectAlternativeName(names))


def split(chain):
    """The certificates of a chain, the unit's own first."""
    found = re.findall('-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----', chain)
    return [each + '\n' for each in found]


def is_due(chain):
    """Whether no more than a third of the time of its first certificate is left."""
    leaf = x509.load_pem_x509_certificate(chain.encode())
    start, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    return end - now() < (end - start) / 3


def is_expired(chain):
    """Whether one of its certificates is over, a CA's included."""
    return any(x509.load_pem_x509_certificate(each.encode()).not_valid_after_utc < now()
               for each in split(chain))


def is_for(chain, address):
    """Whether its first certificate has that address; True where there is no IP address."""
    leaf = x509.load_pem_x509_certificate(chain.encode())
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    try:
        return ipaddress.ip_address(address) in names.get_values_for_type(x509.IPAddress)
    except ValueError:
        return True
