"""The example's keys, requests and certificates, without Juju and without files."""
import base64
import hashlib
import re
import ssl
import sys
import time
from datetime import timedelta
from math import gcd

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa, x25519
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat, PublicFormat)
from hypothesis import given, settings
from hypothesis import strategies as st

from world import TESTS

sys.path.append(str(TESTS / 'example/lib'))

# After the path (E402), by which they are found.
import pki  # noqa: E402

pytestmark = pytest.mark.once

# Juju's rule for names (juju/names) has no limit, but an agent's log is a file with the name
# unit-APP-N.log, and a file system gives that 255 bytes.
LONGEST = 255 - len('unit-' + '-0' + '.log')


@pytest.fixture(scope='module')
def ca():
    return pki.make_ca('app')


@pytest.fixture(scope='module')
def csr():
    return request_for(ec.generate_private_key(ec.SECP256R1()))


def request_for(key):
    return pki.make_request(key, 'app/0')


def pem_of(key, encryption=NoEncryption()):
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption).decode()


def certificate_of(chain):
    return pki.certificates(chain)[0]


def names_in(certificate):
    names = certificate_of(certificate).extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value
    return [(type(name).__name__, str(name.value)) for name in names]


# Names.

def applications(length):
    """Some names of that length that differ at the end."""
    return ['a' * (length - 1) + last for last in 'abc']


def test_names_of_every_length_fit_and_differ():
    units = [f'{app}/{number}' for length in range(1, LONGEST + 1)
             for app in applications(length) for number in (0, 7, 12345)]
    for name_of, most, separator in ((pki.common_name, 64, '/'), (pki.host_name, 63, '-')):
        names = {unit: name_of(unit) for unit in units}
        assert len(set(names.values())) == len(units)
        for unit, name in names.items():
            full = unit.replace('/', separator)
            assert name == full if len(full) <= most else len(name) == most
            number = separator + unit.split('/')[1]
            assert name.endswith(number) and full.startswith(name[:most - 9 - len(number)])


@pytest.mark.parametrize('length', [1, 52, 53, 61, 62, LONGEST])
def test_it_signs_for_names_of_that_length(csr, length):
    app = applications(length)[0]
    unit = app + '/0'
    ca, key = pki.make_ca(app)
    certificate = pki.sign(csr, unit, [], 90, ca, key)
    assert certificate_of(certificate).subject == pki.subject(pki.common_name(unit))
    assert certificate_of(ca).subject.rfc4514_string().startswith('CN=' + app[:43])
    whole = [('UniformResourceIdentifier', 'juju:' + unit)] if length > 61 else []
    assert names_in(certificate) == [('DNSName', pki.host_name(unit))] + whole


@pytest.mark.parametrize('text, address', [
    ('10.0.0.1', '10.0.0.1'), ('FE80::1', 'fe80::1'), ('a-name', None), ('', None), (None, None),
    ('fe80::1%eth0', None), ('::1%x\nbasicConstraints = CA:true', None), ('::1%,DNS:b-0', None),
    ('10.0.0.1\n', None), ('10.0.0.1,DNS:b-0', None), ('10.0.0.1/8', None)])
def test_an_address_is_one_without_a_scope(text, address):
    assert pki.ip_address(text) == address


@pytest.mark.parametrize('text, name', [
    ('10.0.0.9', ('IPAddress', '10.0.0.9')), ('FD00::9', ('IPAddress', 'fd00::9')),
    ('vip.Example.com', ('DNSName', 'vip.example.com')), ('db', ('DNSName', 'db')),
    ('*.example.com', ('DNSName', '*.example.com')), ('3scale', ('DNSName', '3scale')),
    ('.'.join(3 * ['a' * 63] + ['b' * 61]), ('DNSName', '.'.join(3 * ['a' * 63] + ['b' * 61])))])
def test_it_signs_for_addresses_and_host_names(ca, csr, text, name):
    certificate = pki.sign(csr, 'app/0', ['10.0.0.1', text, text], 90, *ca)
    assert names_in(certificate) == [('DNSName', 'app-0'), ('IPAddress', '10.0.0.1'), name]


@pytest.mark.parametrize('name', [
    '::1%x\nbasicConstraints = CA:true', 'fe80::1%eth0', '::1,DNS:b-0', 'b 0', 'é', '\u212aube',
    '$HOME', 'a\\', 'a\0', 'a\n', 'a;b', '[a]', 'a#', '', '.', 'a.', 'a..b', '-a', 'a-', 'a_b',
    '*', '*.*.a', 'a.*', '10.0.0', '10.0.0.256', '1', 'a' * 64, 'a.' * 126 + 'bb', 'juju:app/0',
    'DNS:a', '\udcff', '\u202e'])
