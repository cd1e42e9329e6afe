"""The pure decisions of peers.py."""
import base64
import hashlib
import ssl
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from handshake import Party, impostor
from peers import (ANSWER_DIGITS, CERTIFICATE_LABELS, MAX_BYTES, OWN_DIGITS,
                   REQUEST_DIGITS, REQUEST_LABELS, Answer, Record, answer_in, digest_of, fault_in,
                   fit_reason, id_of, is_reason, next_step, number_in, obstacle, request_in,
                   requests_in, units_in, waits)


def pem(label, data=b'data', end=None):
    return '-----BEGIN {}-----\n{}-----END {}-----\n'.format(
        label, base64.encodebytes(data).decode(), end or label)


CSR = pem('CERTIFICATE REQUEST')
CERTIFICATE = pem('CERTIFICATE')


@pytest.mark.parametrize('text', [
    CSR,
    pem('NEW CERTIFICATE REQUEST'),
    'Certificate Request:\n    Data:\n' + CSR,
    CSR + 'kept as it is: ä\n',
    CSR.replace('\n', '\r\n'),
    CSR.strip(),
    CSR + CSR,
    CSR + 'x' * (MAX_BYTES - len(CSR)),
    '\ufeff' + CSR,
])
def test_sound_requests(text):
    assert fault_in(text, REQUEST_LABELS) is None


@pytest.mark.parametrize('text', [
    CERTIFICATE,
    'Certificate:\n    Data:\n        Version: 3 (0x2)\n' + CERTIFICATE,
    CERTIFICATE + 'the CA:\n' + pem('CERTIFICATE', b'another'),
])
def test_sound_certificates(text):
    assert fault_in(text, CERTIFICATE_LABELS) is None


