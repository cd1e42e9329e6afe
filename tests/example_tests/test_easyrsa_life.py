"""Units of the easy-rsa example later in life: lost files, clocks, what people are told."""
import os
import re
from hashlib import sha256

import pytest

from deployed import tampering
from easyrsa_units import INSTALLED, expect_fitting, spoil
from openssl_command import new_key

pytestmark = [
    pytest.mark.openssl, pytest.mark.xdist_group('easyrsa'),
    pytest.mark.skipif(not INSTALLED, reason='easy-rsa is not installed')]

LEADER, ONE = ['tls-easyrsa/{}'.format(number) for number in range(2)]
P256 = 'ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:named_curve'
DAY = 86400


# What is derived is checked against its source.

JUNK = b'', b'junk', b'\xff\0', b'-----BEGIN CERTIFICATE-----\nAAAA\n'


@pytest.mark.parametrize('name', ['key.pem', 'certificate.pem', 'ca.pem'])
def test_a_file_in_use_that_is_lost_or_spoilt_is_put_back(units, name):
    before = units.files(ONE)
    for content in (None,) + JUNK:
        spoil(units.home(ONE) / 'pki' / name, content)
        units.update_status(ONE)
        assert units.files(ONE) == before
    assert units.asked(ONE) == 1


@pytest.mark.parametrize('unit', [LEADER, ONE])
def test_a_key_or_request_that_is_lost_or_spoilt_is_made_anew_and_asked_for_once(units, unit):
    pair = units.home(unit) / 'easy-rsa/unit'
    key = (pair / 'key.pem').read_text()
    for content in (None,) + JUNK:
        for name in ('key.pem', 'request.pem'):
            spoil(pair / name, content)
            units.update_status(unit)
            assert (pair / 'key.pem').read_text() == key  # which is also in use
    assert units.asked(unit) == (unit == ONE)
    spoil(pair / 'key.pem', new_key(*P256).encode())
    units.update_status(unit)
    for name in ('pki', 'easy-rsa/unit'):
        spoil(units.home(unit) / name / 'key.pem', None)
    units.update_status(unit)
    units.update_status()
    units.expect_served()
    assert units.files(unit)[0] == (pair / 'key.pem').read_text() != key
    assert units.asked(unit) == 3 * (unit == ONE)


def test_a_new_key_stands_beside_no_old_certificate(units):
    old = units.files(ONE)
    spoil(units.home(ONE) / 'easy-rsa/unit/key.pem', new_key(*P256).encode())
    units.juju.update_status(ONE)
    units.juju.settle([ONE])
    assert units.files(ONE) == old
    units.juju.settle()
    assert units.files(ONE)[0] != old[0]
    units.expect_served()


def test_modes_that_were_loosened_are_set_again(units):
    home = units.home(ONE)
    paths = [home / name for name in ('easy-rsa', 'pki', 'pki/key.pem', 'easy-rsa/unit/key.pem')]
    for path in paths:
        path.chmod(0o777)
    units.update_status(ONE)
    assert [path.stat().st_mode & 0o77 for path in paths] == [0] * 4


def test_owners_are_set_again_and_links_to_other_files_are_removed(units, tmp_path):
    home, other = units.home(ONE), tmp_path / 'other'
    paths = [home / name for name in ('easy-rsa', 'pki', 'pki/key.pem', 'easy-rsa/unit/key.pem')]
    if os.geteuid() == 0:
        for path in paths:
            os.chown(str(path), 1, 1)
    other.write_text('')
    other.chmod(0o644)
    for name in ('pki/ca.pem', 'easy-rsa/unit/request.pem'):
        spoil(home / name, None)
        (home / name).symlink_to(other)
    units.update_status(ONE)
    assert {path.stat().st_uid for path in paths} == {os.geteuid()}
    assert other.stat().st_mode & 0o777 == 0o644 and other.read_text() == ''
    units.update_status()
    units.expect_served()


def test_a_disk_that_cannot_be_read_for_a_moment_loses_nothing(units):
    before = units.files(ONE)
    with tampering() as tamper:
        tamper(units.juju, ONE, '''import errno
import sys


def audit(event, arguments):
    if event == 'open' and str(arguments[0]).endswith('key.pem') and arguments[1] == 'r':
        raise OSError(errno.EIO, 'Input/output error')


sys.addaudithook(audit)
''')
        units.update_status(ONE)
        assert re.match('blocked: .*Input/output error', units.status(ONE))
    units.update_status()
    assert units.files(ONE) == before and units.asked(ONE) == 1
    units.expect_served()