def test_it_signs_for_nothing_else(ca, csr, name):
    with pytest.raises(pki.Fault) as raised:
        pki.sign(csr, 'app/0', ['10.0.0.1', name], 90, *ca)
    told = str(raised.value)
    assert told.endswith('is no IP address and no host name') and told.isprintable()
    assert len(told) < 1000
    with pytest.raises(pki.Fault, match='is no IP address and no host name'):
        pki.sign(csr, 'app/0\n', [], 90, *ca)


def test_a_certificate_is_for_just_the_names_that_it_should_have(ca, csr):
    chain = pki.sign(csr, 'app/0', ['10.0.0.1', 'vip'], 90, *ca) + ca[0]
    assert pki.is_for(chain, 'app/0', ['10.0.0.1', 'vip'])
    for unit, others in [('app/0', ['10.0.0.1']), ('app/0', ['10.0.0.2', 'vip']), ('app/0', []),
                         ('app/1', ['10.0.0.1', 'vip']), ('app/0', ['10.0.0.1', 'vip', 'db'])]:
        assert not pki.is_for(chain, unit, others)
    assert not pki.is_for(ca[0], 'app/0', ['10.0.0.1', 'vip'])  # it has no names at all


# Keys and requests.

def tlv(tag, *contents):
    """In DER."""
    content = b''.join(contents)
    size = len(content).to_bytes(2, 'big').lstrip(b'\0') or b'\0'
    return bytes([tag]) + (bytes([128 + len(size)]) if len(content) > 127 else b'') + size + content


