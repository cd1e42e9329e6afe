"""The example in the hands of an operator: its actions, options and status, and its CA.

Most tests share one model of three units, and leave it with every unit served.
"""
import hashlib
import json
import os
from itertools import permutations
from pathlib import Path

import pytest
from cryptography import x509

from deployed import act, chain, clock, deploy, look, parties, party, served
from fakejuju.forked import ForkedJuju
from handshake import shake_hands

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('operating')]

ZERO, ONE, TWO = UNITS = ['tls-example/{}'.format(number) for number in range(3)]


@pytest.fixture(scope='module')
def three(served_units, tmp_path_factory):
    with served_units.copy(tmp_path_factory.mktemp('three') / 'units') as juju:
        look(juju, *UNITS)
        yield juju


def key(juju, unit):
    return party(juju, unit).key.read_text()


def secret(juju):
    """What is in the CA's secret."""
    found, = [each for each in juju.model.secrets.values() if each.label == 'certificate-authority']
    return found.revisions[-1]


# Signing.

@pytest.mark.parametrize('fault', [
    'import pki\n\ndef fail(*_):\n    raise MemoryError()\n\npki.issue = fail',
    pytest.param('import authority\n\ndef fail(*_):\n'
                 '    raise OSError(12, "Cannot \\x1b allocate")\n\nauthority.run = fail',
                 marks=pytest.mark.slow)], ids=['in the library', 'of a hook tool'])
def test_a_signer_that_fails_refuses_nobody_and_tries_again(three, tamper, fault):
    before = {unit: chain(three, unit) for unit in UNITS}
    tamper(three, ZERO, fault)
    for unit in (ONE, TWO):
        assert act(three, unit, 'renew')[0] == 'completed'
    three.settle()
    assert {key for key in three.app_bag() if key.endswith('_refusal')} == set()
    assert {unit: chain(three, unit) for unit in UNITS} == before
    assert three.status(ZERO)[0] == 'blocked'
    assert 'cannot sign: ' in three.status(ZERO)[1] and three.status(ZERO)[1].isprintable()
    assert {three.status(unit)[0] for unit in (ONE, TWO)} == {'active'}
    tamper(three, ZERO, '')
    look(three, ZERO)
    assert all(chain(three, unit) != before[unit] for unit in (ONE, TWO))
    served(three)


@pytest.mark.slow
def test_one_request_that_cannot_be_signed_keeps_no_other_waiting(three, tamper):
    before = {unit: chain(three, unit) for unit in UNITS}
    tamper(three, ZERO, '''import pki

sign = pki.sign


def fail_for_one(csr, unit, *others):
    if unit == 'tls-example/1':
        raise MemoryError()
    return sign(csr, unit, *others)


pki.sign = fail_for_one
''')
    for unit in (ONE, TWO):
        act(three, unit, 'renew')
    three.settle()
    assert chain(three, ONE) == before[ONE] and chain(three, TWO) != before[TWO]
    tamper(three, ZERO, '')
    look(three, ZERO)
    served(three)


# The CA's secret.

@pytest.mark.slow
def test_the_cas_key_is_on_no_disk_when_a_hook_is_killed(built, tmp_path):
    """It is in memory then, for nobody else to read, and the next hook removes it."""
    with ForkedJuju(built, tmp_path / 'units', real=True, forked=True) as juju:
        juju.elect(juju.add_unit())
        juju.run(ZERO)                 # install
        with juju.copy(tmp_path / 'copy') as rehearsal:
            calls = [call.argv[0] for call in rehearsal.run(ZERO).calls]
        number = [name for name in calls if name != 'juju-log'].index('secret-add') + 1
        assert not juju.run(ZERO, kill_at=number).committed
        name = hashlib.sha256(str(juju.unit_directory(ZERO) / 'charm').encode()).hexdigest()[:16]
        left, = [path for home in ('/run', '/dev/shm') for path in Path(home).glob('ca-' + name)]
        assert 'PRIVATE KEY' in (left / 'key').read_text()
        assert left.stat().st_mode & 0o777 == 0o700 and os.path.ismount(str(left.parent))
        secret_key = (left / 'key').read_bytes()
        assert not any(secret_key.decode() in call.stdin + ' '.join(call.argv)
                       for run in juju.runs for call in run.calls)
        assert not [path for path in tmp_path.rglob('*')
                    if path.is_file() and secret_key in path.read_bytes()]
        juju.settle()
        assert not left.exists()
        left.mkdir()                   # any hook removes it, not only one that writes the secret
        (left / 'key').write_text('x')
        look(juju, ZERO)
        assert not left.exists()
        served(juju)


