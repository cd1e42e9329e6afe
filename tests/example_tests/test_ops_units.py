"""The example in ops as units on the double of Juju: a change of CA, a leader that goes or dies."""
import re
from itertools import permutations
from pathlib import Path

import pytest

import ops_build
from deployed import deploy, parties, served
from handshake import shake_hands
from world import at, calls

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('ops units')]

LEADER = 'tls-example/0'


@pytest.fixture(scope='module')
def charm(tmp_path_factory):
    return ops_build.assemble(tmp_path_factory.mktemp('charm') / 'ops')


@pytest.fixture(scope='module')
def settled(charm, tmp_path_factory):
    with deploy(charm, tmp_path_factory.mktemp('three') / 'units', 3) as juju:
        yield juju


@pytest.fixture
def three(settled, tmp_path):
    with settled.copy(tmp_path / 'units') as juju:
        juju.forked = True
        yield juju


def act(juju, unit, name, **params):
    """Run the action, after the unit's hooks that come before it; what Juju tells of it."""
    juju.action(unit, name, **params)
    while True:
        run = juju.run(unit)
        if run.action:
            return run.task()


def all_shake_hands(juju):
    for server, client in permutations(parties(juju), 2):
        assert shake_hands(server, client) == (client.name, server.name)


def settle_with_handshakes(juju):
    """One hook of one unit after another; every pair accepts each other after each."""
    while any(map(juju.next_hook, juju.units())):
        for unit in filter(juju.next_hook, juju.units()):
            assert juju.run(unit).committed
            all_shake_hands(juju)


def test_three_units_are_served_and_at_rest(three):
    served(three)
    all_shake_hands(three)
    number = len(three.runs)
    for unit in three.units():
        for _ in range(2):  # the first confirms what is in use
            three.update_status(unit)
            three.settle()
    for unit in three.units():
        three.update_status(unit)
    three.settle()
    assert len(three.runs) > number and not any(run.changes for run in three.runs[-3:])


def test_a_change_of_ca_goes_on_as_units_confirm_it_and_no_handshake_fails(three):
    before = three.status('tls-example/1')[1]
    for step in 'new-ca', 'reissue', 'drop-old-ca':
        task = act(three, LEADER, step)
        assert task['status'] == 'completed', task
        if step != 'drop-old-ca':
            following = {'new-ca': 'reissue', 'reissue': 'drop-old-ca'}[step]
            assert act(three, LEADER, following)['message'].startswith('not installed yet by ')
        settle_with_handshakes(three)
    served(three)
    signer, trusted = re.match('signed by (.*), trusts (.*), until',
                               three.status('tls-example/1')[1]).groups()
    assert signer == trusted and signer not in before
    secret, = three.model.secrets.values()
    assert [each for each in secret.revisions if each] == secret.revisions[-1:]


def test_the_next_leader_signs_with_the_same_ca(three):
    before = {unit: three.app_bag()[unit + '_signed_certificate'] for unit in three.units()[1:]}
    three.remove_unit(LEADER)
    three.settle()
    new = three.add_unit()
    three.elect('tls-example/1')
    three.settle()
    served(three)
    all_shake_hands(three)
    assert new in three.units() and LEADER + '_csr_id' not in three.app_bag()
    assert all(three.app_bag()[unit + '_signed_certificate'] == chain
               for unit, chain in before.items())


def test_the_key_of_the_ca_is_on_no_disk_also_if_the_hook_is_killed(three, tmp_path):
    """It deletes nothing then: the next hook does."""
    with three.copy(tmp_path / 'spared') as spared:
        spared.forked = True
        spared.action(LEADER, 'new-ca')
        number = at(spared.run(LEADER), 'secret-set')
    three.action(LEADER, 'new-ca')
    run = three.run(LEADER, kill_at=number)
    files = [Path(argument.partition('#file=')[2])
             for argument in calls(run)[-1] if '#file=' in argument]
    assert len(files) == 4 and all('PRIVATE KEY' in file.read_text()
                                   for file in files if file.name.endswith('key'))
    for file in files:
        scratch = file.parents[1]
        assert str(scratch.parent) in ('/run', '/dev/shm') and is_in_memory(scratch)
        assert scratch.stat().st_mode & 0o777 == 0o700
    three.update_status(LEADER)
    three.settle()
    assert not scratch.exists()


def is_in_memory(path):
    mounts = [line.split() for line in Path('/proc/mounts').read_text().splitlines()]
    return str(path.parent) in [mount[1] for mount in mounts if mount[2] == 'tmpfs']