@pytest.mark.parametrize('text, fault', [
    ('', 'no PEM block'),
    ('junk', 'no PEM block'),
    (CERTIFICATE, 'no PEM block CERTIFICATE REQUEST or NEW CERTIFICATE REQUEST'),
    (pem('CERTIFICATE REQUEST', end='CERTIFICATE'), 'no PEM block'),
    (pem('CERTIFICATE REQUEST', end='NEW CERTIFICATE REQUEST'), 'no PEM block'),
    (CSR.replace('ZGF0', 'Z=F0'), 'undecodable base64'),
    (CSR.replace('ZGF0', 'ZGF'), 'undecodable base64'),
    (CSR.replace('ZGF0', '!!!!'), 'no PEM block'),
    (pem('CERTIFICATE REQUEST', b''), 'no PEM block'),
    (CSR + CSR[:40], 'cut off'),
    (CSR + '\ufeff' + CSR, 'cut off'),
    (CSR + pem('PRIVATE KEY'), 'private key'),
    (CSR + pem('EC PRIVATE KEY'), 'private key'),
    (CSR + pem('ENCRYPTED PRIVATE KEY'), 'private key'),
    (CSR + pem('PGP PRIVATE KEY BLOCK'), 'private key'),
    (CSR + 'x' * (MAX_BYTES - len(CSR) + 1), '65537 bytes, more than 65536'),
    (CSR + 'ä' * (MAX_BYTES // 2), 'more than 65536'),
    (CSR + '\ud800', 'not encodable'),
    (CSR + '\0', 'NUL'),
    ('\0' + CSR, 'NUL'),
    ('-----BEGIN CERTIFICATE REQUEST-----' * 1800, 'no PEM block'),
])
def test_faulty_requests(text, fault):
    assert fault in fault_in(text, REQUEST_LABELS)


def test_a_request_is_no_certificate():
    assert 'no PEM block CERTIFICATE' in fault_in(CSR, CERTIFICATE_LABELS)


PRIVATE_KEYS = [
    pem('PRIVATE KEY'), pem('RSA PRIVATE KEY'), pem('ENCRYPTED PRIVATE KEY'),
    pem('OPENSSH PRIVATE KEY'), pem('PGP PRIVATE KEY BLOCK'),
    '---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\n',
    'PuTTY-User-Key-File-3: ssh-ed25519\n', 'Private-Lines: 14\n',
    'Private-Key: (2048 bit, 2 primes)\n', 'RSA Private-Key: (2048 bit, 2 primes)\n',
    'ED25519 Private-Key:\npriv:\n',
]


@pytest.mark.parametrize('key', PRIVATE_KEYS)
def test_a_private_key_is_one_where_its_begin_line_starts_a_line(key):
    for text, labels in ((CSR, REQUEST_LABELS), (CERTIFICATE, CERTIFICATE_LABELS)):
        assert 'private key' in fault_in(text + key, labels)
        assert 'private key' in fault_in(key.replace('\n', '\r\n') + text, labels)
        quoted = key.splitlines()[0]
        assert fault_in('        Subject: CN = ' + quoted + '\n' + text, labels) is None
        assert fault_in('subject=CN = ' + quoted + ', O = x\n' + text, labels) is None


@pytest.mark.parametrize('reason, fit', [
    ('too weak', 'too weak'),
    ('the private key: too short', 'the private key: too short'),
    ('a NUL \0, a line\nand a tab\t, \x7f\x9b', 'a NUL ?, a line?and a tab?, ??'),
    ('\ud800 is no character', '? is no character'),
    ('x' * 1025, 'x' * 1024),
    ('é' * 1000, 'é' * 512),
    ('x' + 'é' * 1000, 'x' + 'é' * 511),
    ('', 'no reason given'), (' \t', 'no reason given'), ('\n\n', 'no reason given'),
    (' ' * 2000 + 'x', 'no reason given'),
    ('CN=-----BEGIN PRIVATE KEY-----, O=x', 'CN=(a private key)'),
    ('x' * 1015 + 'Private-Lines: 1', 'x' * 1015 + '(a privat'),
    ('x' * 2000 + '-----BEGIN PRIVATE KEY-----', 'x' * 1024),
])
def test_a_reason_is_made_fit(reason, fit):
    assert fit_reason(reason) == fit
    assert is_reason(fit)


@pytest.mark.parametrize('key', PRIVATE_KEYS)
def test_a_reason_with_a_private_key_ends_there(key):
    fit = fit_reason('its subject is ' + key + 'more')
    assert fit.startswith('its subject is ') and fit.endswith('(a private key)')
    assert not is_reason('its subject is ' + key)


@pytest.mark.parametrize('evil', ['-' * 10**6, 'BEGIN ' * 10**6, 'BEGIN PRIVATE ' * 10**5,
                                  'PRIVATE KEY' + ' ' * 10**6])
def test_a_long_reason_takes_no_long_time(evil):
    assert is_reason(fit_reason(evil))


@pytest.mark.parametrize('text, usable', [
    ('no', True), ('x' * 1024, True), ('two\nlines', True),
    ('x' * 1025, False), ('é' * 513, False), ('', False), (' \n', False), ('a NUL \0', False)])
def test_which_reason_a_unit_takes(text, usable):
    assert is_reason(text) == usable


# CSRs by what they hold.

@pytest.mark.parametrize('change', [
    str.strip,
    lambda csr: csr.replace('\n', '\r\n'),
    lambda csr: csr.replace('\n', ' \t\n'),
    lambda csr: 'Certificate Request:\n    Data:\n' + csr + 'after\n',
    lambda csr: '\ufeff' + csr,
    lambda csr: csr.replace('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'),
    lambda csr: csr.replace('\n', '\n\n'),
    lambda csr: ''.join('    ' + line for line in csr.splitlines(True)),
    lambda csr: csr.replace('ZG', 'Z\nG'),
])
def test_a_csr_that_was_tidied_is_the_same(change):
    assert requests_in(change(CSR)) == requests_in(CSR) == ['ZGF0YQ']


@pytest.mark.parametrize('text', ['', 'junk', CERTIFICATE, CSR[:40], 'é' + CERTIFICATE])
def test_what_has_no_request_block(text):
    assert requests_in(text) == []


@pytest.mark.parametrize('text', [
    pem('CERTIFICATE REQUEST', b'other'), CSR + pem('CERTIFICATE REQUEST', b'other'),
    CSR.replace('ZG', 'Z'), CSR.replace('ZGF0', 'Z'), CSR.replace('ZG', 'é')])
def test_another_csr_is_another(text):
    assert requests_in(text) != requests_in(CSR)


# PEM as OpenSSL reads it, which is asked: what it takes is sound, what it refuses not.

def lines(block, change):
    """The block with its base64 lines changed."""
    first, *body, last = block.strip().split('\n')
    return '\n'.join([first] + change(body) + [last]) + '\n'


def shaped(block):
    """{name: text}: the block in forms that one meets."""
    return {
        'as it is': block,
        'CR LF': block.replace('\n', '\r\n'),
        'CR alone': block.replace('\n', '\r'),
        'CR alone between base64 lines': lines(block, lambda body: ['\r'.join(body)]),
        'no newline at the end': block.strip(),
        'text around': 'Certificate:\n    Data:\n' + block + 'after\n',
        'indented': ''.join('  ' + line for line in block.splitlines(True)),
        'indented base64': lines(block, lambda body: ['  ' + line for line in body]),
        'folded': lines(block, lambda body: [body[0]] + [' ' + line for line in body[1:]]),
        'all in one line': block.replace('\n', ' '),
        'base64 in lines of 20': lines(block, lambda body: [
            ''.join(body)[at:at + 20] for at in range(0, len(''.join(body)), 20)]),
        'blanks at line ends': ''.join(line + ' \t\n' for line in block.splitlines()),
        'U+00A0 at line ends': lines(block, lambda body: [line + '\u00a0' for line in body]),
        'U+00A0 in base64': lines(block, lambda body: [body[0][:9] + '\u00a0' + body[0][9:]]
                                  + body[1:]),
        'a blank in base64': lines(block, lambda body: [body[0][:9] + ' ' + body[0][9:]]
                                   + body[1:]),
        'form feed at line ends': lines(block, lambda body: [line + '\f' for line in body]),
        'a blank line in it': lines(block, lambda body: body[:1] + [''] + body[1:]),
        'a blank line before its end': lines(block, lambda body: body + ['']),
        'text before the boundary': 'x' + block,
        'text after the boundary': block.replace('-----\n', '----- x\n', 1),
        'the end in the last line of base64': block.replace('\n-----END', '-----END'),
        'a character is missing': lines(block, lambda body: [body[0][:-1]] + body[1:]),
        'four dashes': block.replace('-----BEGIN', '----BEGIN'),
        'cut off': block[:len(block) // 2],
        'empty': lines(block, lambda body: []),
        'a BOM before it': '\ufeff' + block,
        'another block before it': pem('DH PARAMETERS') + block,
        'another block that is cut off before it': '-----BEGIN DH PARAMETERS-----\nAAAA\n' + block,
        'another block with another end before it': pem('A', end='B') + block,
        'another block without a label before it': '-----BEGIN -----\nAAAA\n' + block,
        'another block with undecodable base64 before it':
            pem('DH PARAMETERS').replace('ZGF0', 'Z=F0') + block,
        'a boundary within the text before it': 'see -----BEGIN CERTIFICATE-----\n' + block,
        'a boundary with text behind before it': '-----BEGIN CERTIFICATE REQUEST----- x\n' + block,
        'a boundary within the text after it': block + 'of -----BEGIN CERTIFICATE REQUEST-----\n',
    }


@pytest.fixture(scope='module')
def unit(tmp_path_factory):
    """Files with a key and its certificate."""
    return impostor(Party('unit', None, None, None, '10.0.0.1'), tmp_path_factory.mktemp('unit'))


@pytest.fixture(scope='module')
def blocks(unit):
    """{openssl command: (PEM block, labels)}: a CSR and a certificate for that key."""
    key = load_pem_private_key(unit.key.read_bytes(), None)
    csr = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, hashes.SHA256())
    return {'req': (csr.public_bytes(Encoding.PEM).decode(), REQUEST_LABELS),
            'x509': (unit.certificate.read_text(), CERTIFICATE_LABELS)}


# Of the white space that OpenSSL takes among base64 only blanks and tabs are taken.
STRICTER = {'CR alone between base64 lines', 'U+00A0 at line ends', 'form feed at line ends',
            'another block with undecodable base64 before it'}
# What OpenSSL reads from version 3 on.
NEWER = {'a BOM before it'}


@pytest.mark.parametrize('shape', sorted(shaped(CSR)))
def test_a_block_is_sound_only_if_openssl_reads_it(blocks, unit, shape, tmp_path):
    """Certificates, as Python's ssl can tell; and the same shapes for requests."""
    texts = {labels: shaped(block)[shape] for block, labels in blocks.values()}
    (tmp_path / 'file').write_bytes(texts[CERTIFICATE_LABELS].encode())
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            str(tmp_path / 'file'), str(unit.key))
        is_read = True
    except ssl.SSLError:
        is_read = False
    for labels, text in texts.items():
        expect_sound(text, labels, shape, is_read, ssl.OPENSSL_VERSION_INFO[0])


def expect_sound(text, labels, shape, is_read, version):
    fault = fault_in(text, labels)
    if shape in STRICTER:
        assert fault
    elif shape in NEWER:
        assert fault is None and is_read == (version >= 3)
    else:
        assert (fault is None) == is_read, fault


@pytest.mark.openssl
@pytest.mark.parametrize('command', ['req', 'x509'])
@pytest.mark.parametrize('shape', sorted(shaped(CSR)))
def test_a_block_is_sound_only_if_the_command_reads_it(blocks, command, shape, tmp_path):
    block, labels = blocks[command]
    text = shaped(block)[shape]
    (tmp_path / 'file').write_bytes(text.encode())
    done = subprocess.run(['openssl', command, '-in', str(tmp_path / 'file'), '-noout'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    version = subprocess.run(['openssl', 'version'], stdout=subprocess.PIPE, check=True).stdout
    expect_sound(text, labels, shape, done.returncode == 0,
                 int(version.decode().split()[1].split('.')[0]))


# Ids and numbers.

@pytest.mark.parametrize('text, digits, number', [
    ('1', 18, 1), ('10', 18, 10), ('9' * 18, 18, int('9' * 18)), ('9' * 17, 17, int('9' * 17)),
    ('9' * 19, 18, 0), ('9' * 18, 17, 0), ('9' * 16, 15, 0),
    (None, 18, 0), ('', 18, 0), ('0', 18, 0), ('01', 18, 0), ('-1', 18, 0), ('+1', 18, 0),
    ('1\n', 18, 0), (' 1', 18, 0), ('x', 18, 0), ('²', 18, 0), ('٣', 18, 0), ('1e3', 18, 0)])
def test_numbers(text, digits, number):
    assert number_in(text, digits) == number


def test_whatever_a_leader_or_an_own_bag_has_can_be_outnumbered():
    assert number_in(str(int('9' * ANSWER_DIGITS) + 1), OWN_DIGITS)
    assert number_in(str(int('9' * OWN_DIGITS) + 1), REQUEST_DIGITS)


def test_an_id_has_the_number_and_what_was_asked():
    digest = hashlib.sha256('CSR: ä'.encode()).hexdigest()
    assert id_of(7, 'CSR: ä') == '7-' + digest
    assert id_of(7, 'csr') != id_of(8, 'csr') != id_of(8, 'other')
    assert id_of(1, '\ud800')          # what no bag can hold fails nothing


DIGEST = '0' * 64


USABLE = {'tls/1_signed_certificate': CERTIFICATE}, {'tls/1_refusal': 'no'}


@pytest.mark.parametrize('csr_id, number', [
    ('7-' + DIGEST, 7), ('9' * 15 + '-' + DIGEST, int('9' * 15)), ('9' * 16 + '-' + DIGEST, 0),
    ('9' * 5000 + '-' + DIGEST, 0)])
@pytest.mark.parametrize('beside', USABLE)
def test_an_answer_and_its_number(csr_id, number, beside):
    bag = dict(beside, **{'tls/1_csr_id': csr_id, 'tls/10_csr_id': '9-' + DIGEST})
    answer = answer_in(bag, 'tls/1')
    assert answer == (csr_id, number, beside.get('tls/1_signed_certificate'),
                      beside.get('tls/1_refusal'))


@pytest.mark.parametrize('csr_id', [
    None, '', '7', '7-', '7-' + DIGEST[1:], '7-' + DIGEST + '0', '7-' + DIGEST + '\n',
    '0-' + DIGEST, '07-' + DIGEST, '-7-' + DIGEST, '²-' + DIGEST, 'reissue-' + '7' * 32,
    '7-' + DIGEST.replace('0', 'G'), '7-' + 'A' * 64])
@pytest.mark.parametrize('beside', USABLE)
def test_what_is_no_id_makes_no_answer(csr_id, beside):
    assert answer_in(dict(beside, **{'tls/1_csr_id': csr_id}), 'tls/1') == Answer()


@pytest.mark.parametrize('beside', [
    {}, {'tls/1_signed_certificate': 'junk'}, {'tls/1_refusal': 'é' * 1000},
    {'tls/1_signed_certificate': CERTIFICATE + '\0'},
    {'tls/1_refusal': 'a NUL \0'}, {'tls/1_signed_certificate': 'junk', 'tls/1_refusal': 'no'}])
def test_an_id_beside_what_no_unit_takes_is_no_answer(beside):
    assert answer_in(dict(beside, **{'tls/1_csr_id': '7-' + DIGEST}), 'tls/1') == Answer()


@pytest.mark.parametrize('number, answered, result', [
    (1, None, True),
    (1, 'junk', True),
    (1, id_of(1, 'csr'), False),
    (1, id_of(1, 'other'), True),
    (2, id_of(1, 'csr'), True),
    (10, id_of(9, 'csr'), True),
    (9, id_of(10, 'csr'), False),
    (1, id_of(2, 'other'), False),
    (2, 'reissue-' + '9' * 32, True),
    (1, '9' * 16 + '-' + DIGEST, True),
    (int('9' * 18), id_of('9' * 18, 'csr'), False),
])
@pytest.mark.parametrize('beside', USABLE)
def test_a_request_waits_unless_it_or_one_of_a_greater_number_is_answered(
        number, answered, result, beside):
    answer = answer_in(dict(beside, **{'tls/1_csr_id': answered}), 'tls/1')
    assert waits(id_of(number, 'csr'), answer) is result


@pytest.mark.parametrize('bag, found', [
    ({'csr': 'x', 'csr_number': '3'}, (id_of(3, 'x'), 'x')),
    ({'csr': 'x', 'csr_number': '9' * 18}, (id_of(int('9' * 18), 'x'), 'x')),
    ({'csr': 'x', 'csr_number': '9' * 19}, ('', '')), ({'csr': 'x'}, ('', '')),
    ({'csr': '', 'csr_number': '3'}, ('', '')), ({'csr_number': '3'}, ('', '')), ({}, ('', '')),
    (None, ('', ''))])
def test_the_request_in_a_bag(bag, found):
    assert request_in(bag) == found


# The unit's own request, a row of README's table each.

MINE, OTHER = CSR, pem('CERTIFICATE REQUEST', b'other')


def bag_with(csr, number=None):
    return {key: value for key, value in (('csr', csr), ('csr_number', number)) if value}


def answered(csr_id):
    return {'tls/1_csr_id': csr_id, 'tls/1_refusal': 'no'} if csr_id else {}


@pytest.mark.parametrize('record, bag, answers, step', [
    # nothing remembered, a CSR without number: the original's
    (Record(), bag_with(MINE), {}, (MINE, 1, True)),
    (Record(), bag_with(MINE), answered(id_of(4, OTHER)), (MINE, 5, True)),
    (Record(), bag_with('junk'), {}, (None, 0, False)),
    (Record(csr=OTHER, unpublished=True), bag_with(MINE), {}, (OTHER, 1, True)),
    # the bag has a later request, or another one under this number
    (Record(csr=MINE, number=1), bag_with(OTHER, '2'), {}, (None, 2, False)),
    (Record(csr=MINE, number=2), bag_with(OTHER, '2'), {}, (None, 2, False)),
    (Record(), bag_with(OTHER, '2'), {}, (None, 2, False)),
    (Record(csr=MINE, number=1, unpublished=True), bag_with(OTHER, '2'), {}, (None, 2, False)),
    (Record(csr=MINE, number=2), bag_with(None, '2'), {}, (None, 2, False)),
    # the same CSR under a later number
    (Record(csr=MINE, number=1), bag_with(MINE, '3'), {}, (MINE, 3, False)),
    (Record(csr=MINE, number=1), bag_with(MINE, '3'), answered(id_of(4, OTHER)), (MINE, 5, True)),
    # not yet published: a number that nobody has answered
    (Record(csr=MINE, unpublished=True), {}, {}, (MINE, 1, True)),
    (Record(csr=MINE, unpublished=True), {}, answered(id_of(1, MINE)), (MINE, 2, True)),
    (Record(csr=MINE, unpublished=True), {}, answered('1' + 15 * '0' + '-' + DIGEST),
     (MINE, 1, True)),
    (Record(csr=MINE, number=2, unpublished=True), bag_with(OTHER, '2'), {}, (MINE, 3, True)),
    (Record(csr=MINE, number=2, unpublished=True), bag_with(MINE, '2'), {}, (MINE, 3, True)),
    (Record(csr=MINE, number=1, unpublished=True), bag_with(MINE, '2'),
     answered(id_of(2, MINE)), (MINE, 3, True)),
    # an id that stands there beside nothing, of whatever length
    (Record(csr=MINE, unpublished=True), {}, {'tls/1_csr_id': id_of(1, MINE)}, (MINE, 2, True)),
    (Record(csr=MINE, number=10 ** 16 - 1, unpublished=True), {},
     {'tls/1_csr_id': id_of(10 ** 16, MINE)}, (MINE, 10 ** 16 + 1, True)),
    # unserved under a greater number that was answered
    (Record(csr=MINE, number=2), bag_with(MINE, '2'), answered(id_of(4, OTHER)), (MINE, 5, True)),
    (Record(csr=MINE, number=2), bag_with(MINE, '2'), answered(id_of(4, MINE)), (MINE, 5, True)),
    (Record(csr=MINE, number=2), bag_with(MINE, '2'), {'tls/1_csr_id': id_of(4, OTHER)},
     (MINE, 2, False)),
    (Record(csr=MINE, number=2, outcome={'taken': True}), bag_with(MINE, '2'),
     answered(id_of(4, OTHER)), (MINE, 2, False)),
    # an earlier request in the bag, or none
    (Record(csr=MINE, number=2), bag_with(OTHER, '1'), {}, (MINE, 2, True)),
    (Record(csr=MINE, number=2), bag_with(MINE, '1'), {}, (MINE, 2, True)),
    (Record(csr=MINE, number=2), {}, {}, (MINE, 2, True)),
    (Record(csr=MINE, number=2), bag_with(MINE, '02'), {}, (MINE, 2, True)),
    (Record(csr=MINE, number=10 ** 17), bag_with(MINE, '1' + 17 * '0'), {},
     (MINE, 10 ** 17, False)),
    # at rest
    (Record(csr=MINE, number=2), bag_with(MINE, '2'), {}, (MINE, 2, False)),
    (Record(), {}, {}, (None, 0, False)),
    (Record(number=3), bag_with(OTHER, '2'), {}, (None, 3, False)),
])
def test_what_becomes_of_the_own_request(record, bag, answers, step):
    assert next_step(record, 'tls/1', bag, answers, asks=False) == step


def test_a_request_made_in_this_hook_is_newer_than_whatever_the_bag_has():
    record = Record(csr=MINE, number=1, unpublished=True)
    assert next_step(record, 'tls/1', bag_with(OTHER, '4'), answered(id_of(6, OTHER)),
                     asks=True) == (MINE, 7, True)


@pytest.mark.parametrize('csr, ordered, stands, seen, said', [
    (None, id_of(1, MINE), {}, [{}], None),
    (None, id_of(1, MINE), answered(id_of(1, MINE)), [answered(id_of(1, MINE)), {}], None),
    (None, id_of(1, OTHER), {}, [{}], 'the unit has asked anew'),
    (None, id_of(1, MINE), answered(id_of(1, MINE)), [{}], 'another answer stands there'),
    (None, id_of(1, MINE), {'tls/1_csr_id': 'reissue-x'}, [{}], 'another answer stands there'),
    (MINE, id_of(1, OTHER), {}, [], None),
    (MINE.strip(), None, {}, [], None),
    (MINE, None, answered(id_of(1, MINE)), [], 'another answer stands there'),
    (OTHER, id_of(1, MINE), {}, [{}], 'the unit has asked anew'),
    ('junk', id_of(1, MINE), {}, [{}], 'the unit has asked anew, or `csr` is not its request'),
])
def test_whether_a_request_can_be_answered(csr, ordered, stands, seen, said):
    reason = obstacle('tls/1', bag_with(MINE, '1'), stands, csr, ordered,
                      *[digest_of(each, 'tls/1') for each in seen])
    assert reason is None if said is None else reason.startswith(said)


def test_without_a_request_there_is_nothing_to_answer():
    for bag in ({}, None, {'csr': MINE}):
        assert obstacle('tls/1', bag, {}, None, None) == 'its request cannot be read'


def test_the_digest_is_that_of_the_whole_answer():
    bags = [{}, {'tls/1_csr_id': 'x'}, {'tls/1_refusal': 'x'}, {'tls/1_signed_certificate': 'x'},
            {'tls/1_csr_id': 'x', 'tls/1_refusal': 'x'}]
    assert len({digest_of(bag, 'tls/1') for bag in bags}) == len(bags)
    assert digest_of({'tls/1_csr_id': None, 'tls/2_csr_id': 'x'}, 'tls/1') == digest_of({}, 'tls/1')


def test_only_keys_that_are_exactly_the_interfaces_are_of_a_unit():
    bag = dict.fromkeys(['tls/0_csr_id', 'tls/1_refusal', 'tls/22_signed_certificate',
                         'tls/3_address', 'tls/04_csr_id', 'tls/5_csr_id ', 'tls/6_csr_id\n',
                         'xtls/7_csr_id', 'tls/x_csr_id', 'tls_csr_id', 'db/8_csr_id'], 'x')
    bag['tls/9_csr_id'] = None
    assert units_in(bag, 'tls') == {'tls/0', 'tls/1', 'tls/22'}