# Both ends of validity.

def test_a_certificate_that_is_not_valid_yet_waits_beside_the_one_in_use(units):
    before = units.files(ONE)
    units.answer(ONE, units.sign(ONE, 2 * DAY, 20 * DAY))
    assert re.match('waiting: the new certificate is valid from .* and this clock says ',
                    units.status(ONE))
    units.update_status(ONE)
    assert units.files(ONE) == before and units.asked(ONE) == 1


def test_a_unit_asks_anew_where_such_a_certificate_would_come_too_late(units):
    units.answer(ONE, units.sign(ONE, -20 * DAY, 5 * DAY))
    units.juju.update_status(ONE)
    units.juju.settle([ONE])
    units.answer(ONE, units.sign(ONE, 6 * DAY, 20 * DAY))
    units.update_status()
    units.expect_served()
    assert units.status(ONE).startswith('active: certificate until ')


def test_a_unit_whose_certificates_are_over_when_they_come_asks_again_after_an_hour(units):
    """A clock is wrong."""
    for _ in range(3):
        bag = units.juju.bag(ONE)
        units.juju.write_app(LEADER, **{ONE + '_csr_id': '{}-{}'.format(
            bag['csr_number'], sha256(bag['csr'].encode()).hexdigest())})
        units.juju.settle([ONE])
        units.juju.write_app(LEADER, **{
            ONE + '_signed_certificate': units.sign(ONE, -20 * DAY, -DAY)})
        units.juju.settle([ONE])
        units.juju.update_status(ONE)
        units.juju.settle([ONE])
        assert units.asked(ONE) == 2


@pytest.mark.parametrize('lasts, left, status', [
    (80, 15, 'active: the certificate ends in 14 days, and is to be renewed'),
    (80, 5, 'blocked: the certificate ends in 4 days, and is to be renewed')])
def test_a_renewal_that_nobody_answers_has_a_warning_and_then_blocks(units, lasts, left, status):
    units.answer(ONE, units.sign(ONE, (left - lasts) * DAY, left * DAY))
    units.juju.update_status(ONE)
    units.juju.settle([ONE])
    assert units.status(ONE) == status
    assert '1 of 3 wait: ' + ONE not in units.status(LEADER)
    units.update_status()
    units.expect_served()
    assert units.status(ONE).startswith('active: certificate until ')
    assert units.asked(ONE) == 2


def test_a_certificate_that_has_ended_says_so_until_it_is_replaced(units):
    key = units.home(ONE) / 'pki/certificate.pem'
    units.answer(ONE, units.sign(ONE, -DAY, 5))
    while 'ended on' not in units.status(ONE):
        units.juju.update_status(ONE)
        units.juju.settle([ONE])
    assert units.status(ONE).startswith('blocked: the certificate ended on ')
    assert key.exists()
    units.juju.settle()
    units.expect_served()


def test_soon_is_measured_by_the_certificates_own_span(units):
    """A certificate that the CA's end cuts short is not renewed in each update-status."""
    units.answer(ONE, units.sign(ONE, -60, 3 * DAY))
    units.update_status(ONE)
    units.update_status(ONE)
    assert units.asked(ONE) == 1


# Texts for people.

def test_a_status_is_one_line_without_control_characters(units):
    spoil(units.home(ONE) / 'easy-rsa/unit/key.pem', new_key(*P256).encode())
    units.juju.update_status(ONE)
    units.juju.settle([ONE])
    units.juju.write_app(LEADER, **{
        ONE + '_refusal': 'a\x1b[31m\nb\u202e' + 'c' * 900, ONE + '_signed_certificate': '',
        ONE + '_csr_id': '2-' + sha256(units.juju.bag(ONE)['csr'].encode()).hexdigest()})
    units.juju.settle()
    units.update_status(LEADER)
    assert 'refused: {}: a [31m b c'.format(ONE) in units.status(LEADER)
    assert units.status(LEADER).isprintable()
    status = units.status(ONE)
    assert status.startswith('blocked: request refused: a [31m b c')
    assert status.isprintable() and len(status) < 600
    expect_fitting(*units.files(ONE))