def integer(number):
    return tlv(2, number.to_bytes(number.bit_length() // 8 + 1, 'big'))


def algorithm(oid, *parameters):
    return tlv(0x30, tlv(6, bytes.fromhex(oid)), *parameters)


def signed(public_key, by, sign):
    body = tlv(0x30, integer(0), tlv(0x30), public_key, tlv(0xa0))
    return block(tlv(0x30, body, by, tlv(3, b'\0', sign(body))), 'CERTIFICATE REQUEST')


def block(der, label):
    return f'-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n'


def with_exponent(exponent):
    """A CSR for an RSA key of 2048 bits with that public exponent, signed as it should be."""
    while True:
        numbers = rsa.generate_private_key(65537, 2048).private_numbers()
        modulus, order = numbers.public_numbers.n, (numbers.p - 1) * (numbers.q - 1)
        if gcd(exponent, order) == 1:
            break

    def sign(text):
        digest = bytes.fromhex('3031300d060960864801650304020105000420')
        digest += hashlib.sha256(text).digest()
        padded = int.from_bytes(b'\1' + (253 - len(digest)) * b'\xff' + b'\0' + digest, 'big')
        return pow(padded, pow(exponent, -1, order), modulus).to_bytes(256, 'big')

    numbers = tlv(0x30, integer(modulus), integer(exponent))
    public_key = tlv(0x30, algorithm('2a864886f70d010101', tlv(5)), tlv(3, b'\0', numbers))
    return signed(public_key, algorithm('2a864886f70d01010b', tlv(5)), sign)


def with_explicit_curve():
    """A CSR for a key on P-256 that has the curve's parameters in place of its name."""
    key = ec.generate_private_key(ec.SECP256R1())
    p = 2**256 - 2**224 + 2**192 + 2**96 - 1
    n = p - 2**224 - 2**192 + 2**224 + 2**192 - 0x4319055358e8617b0c46353d039cdaae
    b = bytes.fromhex('5ac635d8aa3a93e7b3ebbd55769886bc651d06b0cc53b0f63bce3c3e27d2604b')
    point = bytes.fromhex('046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296'
                          '4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5')
    curve = tlv(0x30, integer(1), algorithm('2a8648ce3d0101', integer(p)),
                tlv(0x30, tlv(4, (p - 3).to_bytes(32, 'big')), tlv(4, b)), tlv(4, point),
                integer(n), integer(1))
    public = key.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    return signed(tlv(0x30, algorithm('2a8648ce3d0201', curve), tlv(3, b'\0', public)),
                  algorithm('2a8648ce3d040302'),
                  lambda text: key.sign(text, ec.ECDSA(hashes.SHA256())))


GOOD = {
    'RSA': lambda: request_for(rsa.generate_private_key(65537, 2048)),
    'RSA, of an odd size': lambda: request_for(rsa.generate_private_key(65537, 2304)),
    'RSA, another exponent': lambda: with_exponent(2**32 + 15),
    'P-256': lambda: request_for(ec.generate_private_key(ec.SECP256R1())),
    'P-384': lambda: request_for(ec.generate_private_key(ec.SECP384R1())),
    'P-521': lambda: request_for(ec.generate_private_key(ec.SECP521R1())),
    'Ed25519': lambda: request_for(ed25519.Ed25519PrivateKey.generate()),
    'Ed448': lambda: request_for(ed448.Ed448PrivateKey.generate())}

BAD = {
    'its key has 1024 bits, fewer than 2048': lambda: request_for(
        rsa.generate_private_key(65537, 1024)),
    'its curve is secp224r1, not P-256, P-384 or P-521': lambda: request_for(
        ec.generate_private_key(ec.SECP224R1())),
    'its curve is secp256k1, not P-256, P-384 or P-521': lambda: request_for(
        ec.generate_private_key(ec.SECP256K1())),
    'its curve is brainpoolP256r1, not P-256, P-384 or P-521': lambda: request_for(
        ec.generate_private_key(ec.BrainpoolP256R1())),
    'its key is not one of RSA, P-256, P-384, P-521, Ed25519 and Ed448': lambda: request_for(
        dsa.generate_private_key(1024)),
    'its key is in a form that its certificate would not have': with_explicit_curve}


@pytest.mark.parametrize('kind', GOOD)
def test_it_signs_for_a_key_of_that_kind(ca, kind):
    csr = GOOD[kind]()
    chain = pki.sign(csr, 'app/0', [], 90, *ca) + ca[0]
    assert certificate_of(chain).public_key() == x509.load_pem_x509_csr(csr.encode()).public_key()
    assert pki.untimely(chain) is None


@pytest.mark.parametrize('reason', BAD)
def test_a_request_with_another_key_is_refused_for_that_reason(ca, reason):
    csr = BAD[reason]()
    assert x509.load_pem_x509_csr(csr.encode()).is_signature_valid  # it is only the key
    with pytest.raises(pki.BadRequest) as raised:
        pki.sign(csr, 'app/0', [], 90, *ca)
    assert str(raised.value) == reason


@pytest.mark.parametrize('exponent', [1, 5, 17, 257, 65535, 65539])
def test_an_exponent_below_65537_is_refused(ca, exponent):
    csr = with_exponent(exponent)
    if exponent > 65537:
        assert pki.sign(csr, 'app/0', [], 90, *ca)
        return
    with pytest.raises(pki.BadRequest) as raised:
        pki.sign(csr, 'app/0', [], 90, *ca)
    if exponent > 1:  # which some versions of the library do not even read
        assert str(raised.value) == 'the exponent of its key is not odd and at least 65537'


@pytest.mark.parametrize('change', [
    lambda csr: csr.replace('\n', '\r\n'), lambda csr: '\ufeff' + csr,
    lambda csr: 'Certificate Request:\n  Version: 1\n' + csr + 'behind it\n',
    lambda csr: csr.replace(' CERT', ' NEW CERT'), lambda csr: csr.rstrip('\n')],
    ids=['CR LF', 'BOM', 'text around', 'NEW', 'no line end'])
def test_a_request_may_be_written_as_other_tools_write_it(ca, csr, change):
    assert pki.sign(change(csr), 'app/0', [], 90, *ca)


def test_a_request_that_is_not_signed_with_its_own_key_is_refused(ca, csr):
    other = request_for(ec.generate_private_key(ec.SECP256R1()))
    one, other = (x509.load_pem_x509_csr(each.encode()) for each in (csr, other))
    forged = one.public_bytes(Encoding.DER).replace(one.signature, other.signature)
    if len(one.signature) != len(other.signature):  # of ECDSA, they differ by a byte or two
        forged = one.public_bytes(Encoding.DER)[:-1] + bytes([one.signature[-1] ^ 1])
    with pytest.raises(pki.BadRequest, match='it is not signed with its own key'):
        pki.load_request(block(forged, 'CERTIFICATE REQUEST'))


# Where, as a part of the length; how many bytes go; what comes there.
CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 2), st.binary(max_size=3)),
                   min_size=1, max_size=3)


def changed(pem, changes):
    """The same block with these changes of its bytes."""
    label, = re.findall('BEGIN (.*)-----', pem)
    der = bytearray(ssl.PEM_cert_to_DER_cert(pem.replace(label, 'CERTIFICATE')))
    for part, gone, come in changes:
        place = int(part * len(der))
        der[place:place + gone] = come
    return block(bytes(der), label)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(changes=CHANGES)
