"""Units of the easy-rsa example: what a tool, a disk, a clock, a peer and an operator may do.

Hooks are forked; easyrsa and openssl are real.
"""
import signal
from itertools import permutations

import pytest
import yaml

from deployed import parties
from easyrsa_units import INSTALLED, Units, expect_fitting, spoil
from handshake import shake_hands
from openssl_command import REAL, new_key, openssl, request_of_exponent_one

pytestmark = [
    pytest.mark.openssl, pytest.mark.xdist_group('easyrsa'),
    pytest.mark.skipif(not INSTALLED, reason='easy-rsa is not installed')]

LEADER, ONE, TWO, NEW = ['tls-easyrsa/{}'.format(number) for number in range(4)]
P256 = 'ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:named_curve'


def test_three_units_are_served_by_the_control_flow_of_layer_tls(units):
    bag = units.juju.app_bag()
    assert set(bag) == {'ca'} | {
        unit + what for unit in (ONE, TWO) for what in ('_csr_id', '_signed_certificate')}
    assert bag[ONE + '_signed_certificate'].startswith('Certificate:\n')
    units.expect_served()
    for server, client in permutations(parties(units.juju), 2):
        assert shake_hands(server, client) == (
            client.name.replace('/', '-'), server.name.replace('/', '-'))


def test_a_fresh_machine_gets_easy_rsa_by_layer_basic(easyrsa_charm):
    options = yaml.safe_load((easyrsa_charm / 'layer.yaml').read_text())['options']
    assert options['basic']['packages'] == ['easy-rsa']


def test_at_rest_no_process_is_started_but_hook_tools(units, tmp_path):
    for tool in ('openssl', 'easyrsa'):
        units.break_tool(tool, 'echo "$0 $1" >> {}; exec {} "$@"'.format(
            tmp_path / 'ran', REAL if tool == 'openssl' else INSTALLED))
    units.update_status()
    assert not (tmp_path / 'ran').exists()
    spoil(units.home(ONE) / 'easy-rsa/unit/request.pem', None)
    units.update_status(ONE)
    assert (tmp_path / 'ran').exists()  # it would have been noticed


# A signer that fails.

KILL = 'kill -9 -$(ps -o pgid= $$ | tr -d " ")'
EASYRSA_FAULTS = {
    'killed': (KILL, 'easyrsa was killed'), 'hangs': ('sleep 600', 'easyrsa did not end within'),
    'fails': ('echo trouble >&2; exit 1', 'easyrsa ended with exit code 1'),
    'does nothing': ('exit 0', 'easyrsa made no certificate'),
    'is missing': ('exit 127', 'easyrsa is not installed'),
    'asks': ('read answer </dev/tty || exit 1', 'easyrsa ended with'),
    'has no room on the disk': ('ulimit -f 1; trap "" XFSZ; exec {} "$@"'.format(INSTALLED),
                                'easyrsa ended with exit code')}
OPENSSL_FAULTS = {
    'killed': ('kill -9 $$', 'openssl was killed'), 'fails': ('exit 1', 'openssl rejects a'),
    'hangs': ('sleep 600', 'openssl did not end within')}


def expect_waiting(units, reason):
    """The new unit waits; the leader says why, and serves it once the tool works again."""
    assert NEW + '_csr_id' not in units.juju.app_bag()
    state, message = units.juju.status(LEADER)
    assert state == 'blocked' and message.startswith('cannot sign: ' + reason)
    assert '1 of 4 wait: ' + NEW in message
    assert any(level == 'ERROR' and NEW in text for run in units.juju.runs
               for level, text in run.log)
    assert units.status(NEW) == 'waiting: no certificate yet'
    units.repair()
    units.update_status(LEADER)
    units.expect_served()
    assert units.asked(NEW) == 1


@pytest.mark.parametrize('fault', EASYRSA_FAULTS)
def test_an_easyrsa_that_fails_is_no_refusal(units, fault):
    script, reason = EASYRSA_FAULTS[fault]
    units.break_tool('easyrsa', 'case "$*" in *sign-req*) {};; esac\nexec {} "$@"\n'.format(
        script, INSTALLED))
    units.juju.add_unit()
    units.juju.settle()
    expect_waiting(units, reason)


@pytest.mark.parametrize('fault', OPENSSL_FAULTS)
def test_an_openssl_that_fails_is_no_refusal(units, fault):
    script, reason = OPENSSL_FAULTS[fault]
    units.juju.add_unit()
    while not units.asked(NEW):
        units.juju.run(NEW)
    units.break_tool('openssl', 'case "$*" in *-verify*) {};; esac\nexec {} "$@"\n'.format(
        script, REAL))
    units.juju.settle([LEADER])
    expect_waiting(units, reason)


def test_one_unit_that_cannot_be_served_keeps_no_other_waiting(units):
    units.break_tool('easyrsa', 'case "$*" in *sign-req*{}) {};; esac\nexec {} "$@"\n'.format(
        NEW.replace('/', '-'), KILL, INSTALLED))
    later = [units.juju.add_unit() for _ in range(2)][1]
    units.juju.settle()
    units.expect_served(ONE, TWO, later)
    assert NEW + '_csr_id' not in units.juju.app_bag()
    assert units.juju.status(LEADER)[0] == 'blocked'