@pytest.mark.slow
def test_the_ca_is_found_by_its_label_beside_other_secrets(three):
    three.execute_command(ZERO, 'secret-add --label password word=pass')
    three.run(ZERO)
    before = secret(three)
    assert act(three, ZERO, 'new-ca')[0] == 'completed'
    three.settle()
    assert secret(three)['certificate'] == before['certificate']
    assert secret(three)['other-certificate'] != before['certificate']
    assert act(three, ZERO, 'cancel-new-ca')[0] == 'completed'
    three.settle()
    assert secret(three) == before
    assert {tuple(chain(three, unit, 'ca')) for unit in UNITS} == {
        tuple(x509.load_pem_x509_certificates(before['certificate'].encode()))}
    served(three)


@pytest.mark.slow
def test_where_the_secret_is_gone_nothing_is_signed_until_somebody_asks_for_a_new_ca(three):
    """Then no handshake fails: what the lost CA has signed goes on until all trust the new one."""
    old, before = chain(three, ONE, 'ca'), {unit: chain(three, unit) for unit in UNITS}
    three.model.secrets.clear()
    (party(three, ZERO).key.parent / 'x.pem').write_text('')  # so that it looks
    look(three, ZERO)
    gone = 'the secret with the CA is gone; the action new-ca makes another'
    assert three.status(ZERO)[0] == 'blocked' and gone in three.status(ZERO)[1]
    assert act(three, ZERO, 'reissue') == ('failed', 'there is no CA, or ' + gone)
    act(three, ONE, 'renew')
    three.settle()
    assert chain(three, ONE) == before[ONE] and three.model.secrets == {}
    assert 'cannot sign: ' + gone in three.status(ZERO)[1]
    assert act(three, ZERO, 'new-ca') == (
        'completed', 'the units are told to trust the new CA, too; then: reissue')
    act(three, TWO, 'renew')
    settle_with_handshakes(three)
    assert {unit: chain(three, unit) for unit in UNITS} == before
    assert {len(chain(three, unit, 'ca')) for unit in UNITS} == {2}
    assert act(three, ZERO, 'cancel-new-ca')[0] == act(three, ZERO, 'new-ca')[0] == 'failed'
    served(three)
    for action in ('reissue', 'drop-old-ca'):
        assert act(three, ZERO, action)[0] == 'completed'
        settle_with_handshakes(three)
        served(three)
        assert all(chain(three, unit) != before[unit] for unit in UNITS)
    assert all(len(chain(three, unit, 'ca')) == 1 and chain(three, unit, 'ca') != old
               for unit in UNITS)
    (party(three, ZERO).key.parent / 'x.pem').unlink()


def settle_with_handshakes(juju):
    """One hook of one unit after another; every pair accepts each other after each."""
    while any(map(juju.next_hook, juju.units())):
        for unit in filter(juju.next_hook, juju.units()):
            assert juju.run(unit).committed
            for server, client in permutations(parties(juju), 2):
                assert shake_hands(server, client) == (client.name, server.name)


@pytest.mark.slow
def test_who_has_a_new_key_or_no_good_certificate_needs_the_new_ca_at_once(three):
    """The lost one cannot sign for it."""
    three.model.secrets.clear()
    before = chain(three, ONE)
    assert act(three, ONE, 'new-key')[0] == 'completed'
    assert act(three, ZERO, 'new-ca')[0] == 'completed'
    three.settle()
    assert chain(three, ONE) != before
    served(three)
    for action in ('reissue', 'drop-old-ca'):
        assert act(three, ZERO, action)[0] == 'completed'
        three.settle()
    served(three)


@pytest.mark.slow
def test_where_no_directory_is_in_memory_no_key_of_a_ca_is_written(three, tamper):
    before = secret(three)
    file = party(three, ZERO).key.parents[1] / 'mounts'
    file.write_text('disk /run ext4 rw 0 0\n/dev/sda /dev/shm ext4 rw 0 0\n')
    tamper(three, ZERO, 'from pathlib import Path\nimport authority\n'
                        'authority.MOUNTS = Path("mounts")')
    assert act(three, ZERO, 'new-ca') == (
        'failed', 'neither /run nor /dev/shm is in memory, and a disk is no place for a key')
    assert secret(three) == before
    tamper(three, ZERO, '')
    look(three, ZERO)
    served(three)


