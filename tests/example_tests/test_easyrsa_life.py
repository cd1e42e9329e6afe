"""Units of the easy-rsa example later in life: lost files, clocks, the next leader, a new CA."""
import re
from hashlib import sha256

import pytest

from easyrsa_units import INSTALLED, expect_fitting
from openssl_command import new_key, openssl

pytestmark = [
    pytest.mark.slow, pytest.mark.xdist_group('easyrsa'),
    pytest.mark.skipif(not INSTALLED, reason='easy-rsa is not installed')]

LEADER, ONE, TWO, NEW = ['tls-easyrsa/{}'.format(number) for number in range(4)]
P256 = 'ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:named_curve'
DAY = 86400


# What is derived is checked against its source.

JUNK = b'', b'junk', b'\xff\0', b'-----BEGIN CERTIFICATE-----\nAAAA\n'


def spoil(file, content):
    file.unlink()
    if content is not None:
        file.write_bytes(content)


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


# The CA.

@pytest.mark.parametrize('days, state, serves', [
    (80, 'active: certificate until .*; the CA ends in 79 days: run new-ca', True),
    (20, 'blocked: the CA ends in 19 days: run new-ca; certificate until ', True),
    (0.5, 'blocked: .*the CA ends within a day; run new-ca; .*1 of 4 wait: ' + NEW, False)])
def test_the_end_of_the_ca_has_a_warning(units, days, state, serves):
    units.replace_ca(-DAY, days * DAY)
    units.juju.add_unit()
    units.juju.settle()
    units.update_status(LEADER)
    assert re.match(state, units.status(LEADER))
    assert (NEW + '_signed_certificate' in units.juju.app_bag()) == serves
    expect_new_ca(units)


def expect_new_ca(units, leader=LEADER):
    """The action makes one, and all units are served by it."""
    before = units.juju.app_bag().get('ca')
    run = units.action(leader, 'new-ca')
    assert run['status'] == 'completed', run
    units.juju.settle()
    units.update_status()
    units.expect_served()
    ca = units.ca_on(leader)
    assert units.juju.app_bag()['ca'] == ca != before
    assert openssl('x509', '-noout', '-subject', '-nameopt', 'RFC2253', text=ca) == \
        'subject={}\n'.format(run['results']['ca'])
    assert {units.files(unit)[2] for unit in units.juju.units()} == {ca}


def test_a_ca_that_went_with_its_leader_is_missed_and_none_takes_its_place(units):
    units.juju.remove_unit(LEADER)
    units.juju.elect(ONE)
    units.juju.add_unit()
    units.juju.settle()
    units.update_status()
    assert re.match('blocked: the key of the CA CN=tls-easyrsa-0 CA [0-9a-f]{8} is not on this '
                    'unit, which leads: ', units.status(ONE))
    assert 'run new-ca' in units.status(ONE) and '1 of 3 wait: ' + NEW in units.status(ONE)
    assert units.status(TWO).startswith('active') and units.ca_on(ONE) is None
    assert units.status(NEW) == 'waiting: no certificate yet'
    expect_new_ca(units, ONE)


def test_a_ca_that_is_brought_to_the_next_leader_goes_on(units):
    before = units.files(TWO)
    carried = units.carry_ca(LEADER, ONE)
    units.juju.remove_unit(LEADER)
    units.juju.elect(ONE)
    units.juju.add_unit()
    units.juju.settle()
    units.update_status()
    units.expect_served()
    assert units.files(NEW)[2] == carried and units.files(TWO) == before


def test_a_refused_unit_that_is_elected_makes_no_ca(units):
    spoil(units.home(ONE) / 'easy-rsa/unit/key.pem',
          new_key('rsa', 'rsa_keygen_bits:1024').encode())
    units.update_status(ONE)
    assert ONE + '_refusal' in units.juju.app_bag()
    units.juju.elect(ONE)
    units.update_status()
    assert units.ca_on(ONE) is None
    assert 'blocked' == units.juju.status(ONE)[0] and 'is not on this unit' in units.status(ONE)
    units.juju.elect(LEADER)
    spoil(units.home(ONE) / 'easy-rsa/unit/key.pem', None)
    for _ in range(2):
        units.update_status()
    units.expect_served()


@pytest.mark.parametrize('published', [True, False])
def test_a_leader_that_lost_unitdata_goes_on_with_its_ca(units, published):
    """The application bag has no CA where an earlier version of the layer has signed."""
    ca = units.ca_on(LEADER)
    if not published:
        units.juju.write_app(LEADER, ca='')
    units.juju.lose_unitdata(LEADER)
    units.update_status()
    units.update_status()
    assert units.ca_on(LEADER) == units.juju.app_bag()['ca'] == ca
    units.expect_served()
    spoil(units.home(LEADER) / 'easy-rsa/pki/ca.crt', None)
    units.update_status()
    assert units.ca_on(LEADER) == ca


def test_a_leader_whose_ca_and_unitdata_are_lost_makes_no_other_by_itself(units):
    """Nor where no CA was published, if somebody was served."""
    units.juju.write_app(LEADER, ca='')
    units.juju.lose_unitdata(LEADER)
    units.lose_ca(LEADER)
    units.update_status()
    assert units.ca_on(LEADER) is None
    assert 'the key of the CA that signed the certificates is not on' in units.status(LEADER)
    expect_new_ca(units)


@pytest.mark.parametrize('fault', ['exit 1', 'sleep 600', 'kill -9 $$'])
def test_a_new_ca_that_cannot_be_made_fails_the_action_and_changes_nothing(units, fault):
    before, bag = units.ca_on(LEADER), units.juju.app_bag()
    units.break_tool('easyrsa', 'case "$*" in *build-ca*) {};; esac\nexec {} "$@"\n'.format(
        fault, INSTALLED))
    run = units.action(LEADER, 'new-ca')
    assert run['status'] == 'failed' and run['message'].startswith('no new CA: easyrsa ')
    assert '\n' not in run['message']
    assert units.ca_on(LEADER) == before and units.juju.app_bag() == bag
    units.repair()
    expect_new_ca(units)


def test_only_the_leader_makes_a_new_ca(units):
    run = units.action(ONE, 'new-ca')
    assert run['status'] == 'failed' and run['message'].startswith('no new CA: this unit does not')
    assert units.ca_on(ONE) is None


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