def test_a_hook_killed_in_easyrsa_is_run_again(units):
    """An out-of-memory killer takes both."""
    units.break_tool('easyrsa', 'case "$*" in *sign-req*) kill -9 $(cat {0}); {1};; esac\n'
                     'exec {2} "$@"\n'.format(units.bin / 'hook', KILL, INSTALLED))
    units.juju.add_unit()
    while not units.asked(NEW):
        units.juju.run(NEW)
    wrapper = units.home(LEADER) / 'hooks/certificates-relation-changed'
    text = wrapper.read_text()
    wrapper.write_text(text.replace('main()', '''
import os
with open({!r}, 'w') as file:
    file.write(str(os.getpid()))
main()'''.format(str(units.bin / 'hook'))))
    run = units.juju.run(LEADER)
    while run.exit_code == 0:
        run = units.juju.run(LEADER)
    assert run.exit_code == -signal.SIGKILL
    wrapper.write_text(text)
    units.repair()
    units.juju.settle()
    units.expect_served()
    units.juju.runs.remove(run)


def test_a_ca_that_cannot_be_made_is_made_later(easyrsa_charm, tmp_path):
    units = Units.deploy(easyrsa_charm, tmp_path, 0)
    units.break_tool('easyrsa', 'case "$*" in *build-ca*) {};; esac\nexec {} "$@"\n'.format(
        KILL, INSTALLED))
    with units.juju as juju:
        for _ in range(2):
            juju.add_unit()
        juju.elect(LEADER)
        juju.settle()
        assert units.status(LEADER).startswith('blocked: cannot make or find the CA: easyrsa was k')
        assert 'no certificate yet' in units.status(LEADER)
        units.repair()
        units.update_status()
        units.expect_served()
        units.expect_no_failed_hook()


def test_a_unit_whose_tools_fail_makes_its_request_later(units):
    units.break_tool('openssl', 'exit 1')
    units.juju.add_unit()
    units.juju.settle([NEW])
    assert units.status(NEW).startswith('blocked: cannot get a certificate: openssl ended with ')
    units.repair()
    units.update_status(NEW)
    units.expect_served()


# Requests.

@pytest.mark.parametrize('kind, reason', [
    (['rsa', 'rsa_keygen_bits:512'], 'its key has 512 bits, fewer than 2048'),
    (['ec', 'ec_paramgen_curve:secp224r1', 'ec_param_enc:named_curve'], 'its key is none of ')])
def test_a_weak_key_is_refused_and_both_ends_say_why(units, kind, reason):
    (units.home(ONE) / 'easy-rsa/unit/key.pem').write_text(new_key(*kind))
    units.update_status(ONE)
    assert units.status(ONE).startswith('blocked: request refused: ' + reason)
    assert 'refused: {}: {}'.format(ONE, reason) in units.status(LEADER)
    units.update_status(ONE, LEADER)  # nor does it loop
    assert units.asked(ONE) == 2
    expect_fitting(*units.files(ONE))
    (units.home(ONE) / 'easy-rsa/unit/key.pem').unlink()
    units.update_status(ONE)
    units.expect_served()


NONSENSE = [
    request_of_exponent_one('tls-easyrsa-1'),
    request_of_exponent_one('tls-easyrsa-1\nbasicConstraints=CA:TRUE'),
    request_of_exponent_one('$(touch /tmp/ran)`touch /tmp/ran`;touch /tmp/ran'),
    request_of_exponent_one('../../../ca')]


def test_what_a_peer_asks_for_fails_no_hook_and_keeps_nobody_waiting(units):
    for number, request_text in enumerate(NONSENSE, start=7):
        units.juju.write(ONE, csr=request_text, csr_number=str(number))
        units.juju.settle([LEADER])
        assert units.juju.app_bag()[ONE + '_csr_id'].startswith('{}-'.format(number))
        assert units.juju.app_bag()[ONE + '_refusal']
    for _ in range(2):
        units.update_status()
    units.expect_served()


ADDRESSES = [
    '10.0.0.1,DNS:tls-easyrsa-0', '::1%x\nbasicConstraints=CA:TRUE', 'fe80::1%eth0', 'a-name', '',
    '$(touch ran)', '10.0.0.1\n', '\u0661\u0662.1.1.1']


def test_a_peers_address_is_an_address_or_nothing(units):
    for number, address in enumerate(ADDRESSES, start=7):
        units.juju.write(ONE, csr_number=str(number), **{'ingress-address': address})
        units.juju.settle([LEADER])
        assert units.juju.app_bag()[ONE + '_csr_id'].startswith('{}-'.format(number))
        said = openssl('x509', '-noout', '-ext', 'subjectAltName,basicConstraints',
                       text=units.juju.app_bag()[ONE + '_signed_certificate'])
        assert said.count('DNS:') == 1 and 'DNS:tls-easyrsa-1\n' in said and 'CA:TRUE' not in said


def test_an_application_may_have_a_long_name(easyrsa_charm, tmp_path):
    app = 'a' * 200
    with Units.deploy(easyrsa_charm, tmp_path, 2, app=app).juju as juju:
        units = Units(juju, tmp_path / 'more')
        units.expect_served()
        said = openssl('x509', '-noout', '-subject', '-nameopt', 'RFC2253',
                       text=units.files(app + '/1')[1])
        assert len(said.strip()) == len('subject=CN=') + 63 and said.endswith('-1\n')


def test_a_new_address_brings_a_new_certificate(units):
    units.juju.change_address(ONE, '10.9.9.9')
    units.juju.settle()
    units.update_status(ONE)
    assert 'IP Address:10.9.9.9' in openssl(
        'x509', '-noout', '-ext', 'subjectAltName', text=units.files(ONE)[1])
    units.update_status()
    assert units.asked(ONE) == 2
    units.expect_served()
