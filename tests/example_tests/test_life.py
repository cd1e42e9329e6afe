"""What a unit of the example meets in its life: other addresses, wrong clocks, its end.

Most tests share one model of two units, and leave it with both served.
"""
from itertools import permutations

import pytest

from deployed import chain, deploy, is_ca, names, parties, party, renew, served
from fakejuju import Juju
from handshake import shake_hands

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('life')]


@pytest.fixture(scope='module')
def pair(built, tmp_path_factory):
    with deploy(built, tmp_path_factory.mktemp('pair') / 'units', 2) as juju:
        yield juju


@pytest.mark.parametrize('unit', [
    'tls-example/0', pytest.param('tls-example/1', marks=pytest.mark.slow)])
def test_a_new_address_brings_a_new_certificate_each_time_and_one_only(pair, unit):
    one, old = party(pair, unit), pair.model.address(unit)
    key = one.key.read_text()
    for address in ('127.0.2.1', old):
        pair.change_address(unit, address)
        pair.settle()  # config-changed, after which Juju writes the address into the bag
        before = one.certificate.read_text()
        pair.update_status(unit)
        pair.settle()
        assert one.certificate.read_text() != before
        assert names(chain(pair, unit)[0])[1:] == [address]
        rests(pair, unit)
        served(pair)
        for server, client in permutations(parties(pair), 2):
            assert shake_hands(server, client) == (client.name, server.name)
    assert one.key.read_text() == key


def test_a_unit_without_an_ip_address_keeps_its_certificate(pair):
    old = pair.model.address('tls-example/1')
    pair.change_address('tls-example/1', 'unit-1.example.com')
    pair.settle()
    rests(pair, 'tls-example/1')
    assert names(chain(pair, 'tls-example/1')[0])[1:] == [old]
    pair.change_address('tls-example/1', old)
    pair.settle()
    served(pair)


@pytest.mark.slow
@pytest.mark.parametrize('address', [
    'fe80::1%eth0', '::1%x\nsubjectAltName = DNS:tls-example-0\nbasicConstraints = CA:true'])
def test_what_a_peer_writes_as_its_address_is_no_configuration_and_stops_nobody(pair, address):
    """In Juju 3 it can; Python 3.9 and later take any text behind a `%` for a scope."""
    pair.execute_command('tls-example/1', "relation-set -r certificates:0 ingress-address='{}'"
                         .format(address))
    pair.run('tls-example/1')
    one = party(pair, 'tls-example/1')
    assert renew(pair, 'tls-example/1') != one.certificate.read_text()
    certificate = chain(pair, 'tls-example/1')[0]
    assert names(certificate) == ['tls-example-1'] and not is_ca(certificate)
    pair.execute_command('tls-example/1', 'relation-set -r certificates:0 ingress-address='
                         + pair.model.address('tls-example/1'))
    pair.run('tls-example/1')
    renew(pair, 'tls-example/1')
    served(pair)


@pytest.mark.parametrize('lost, act', [
    ('*', None)] + [pytest.param(*each, marks=pytest.mark.slow) for each in (
        ('key.pem', None), ('certificate.pem', None), ('ca.pem', None), ('request.pem', None),
        ('key.pem', 'renew'))])
def test_what_is_lost_of_its_files_comes_again_and_fails_no_hook(pair, lost, act):
    one, other = parties(pair)[::-1]
    for file in list(one.key.parent.glob(lost)):
        file.unlink()
    hooks = len(pair.runs)
    if act:
        pair.action(one.name, act)
    else:
        pair.config_changed(one.name)
        pair.update_status(one.name)
    pair.settle()
    assert all(run.committed for run in pair.runs[hooks:])
    served(pair)
    assert shake_hands(one, other) == (other.name, one.name)
    rests(pair, one.name)


@pytest.mark.slow
def test_status_says_what_is_lost(pair):
    party(pair, 'tls-example/1').key.unlink()
    pair.update_status('tls-example/1')
    pair.run('tls-example/1')
    assert pair.status('tls-example/1') == (
        'waiting', 'certificate not for the key of this unit')
    pair.settle()
    served(pair)


def rests(juju, unit):
    """No request of the unit follows from config-changed and update-status."""
    before = juju.bag(unit)['csr_number']
    for event in (juju.config_changed, juju.update_status):
        event(unit)
        juju.settle()
    assert juju.bag(unit)['csr_number'] == before


@pytest.fixture
def clock(pair):
    """clock(unit, seconds): what that unit's hooks have for the time, so much off."""
    files = set()

    def set_to(unit, seconds):
        file = pair.unit_directory(unit) / 'charm/reactive/clock.py'
        file.write_text('import time\nright = time.time\n'
                        'time.time = lambda: right() + {}\n'.format(seconds))
        files.add(file)

    yield set_to
    for file in files:
        file.unlink()


@pytest.mark.parametrize('off, grade, told', [
    (-7200, 'waiting', 'not valid before '),
    pytest.param(100 * 86400, 'blocked', 'not valid after ', marks=pytest.mark.slow)])
def test_a_unit_whose_clock_is_wrong_says_so_and_takes_the_certificate_later(
        pair, clock, off, grade, told):
    one = party(pair, 'tls-example/1')
    old = one.certificate.read_text()
    clock('tls-example/1', off)
    hooks = len(pair.runs)
    renew(pair, 'tls-example/1')
    pair.update_status('tls-example/1')
    pair.settle()
    assert all(run.committed for run in pair.runs[hooks:])
    status, message = pair.status('tls-example/1')
    assert status == grade and message.startswith('certificate ' + told)
    assert "this unit's clock says " in message and '; signed by ' in message
    assert one.certificate.read_text() == old
    clock('tls-example/1', 0)
    pair.update_status('tls-example/1')
    pair.settle()
    assert one.certificate.read_text() != old
    served(pair)


def test_a_clock_that_is_a_little_slow_makes_no_difference(pair, clock):
    clock('tls-example/1', -3500)
    assert renew(pair, 'tls-example/1') != party(pair, 'tls-example/1').certificate.read_text()
    served(pair)


def hooks_of(juju, unit):
    """Run all that is due on the unit; the names, each committed at its first run."""
    names = []
    while unit in juju.units() and juju.next_hook(unit):
        run = juju.run(unit)
        assert run.committed, run.story()
        names.append(run.hook.name)
    return names


@pytest.mark.slow
@pytest.mark.parametrize('led', [True, False])
def test_no_hook_fails_from_install_to_remove(built, tmp_path, led):
    """On the leader; and where nobody leads: no CA, no certificate."""
    with Juju(built, tmp_path / 'units', real=True, version='4.1') as juju:
        unit, other = juju.add_unit(), juju.add_unit()
        if led:
            juju.elect(unit)
        names = hooks_of(juju, unit) + hooks_of(juju, other)
        for event in (juju.config_changed, juju.update_status):
            event(unit)
            names += hooks_of(juju, unit)
        assert party(juju, unit).certificate.exists() == led
        juju.restart_agent(unit)  # from now on it has relation-broken, too (JSRC A1)
        names += hooks_of(juju, unit)
        juju.remove_unit(unit)
        assert hooks_of(juju, unit)[-4:] == [
            'certificates-relation-departed', 'certificates-relation-broken', 'stop', 'remove']
        assert {'install', 'certificates-relation-created', 'start', 'update-status',
                'certificates-relation-joined'} <= set(names)
