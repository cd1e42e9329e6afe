"""The pure decisions of peers.py."""
import base64
import hashlib
import subprocess

import pytest

from peers import (ANSWER_DIGITS, CERTIFICATE_LABELS, MAX_BYTES, OWN_DIGITS, REQUEST_DIGITS,
                   REQUEST_LABELS, answered_number, digest_of, fault_in, id_of, number_in,
                   units_in, waits)


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
    ('-----BEGIN CERTIFICATE REQUEST-----' * 1800, 'no PEM block'),
])
def test_faulty_requests(text, fault):
    assert fault in fault_in(text, REQUEST_LABELS)


def test_a_request_is_no_certificate():
    assert 'no PEM block CERTIFICATE' in fault_in(CSR, CERTIFICATE_LABELS)


@pytest.mark.parametrize('text, fault', [
    ('too weak', None),
    ('the private key: too short', None),
    ('Private-Key: (2048 bit, 2 primes)', 'private key'),
    ('ED25519 Private-Key:\npriv:\n', 'private key'),
    ('Private-Lines: 14', 'private key'),
    ('x' * 1024, None),
    ('x' * 1025, 'it has 1025 bytes, more than 1024'),
    (' \n', 'it is empty'),
    (pem('RSA PRIVATE KEY'), 'private key'),
    ('\ud800', 'not encodable'),
])
def test_reasons(text, fault):
    found = fault_in(text)
    assert found is None if fault is None else fault in found


# PEM as the openssl command reads it, which is asked: what it takes is sound, what it refuses not.

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
def blocks(tmp_path_factory):
    """A CSR and a certificate, made by openssl; {openssl command: (PEM block, labels)}."""
    home = tmp_path_factory.mktemp('openssl')
    command = ['openssl', 'req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj', '/CN=unit',
               '-keyout', str(home / 'key')]
    subprocess.run(command + ['-out', str(home / 'csr')], check=True, stderr=subprocess.PIPE)
    subprocess.run(command + ['-x509', '-out', str(home / 'certificate')], check=True,
                   stderr=subprocess.PIPE)
    return {'req': ((home / 'csr').read_text(), REQUEST_LABELS),
            'x509': ((home / 'certificate').read_text(), CERTIFICATE_LABELS)}


# Of the white space that openssl takes among base64 only blanks and tabs are taken.
STRICTER = {'CR alone between base64 lines', 'U+00A0 at line ends', 'form feed at line ends',
            'another block with undecodable base64 before it'}
# What openssl reads from version 3 on.
NEWER = {'a BOM before it'}


@pytest.mark.parametrize('command', ['req', 'x509'])
@pytest.mark.parametrize('shape', sorted(shaped(CSR)))
def test_a_block_is_sound_only_if_openssl_reads_it(blocks, command, shape, tmp_path):
    block, labels = blocks[command]
    text = shaped(block)[shape]
    (tmp_path / 'file').write_bytes(text.encode())
    done = subprocess.run(['openssl', command, '-in', str(tmp_path / 'file'), '-noout'],
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if shape in STRICTER:
        assert fault_in(text, labels)
    elif shape in NEWER:
        version = subprocess.run(['openssl', 'version'], stdout=subprocess.PIPE, check=True).stdout
        assert fault_in(text, labels) is None
        assert (done.returncode == 0) == (not version.startswith(b'OpenSSL 1.'))
    else:
        assert (fault_in(text, labels) is None) == (done.returncode == 0), fault_in(text, labels)


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


@pytest.mark.parametrize('csr_id, number', [
    ('7-' + DIGEST, 7), ('9' * 15 + '-' + DIGEST, int('9' * 15)), ('9' * 16 + '-' + DIGEST, 0),
    ('9' * 5000 + '-' + DIGEST, 0),
    (None, 0), ('', 0), ('7', 0), ('7-', 0), ('7-' + DIGEST[1:], 0), ('7-' + DIGEST + '0', 0),
    ('7-' + DIGEST + '\n', 0), ('0-' + DIGEST, 0), ('07-' + DIGEST, 0), ('-7-' + DIGEST, 0),
    ('²-' + DIGEST, 0), ('reissue-' + '7' * 32, 0), ('7-' + DIGEST.replace('0', 'G'), 0)])
def test_the_number_of_an_answer(csr_id, number):
    bag = {'tls/1_csr_id': csr_id, 'tls/10_csr_id': '9-' + DIGEST}
    assert answered_number(bag, 'tls/1') == number


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
def test_a_request_waits_unless_it_or_one_of_a_greater_number_is_answered(
        number, answered, result):
    for key, text in (('tls/1_signed_certificate', CERTIFICATE), ('tls/1_refusal', 'no')):
        bag = {'tls/1_csr_id': answered, key: text}
        assert waits('tls/1', id_of(number, 'csr'), bag) is result


@pytest.mark.parametrize('beside', [
    {}, {'tls/1_signed_certificate': 'junk'}, {'tls/1_refusal': 'é' * 1000},
    {'tls/1_refusal': 'a NUL \0'}, {'tls/1_signed_certificate': 'junk', 'tls/1_refusal': 'no'}])
def test_a_request_waits_though_its_id_is_there_beside_what_no_unit_takes(beside):
    assert waits('tls/1', id_of(1, 'csr'), dict(beside, **{'tls/1_csr_id': id_of(1, 'csr')}))


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
