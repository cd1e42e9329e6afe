"""The pure decisions of peers.py."""
import base64

import pytest

from peers import (CERTIFICATE_LABELS, MAX_BYTES, REQUEST_LABELS, fault_in, parse_id, waits)


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
    (CSR.replace('ZGF0', '!!!!'), 'undecodable base64'),
    (CSR.replace('ZGF0', 'ZGF'), 'undecodable base64'),
    (pem('CERTIFICATE REQUEST', b''), 'empty PEM block'),
    (CSR + CSR[:40], 'cut off'),
    (CSR + pem('PRIVATE KEY'), 'private key'),
    (CSR + pem('EC PRIVATE KEY'), 'private key'),
    (CSR + 'x' * (MAX_BYTES - len(CSR) + 1), '65537 bytes, more than 65536'),
    (CSR + 'ä' * (MAX_BYTES // 2), 'more than 65536'),
    (CSR + '\ud800', 'not encodable'),
    ('-----BEGIN CERTIFICATE REQUEST-----' * 1800, 'no PEM block'),
])
def test_faulty_requests(text, fault):
    assert fault in fault_in(text, REQUEST_LABELS)


def test_a_request_is_no_certificate():
    assert 'no PEM block CERTIFICATE' in fault_in(CSR, CERTIFICATE_LABELS)


def test_well_formed_ids():
    assert parse_id('0af-1') == ('0af', 1)
    assert parse_id('a-b-12') == ('a-b', 12)
    assert parse_id('L-' + '9' * 62) == ('L', int('9' * 62))


@pytest.mark.parametrize('csr_id', [
    None, '', 'x', '-1', 'L-', 'L-0', 'L-01', 'L--', 'L-1\n', 'L-x', 'L 1', 'ä-1', 'L-²',
    'L-' + '9' * 63])
def test_malformed_ids(csr_id):
    assert parse_id(csr_id) is None


@pytest.mark.parametrize('csr_id, answered, result', [
    ('L-1', None, True),
    ('L-1', 'junk', True),
    ('L-1', 'L-1', False),
    ('L-2', 'L-1', True),
    ('L-10', 'L-9', True),
    ('L-1', 'L-2', False),
    ('L-1', 'M-1', True),
    ('L-1', 'M-2', True),
    ('L-1', 'K-2', True),
])
def test_a_request_waits_until_it_or_a_later_one_of_its_life_is_answered(
        csr_id, answered, result):
    assert waits(csr_id, answered) is result