@pytest.mark.slow
@pytest.mark.parametrize('version', ['3.6.8', '4.1.0'])
def test_old_revisions_of_the_secret_are_removed_with_the_keys_in_them(built, tmp_path, version):
    with deploy(built, tmp_path / 'units', 2, version=version) as juju:
        juju.execute_command(ZERO, 'secret-add --label password word=pass')
        juju.run(ZERO)
        password, = [each for each in juju.model.secrets.values() if each.label == 'password']
        password.revisions.append({'word': 'other'})  # its old revision is not this layer's
        juju.execute_command(ONE, 'secret-get --label certificate-authority')
        juju.run(ONE)                  # as one that led before would have
        juju.settle()
        for action in ('new-ca', 'reissue', 'drop-old-ca'):
            assert act(juju, ZERO, action)[0] == 'completed'
            juju.settle()
        authority, = [each for each in juju.model.secrets.values() if each is not password]
        assert authority.revisions[:-1] == [None] * 3 and authority.revisions[-1]
        assert password.revisions[0] == {'word': 'pass'}
        assert all(run.committed for run in juju.runs)
        served(juju)


# A change of CA.

@pytest.mark.slow
def test_a_change_of_ca_waits_for_what_is_installed_unless_it_is_forced(three):
    old = chain(three, ONE, 'ca')
    assert act(three, ZERO, 'cancel-new-ca')[0] == 'failed'
    assert act(three, ZERO, 'new-ca')[0] == 'completed'
    three.settle([ZERO, ONE])          # the other one's agent is stopped
    before = three.app_bag()
    for _ in range(2):
        assert act(three, ZERO, 'reissue') == (
            'failed', 'not installed by tls-example/2 (not installed); '
            'force=true goes on without them')
    assert three.app_bag() == before
    three.settle()
    assert act(three, ZERO, 'reissue')[0] == 'completed'
    three.settle([ZERO, ONE])
    status, message = act(three, ZERO, 'drop-old-ca')
    assert status == 'failed' and message.startswith('not installed by tls-example/2 (')
    assert act(three, ZERO, 'cancel-new-ca')[0] == 'failed'  # the old CA's key is gone
    assert act(three, ZERO, 'drop-old-ca', force=True)[0] == 'completed'
    three.settle()
    served(three)
    assert not set(chain(three, TWO, 'ca')) & set(old)


# Keys.

def test_a_new_key_comes_into_use_with_its_certificate(three):
    before = key(three, ONE), chain(three, ONE)
    assert act(three, ONE, 'new-key')[0] == 'completed'
    assert act(three, ONE, 'new-key') == (
        'failed', 'a new key waits for its certificate already')
    assert (key(three, ONE), chain(three, ONE)) == before
    three.settle()
    assert key(three, ONE) != before[0] and chain(three, ONE) != before[1]
    served(three)
    assert act(three, ONE, 'new-key')[0] == 'completed'
    three.settle()
    served(three)


@pytest.mark.slow
def test_after_a_refusal_there_is_another_new_key(three, tamper):
    tamper(three, ZERO, 'import pki\n\ndef refuse(*_):\n'
                        '    raise pki.BadRequest("not this one")\n\npki.sign = refuse')
    before = key(three, ONE)
    assert act(three, ONE, 'new-key')[0] == 'completed'
    three.settle()
    assert 'not this one' in three.status(ONE)[1] and key(three, ONE) == before
    tamper(three, ZERO, '')
    assert act(three, ONE, 'new-key')[0] == 'completed'
    three.settle()
    assert key(three, ONE) != before
    served(three)


@pytest.mark.parametrize('name', ['key'] + [
    pytest.param(each, marks=pytest.mark.slow) for each in ('certificate', 'ca')])
@pytest.mark.parametrize('text', [
    pytest.param('', marks=pytest.mark.slow), 'x', pytest.param(None, marks=pytest.mark.slow)],
    ids=['empty', 'junk', "another unit's"])
def test_a_file_that_does_not_fit_is_made_again_and_asked_for_once(three, name, text):
    mine, other = getattr(party(three, ONE), name), getattr(party(three, TWO), name)
    mine.write_text(other.read_text() if text is None else text)
    mine.chmod(0o666)
    numbers = set()
    for _ in range(3):
        look(three, ONE)
        numbers.add(int(three.bag(ONE)['csr_number']))
    assert len(numbers) == 1
    assert mine.stat().st_mode & 0o777 == 0o600
    assert len({unit: key(three, unit) for unit in UNITS}) == 3
    served(three)


