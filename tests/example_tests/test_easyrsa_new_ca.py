"""The CA of the easy-rsa example: its end, the next leader, and the change to a new one."""
import re
from itertools import permutations

import pytest

from deployed import parties
from easyrsa_units import INSTALLED, spoil
from handshake import shake_hands
from openssl_command import new_key, openssl

pytestmark = [
    pytest.mark.openssl, pytest.mark.xdist_group('easyrsa'),
    pytest.mark.skipif(not INSTALLED, reason='easy-rsa is not installed')]

LEADER, ONE, TWO, NEW = ['tls-easyrsa/{}'.format(number) for number in range(4)]
DAY = 86400


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
    if not serves:
        expect_new_ca(units)


def expect_new_ca(units, leader=LEADER):
    """The action makes one; all units are served by it, and in the end trust no other."""
    before = units.juju.app_bag().get('ca', '')
    run = units.action(leader, 'new-ca')
    assert run['status'] == 'completed', run
    units.juju.settle()
    units.update_status()
    units.expect_served()
    ca = units.ca_on(leader)
    assert units.juju.app_bag()['ca'] == ca + before != before
    assert openssl('x509', '-noout', '-subject', '-nameopt', 'RFC2253', text=ca) == \
        'subject={}\n'.format(run['results']['ca'])
    assert {units.files(unit)[2] for unit in units.juju.units()} == {ca + before}
    run = units.action(leader, 'drop-old-ca')
    assert run['status'] == ('completed' if before else 'failed'), run
    units.juju.settle()
    units.update_status()
    units.expect_served()
    assert {units.files(unit)[2] for unit in units.juju.units()} == {ca}
    assert units.juju.app_bag()['ca'] == ca
    assert 'still trusted' not in units.status(leader)


def test_no_connection_is_refused_while_the_ca_changes(units):
    """Units that have changed and units that have not accept each other's certificates."""
    assert units.action(LEADER, 'new-ca')['status'] == 'completed'
    units.juju.settle([LEADER, ONE])
    old, new = units.files(TWO)[2], units.ca_on(LEADER)
    assert units.files(ONE)[2] == new + old
    expect_handshakes(units)
    assert 'the CA before this one is still trusted: run drop-old-ca' in units.status(LEADER)
    run = units.action(LEADER, 'drop-old-ca')
    assert run['status'] == 'failed'
    assert run['message'] == \
        'the old CA stays: not installed by {}; force=true goes on without them'.format(TWO)
    run = units.action(LEADER, 'new-ca')
    assert run['status'] == 'failed' and run['message'].endswith('still trusted: run drop-old-ca')
    units.juju.settle()
    expect_handshakes(units)
    assert units.action(LEADER, 'drop-old-ca')['status'] == 'completed'
    units.juju.settle([LEADER, ONE])
    assert (units.files(ONE)[2], units.files(TWO)[2]) == (new, new + old)
    expect_handshakes(units)
    units.juju.settle()
    expect_handshakes(units)
    units.expect_served()
    assert units.files(TWO)[2] == new


def expect_handshakes(units):
    for server, client in permutations(parties(units.juju), 2):
        shake_hands(server, client)


def test_force_goes_on_without_a_unit_that_does_not_install(units):
    assert units.action(LEADER, 'new-ca')['status'] == 'completed'
    units.juju.settle([LEADER, ONE])
    assert units.action(LEADER, 'drop-old-ca', force=True)['status'] == 'completed'
    units.juju.settle([LEADER, ONE])
    units.expect_served(LEADER, ONE)
    before = units.ca_on(LEADER)
    assert units.action(LEADER, 'new-ca', force=True)['status'] == 'completed'
    units.juju.settle()
    units.update_status()
    units.expect_served()
    after = units.ca_on(LEADER)
    assert {units.files(unit)[2] for unit in units.juju.units()} == {after} != {before}


def test_a_change_of_ca_goes_on_where_its_hook_was_killed(units):
    """The new CA is on the disk, and nothing of it in the application bag."""
    before = units.juju.app_bag()['ca']
    units.juju.action(LEADER, 'new-ca')
    while not units.juju.model.unit(LEADER).actions == []:
        run = units.juju.run(LEADER, fail_commit=True)
    units.juju.settle()
    assert units.ca_on(LEADER) != before == units.juju.app_bag()['ca']
    units.juju.runs.remove(run)
    units.update_status()
    units.update_status()
    assert units.juju.app_bag()['ca'] == units.ca_on(LEADER) + before
    units.expect_served()
    assert {units.files(unit)[2] for unit in units.juju.units()} == {units.juju.app_bag()['ca']}


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


def test_a_ca_that_went_with_its_leader_during_a_change_has_a_next_one(units):
    assert units.action(LEADER, 'new-ca')['status'] == 'completed'
    units.juju.settle()
    units.juju.remove_unit(LEADER)
    units.juju.elect(ONE)
    units.juju.settle()
    units.update_status()
    assert 'run new-ca' in units.status(ONE)
    for action in ('new-ca', 'drop-old-ca'):
        task = units.action(ONE, action)
        assert task['status'] == 'completed', task
        units.juju.settle()
    units.expect_served()
    assert units.files(TWO)[2].count('BEGIN') == 1


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
