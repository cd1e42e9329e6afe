"""What README.md of the example says to do when something bad has happened.

The tests share one model of three units, and leave it with every unit served.
"""
import shutil
import ssl
import sys

import pytest

from deployed import act, chain, clock, look, parties, party, served
from handshake import Party, shake_hands
from world import TESTS

sys.path.append(str(TESTS / 'example/lib'))

import pki  # noqa: E402 - the line above makes it importable

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('incidents')]

ZERO, ONE, TWO = UNITS = ['tls-example/{}'.format(number) for number in range(3)]
STEPS = 'new-ca', 'reissue', 'drop-old-ca'


@pytest.fixture(scope='module')
def three(served_units, tmp_path_factory):
    with served_units.copy(tmp_path_factory.mktemp('three') / 'units') as juju:
        look(juju, *UNITS)
        yield juju


def copied(one, directory):
    """The party as who has copied its files."""
    directory.mkdir()
    key, certificate = (shutil.copy(str(path), str(directory)) for path in one[1:3])
    return one._replace(key=key, certificate=certificate)


def is_accepted(stranger, unit):
    """As a client, which itself trusts whom that unit trusts."""
    try:
        shake_hands(unit, stranger._replace(ca=unit.ca))
        return True
    except ssl.SSLError:
        return False


def secret(juju):
    found, = juju.model.secrets.values()
    return found.revisions[-1]


def forge(juju, directory):
    """A party as another unit, by whoever has the CA's key."""
    directory.mkdir()
    ca, (_, one, _) = secret(juju), parties(juju)
    key = pki.make_key()
    files = {'key': key, 'ca': ca['certificate'], 'certificate': pki.sign(
        pki.make_request(pki.load_key(key), ONE), ONE, [one.address], 30, ca['certificate'],
        ca['key'])}
    for name, text in files.items():
        (directory / name).write_text(text)
    return Party(ONE, directory / 'key', directory / 'certificate', directory / 'ca', one.address)


@pytest.mark.slow
def test_who_has_the_cas_key_is_accepted_until_the_last_step_of_a_change_of_ca(three, tmp_path):
    forged = forge(three, tmp_path / 'forged')
    for action in STEPS:
        assert is_accepted(forged, party(three, ZERO))
        assert act(three, ZERO, action)[0] == 'completed'
        three.settle()
    assert not is_accepted(forged, party(three, ZERO))
    served(three)


@pytest.mark.slow
def test_a_compromised_unit_is_taken_away_first_then_the_ca_is_changed(three, tmp_path):
    unit = three.add_unit()
    three.settle()
    stolen = copied(party(three, unit), tmp_path / 'stolen')
    assert act(three, ZERO, 'new-ca')[0] == 'completed'
    three.settle(UNITS)                # with the unit still there, and not doing its part
    status, told = act(three, ZERO, 'reissue')
    assert status == 'failed' and told.startswith('not installed by {} ('.format(unit))
    assert act(three, ZERO, 'cancel-new-ca')[0] == 'completed'
    three.settle(UNITS)
    three.remove_unit(unit)
    three.settle()
    for action in STEPS:
        assert is_accepted(stolen, party(three, ZERO))
        assert act(three, ZERO, action)[0] == 'completed'
        three.settle()
    assert not is_accepted(stolen, party(three, ZERO))
    served(three)


def test_a_disk_that_is_restored(three, tmp_path):
    """Its unit has an older key, certificate and memory, and asks once with that key."""
    pki_directory = party(three, ONE).key.parent
    shutil.copytree(str(pki_directory), str(tmp_path / 'backup'))
    hooks = len(three.history[ONE])
    assert act(three, ONE, 'new-key')[0] == 'completed'
    three.settle()
    look(three, ONE)
    new = party(three, ONE).key.read_text()
    three.restore_unitdata(ONE, len(three.history[ONE]) - hooks)
    shutil.rmtree(str(pki_directory))
    shutil.copytree(str(tmp_path / 'backup'), str(pki_directory))
    number = int(three.bag(ONE)['csr_number'])
    for _ in range(3):
        look(three, ONE)
    assert party(three, ONE).key.read_text() != new
    assert int(three.bag(ONE)['csr_number']) == number + 1
    served(three)
    assert shake_hands(*parties(three)[:2]) == (ONE, ZERO)


@pytest.mark.slow
def test_a_unit_asks_anew_once_the_clock_of_its_leader_is_right_again(three, tamper):
    """It has a certificate that begins tomorrow, and goes on with the one before."""
    before = chain(three, ONE)
    tamper(three, ZERO, clock(1))
    act(three, ONE, 'renew')
    three.settle()
    for _ in range(3):
        look(three, ONE)
    assert chain(three, ONE) == before
    status, message = three.status(ONE)
    assert status == 'waiting' and message.startswith('certificate not valid before ')
    number = int(three.bag(ONE)['csr_number'])
    tamper(three, ZERO, '')
    tamper(three, ONE, clock(2 / 24))
    look(three, ONE)
    assert int(three.bag(ONE)['csr_number']) == number + 1
    tamper(three, ONE, '')
    look(three, ONE)
    assert chain(three, ONE) != before
    served(three)


@pytest.mark.slow
def test_with_the_clock_of_its_leader_ahead_a_unit_is_patient_enough_at_last(three, tamper):
    """Each new certificate would be valid later: it asks less and less often."""
    before = chain(three, ONE)
    tamper(three, ZERO, clock(.5))
    act(three, ONE, 'renew')
    three.settle()
    asked = int(three.bag(ONE)['csr_number'])
    for hour in range(1, 40):
        tamper(three, ZERO, clock(.5 + hour / 24))
        tamper(three, ONE, clock(hour / 24))
        look(three, ONE)
        if chain(three, ONE) != before:
            break
    assert chain(three, ONE) != before
    assert int(three.bag(ONE)['csr_number']) - asked < 6
    for unit in (ZERO, ONE):
        tamper(three, unit, '')
    act(three, ONE, 'renew')
    three.settle()
    look(three, *UNITS)
    served(three)