def test_a_request_with_any_bytes_changed_is_refused_or_signed(ca, csr, changes):
    try:
        pki.sign(changed(csr, changes), 'app/0', [], 90, *ca)
    except pki.BadRequest as reason:
        assert str(reason).isprintable() and len(str(reason)) < 200


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(changes=CHANGES, ca_too=st.booleans())
def test_a_chain_with_any_bytes_changed_is_read_or_a_fault(ca, csr, changes, ca_too):
    certificate = pki.sign(csr, 'app/0', ['10.0.0.1'], 90, *ca)
    chain = changed(certificate, changes) + (changed(ca[0], changes) if ca_too else ca[0])
    for look in (pki.signer, pki.untimely, pki.days_left, lambda chain: pki.is_to_renew(chain, 90),
                 lambda chain: pki.is_for(chain, 'app/0', ['10.0.0.1'])):
        try:
            look(chain)
        except pki.Fault as fault:
            assert str(fault).isprintable()


@pytest.mark.parametrize('text', [
    '', 'x', '\0', '\udcff', '-----BEGIN CERTIFICATE REQUEST-----',
    '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n',
    '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])
def test_what_is_none_of_these_is_a_fault(ca, text):
    for read in pki.load_request, pki.load_key, pki.certificates, pki.signer, pki.days_left:
        with pytest.raises(pki.Fault):
            read(text)
    with pytest.raises(pki.BadRequest, match='it cannot be read as a certificate signing request'):
        pki.sign(text, 'app/0', [], 90, *ca)


@pytest.mark.parametrize('key, told', [
    (pem_of(rsa.generate_private_key(65537, 1024)), 'its key has 1024 bits'),
    (pem_of(x25519.X25519PrivateKey.generate()), 'its key is not one of'),
    (pem_of(ed25519.Ed25519PrivateKey.generate(), BestAvailableEncryption(b'x')),
     'its private key cannot be read')],
    ids=['RSA of 1024 bits', 'X25519', 'encrypted'])
def test_a_private_key_that_nobody_would_sign_for_is_none(key, told):
    with pytest.raises(pki.Fault, match=told):
        pki.load_key(key)


def test_a_private_key_is_in_the_form_that_it_has_always_been():
    assert pki.make_key().startswith('-----BEGIN EC PRIVATE KEY-----\n')


# Certificates.

def test_a_certificate_has_what_peers_look_for(ca, csr):
    certificate = certificate_of(pki.sign(csr, 'app/0', ['10.0.0.1'], 90, *ca))
    authority = certificate_of(ca[0])
    for each, is_ca, usages in ((certificate, False, {'digital_signature'}),
                                (authority, True, {'key_cert_sign', 'crl_sign'})):
        extensions = {extension.oid._name: extension for extension in each.extensions}
        assert {name for name in extensions if extensions[name].critical} == {
            'basicConstraints', 'keyUsage'}
        assert extensions['basicConstraints'].value.ca == is_ca
        usage = extensions['keyUsage'].value
        assert {name for name in pki.NO_USAGE if name not in ('encipher_only', 'decipher_only')
                and getattr(usage, name)} == usages
    assert {purpose._name for purpose in certificate.extensions.get_extension_for_class(
        x509.ExtendedKeyUsage).value} == {'serverAuth', 'clientAuth'}
    assert certificate.extensions.get_extension_for_class(
        x509.AuthorityKeyIdentifier).value.key_identifier == \
        authority.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert authority.extensions.get_extension_for_class(
        x509.BasicConstraints).value.path_length == 0


def test_nothing_but_the_key_is_taken_from_a_request(ca):
    key = ec.generate_private_key(ec.SECP256R1())
    csr = x509.CertificateSigningRequestBuilder(pki.subject('www.example.com')).add_extension(
        x509.SubjectAlternativeName([x509.DNSName('www.example.com')]), False).add_extension(
        x509.BasicConstraints(ca=True, path_length=None), True).sign(key, hashes.SHA256())
    certificate = certificate_of(pki.sign(pki.pem(csr), 'app/0', [], 90, *ca))
    assert b'www.example.com' not in certificate.public_bytes(Encoding.DER)
    assert not certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def test_a_certificate_is_valid_since_an_hour_before_it_was_signed(csr):
    before = time.time()
    ca, key = pki.make_ca('app')
    certificate = pki.sign(csr, 'app/0', [], 90, ca, key)
    for text, days in ((ca, 3650), (certificate, 90)):
        start, end = (moment.timestamp() for moment in (
            certificate_of(text).not_valid_before_utc, certificate_of(text).not_valid_after_utc))
        assert before - 3601 <= start <= time.time() - 3600
        assert before - 1 <= end - days * 86400 <= time.time()


@pytest.fixture
def clock(monkeypatch):
    """clock(days): so much later, or earlier. The machine's clock is changed, no code of ours."""
    right = time.time

    def set_to(days):
        monkeypatch.setattr(time, 'time', lambda: right() + days * 86400)

    yield set_to


def test_a_certificate_ends_no_later_than_its_ca(ca, csr, clock):
    end = certificate_of(ca[0]).not_valid_after_utc
    for days, left in ((3600, 50), (3649, 1), (3649.99, 0.01)):
        clock(days)
        chain = pki.sign(csr, 'app/0', [], 90, *ca) + ca[0]
        assert certificate_of(chain).not_valid_after_utc == end
        assert pki.days_left(chain) == pytest.approx(left, abs=0.001)
        assert pki.untimely(chain) is None


@pytest.mark.parametrize('days', [-400, -0.05, 3650.1])
def test_by_a_clock_at_which_its_ca_is_not_valid_nothing_is_signed(ca, csr, clock, days):
    clock(days)
    with pytest.raises(pki.Fault, match='the CA is not valid on 20..-..-.. ..:.. UTC, which'):
        pki.sign(csr, 'app/0', [], 90, *ca)


def test_it_is_time_for_another_when_a_third_of_its_own_time_is_left(ca, csr, clock):
    for days in (1, 30, 90, 3000):
        chain = pki.sign(csr, 'app/0', [], days, *ca) + ca[0]
        for past, due in ((0, False), (days * 0.65, False), (days * 0.68, True), (days * 2, True)):
            clock(past)
            assert pki.is_to_renew(chain, days) == due
        clock(0)


def test_it_is_time_for_another_when_it_would_last_more_or_fewer_days(ca, csr):
    chain = pki.sign(csr, 'app/0', [], 90, *ca) + ca[0]
    assert [pki.is_to_renew(chain, days) for days in (30, 89, 90, 91, 365)] == [
        True, True, False, True, True]


def test_another_that_would_end_with_the_ca_as_this_does_is_not_asked_for(ca, csr, clock):
    clock(3600)
    chain = pki.sign(csr, 'app/0', [], 90, *ca) + ca[0]
    for days in (3600, 3620, 3649, 3651):
        clock(days)
        assert not pki.is_to_renew(chain, 90)


@pytest.mark.parametrize('days, bound', [(-1, 'before'), (91, 'after')])
def test_a_certificate_is_untimely_before_it_starts_and_after_it_ends(ca, csr, clock, days, bound):
    chain = pki.sign(csr, 'app/0', [], 90, *ca) + ca[0]
    clock(days)
    moment = '20[0-9]{2}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-9]{2} UTC'
    assert re.fullmatch(f"not valid {bound} {moment}, this unit's clock says {moment}",
                        pki.untimely(chain))
    assert pki.signer(chain)  # whatever the time


def test_what_its_ca_has_outlived_is_untimely(ca, csr, clock):
    chain = pki.sign(csr, 'app/0', [], 3650, *ca)
    clock(-2)
    later = pki.issue(pki.subject('app CA'), pki.load_key(ca[1]).public_key(),
                      pki.subject('app CA'), ca[1], pki.now() + timedelta(1), {})
    clock(0)
    assert pki.untimely(chain + ca[0]) is None
    with pytest.raises(pki.Fault, match='signed by none'):  # it is no CA, and has another name
        pki.untimely(chain + later)


def test_the_signer_is_a_ca_of_the_chain(ca, csr):
    other, certificate = pki.make_ca('app'), pki.sign(csr, 'app/0', [], 90, *ca)
    assert pki.signer(certificate + ca[0]) == certificate_of(ca[0])
    assert pki.signer(certificate + other[0] + ca[0]) == certificate_of(ca[0])
    leaf = certificate_of(certificate)
    no_ca = pki.issue(pki.subject('x'), leaf.public_key(), leaf.issuer, ca[1],
                      pki.now() + timedelta(1), {})
    for chain in (certificate, certificate + other[0], certificate + certificate,
                  no_ca + certificate):
        with pytest.raises(pki.Fault, match='signed by none of the CAs beside it'):
            pki.signer(chain)


def test_a_key_that_is_not_the_cas_signs_nothing(ca, csr):
    with pytest.raises(pki.Fault, match='signed by none of the CAs beside it'):
        pki.sign(csr, 'app/0', [], 90, ca[0], pki.make_ca('app')[1])