# Options, actions, status.

@pytest.mark.parametrize('option, value, told', [
    ('certificate-days', 0, 'certificate-days is 0, not from 1 to 3650'),
    pytest.param('certificate-days', 3651, 'certificate-days is 3651, not from 1 to 3650',
                 marks=pytest.mark.slow),
    pytest.param('certificate-names', 'vip.example.com, a b_c',
                 "certificate-names: 'b_c' is no IP address", marks=pytest.mark.slow)])
def test_an_option_that_is_out_of_bounds_blocks_and_changes_nothing(three, option, value, told):
    before, old = {unit: chain(three, unit) for unit in UNITS}, three.model.config[option]
    three.model.config[option] = value
    look(three, *UNITS)
    for unit in UNITS:
        status, message = three.status(unit)
        assert status == 'blocked' and told in message
    three.model.config[option] = old
    look(three, *UNITS)
    assert {unit: chain(three, unit) for unit in UNITS} == before
    served(three)


@pytest.mark.slow
def test_names_that_all_certificates_carry(three):
    for names in ('vip.example.com, 10.0.0.100', ''):
        three.model.config['certificate-names'] = names
        look(three, *UNITS)
        for unit in UNITS:
            found = chain(three, unit)[0].extensions.get_extension_for_class(
                x509.SubjectAlternativeName).value
            assert ('vip.example.com' in found.get_values_for_type(x509.DNSName)) == bool(names)
            assert len(found) == (4 if names else 2)
    served(three)


def test_renew_says_what_happened(three):
    number = int(three.bag(ONE)['csr_number']) + 1
    assert act(three, ONE, 'renew') == ('completed', 'request {} is published'.format(number))
    assert act(three, ONE, 'renew') == (
        'failed', 'request {} still waits for the leader'.format(number))
    three.settle()
    served(three)


def test_certificates_are_listed_with_state_serial_and_end(three):
    look(three, *UNITS)
    three.action(ZERO, 'list-certificates')
    rows = three.run(ZERO).action['results']['certificates'].split('\n')
    for unit, row in zip(UNITS, rows):
        leaf, = chain(three, unit)
        assert row == '{:<24} answered  serial {:x}, until {:%Y-%m-%d %H:%M UTC}, in use'.format(
            unit, leaf.serial_number, leaf.not_valid_after_utc)


@pytest.mark.slow
def test_the_status_counts_the_days_that_are_left(three, tamper):
    """Of a certificate that nobody renews, since the leader's agent is stopped."""
    before = chain(three, ONE)
    for days, status, told in [
            (50, 'active', 'signed by '), (70, 'active', 'certificate ends in 20.0 days, and no'),
            (85, 'blocked', 'certificate ends in 5.0 days, and no other has come; signed by '),
            (91, 'blocked', ' ended 1.0 days ago, and no other has come; signed by ')]:
        tamper(three, ONE, clock(days))
        three.update_status(ONE)
        three.settle([ONE])
        assert three.status(ONE)[0] == status and told in three.status(ONE)[1], days
    assert chain(three, ONE) == before
    tamper(three, ONE, '')
    three.settle()
    look(three, ONE)
    assert chain(three, ONE) != before
    served(three)


IDLE = '''import atexit, json, subprocess, sys
from pathlib import Path

found = []
sys.addaudithook(lambda event, arguments: event == 'subprocess.Popen' and found.append(
    list(arguments[1])[0]))
atexit.register(lambda: Path('idle.json').write_text(json.dumps(
    [sorted(set(found)), 'cryptography' in sys.modules])))
'''


@pytest.mark.slow
def test_an_idle_hook_imports_no_cryptography_and_starts_hook_tools_only(three, tamper):
    look(three, *UNITS)
    three.forked = False
    try:
        for unit in (ZERO, ONE):
            tamper(three, unit, IDLE)
            look(three, unit)
            idle = three.unit_directory(unit) / 'charm/idle.json'
            assert json.loads(idle.read_text()) == [[
                'config-get', 'goal-state', 'is-leader', 'juju-log', 'relation-get',
                'relation-ids', 'relation-list'] if unit == ZERO else [
                'config-get', 'is-leader', 'juju-log', 'relation-get', 'relation-ids'], False]
    finally:
        three.forked = True
