"""The example, built by charm-build, as real processes with real keys.

Most tests share one model of three units, and leave it with every unit served.
"""
import re
import ssl
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from itertools import groupby, permutations

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from deployed import ask_with, chain, is_ca, names, parties, party, renew, served
from fakejuju import Juju
from handshake import context, impostor, shake_hands, verify
from world import ROOT, TESTS

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('end to end')]


@pytest.mark.slow
def test_the_picture_in_the_readme_is_what_happens(built):
    shown, = re.findall('```mermaid\n(sequenceDiagram\n.*?)```', (ROOT / 'README.md').read_text(),
                        re.DOTALL)
    done = subprocess.run([sys.executable, '-m', 'fakejuju', 'run', str(built), '--units', '2',
                           '--format', 'mermaid'], cwd=str(TESTS), stdout=subprocess.PIPE,
                          check=True, universal_newlines=True)
    assert done.stdout == shown


@pytest.fixture(scope='module')
def three(served_units, tmp_path_factory):
    with served_units.copy(tmp_path_factory.mktemp('three') / 'units') as juju:
        yield juju


def test_a_built_charm_holds_five_files_of_ours(built):
    interface = built / 'hooks/relations/tls'
    names = {str(path.relative_to(interface)) for path in interface.rglob('*')}
    assert names == {'__init__.py', 'peers.py', 'interface.yaml', 'README.md', 'copyright'}
    assert (interface / 'peers.py').read_bytes() == (ROOT / 'peers.py').read_bytes()
    assert (interface / '__init__.py').read_bytes() == b''


def test_three_units_are_served_the_leader_among_them(three):
    served(three)
    for unit in three.units():
        certificate = chain(three, unit)[0]
        assert certificate.subject.rfc4514_string() == 'CN=' + unit
        assert names(certificate) == [unit.replace('/', '-'), three.model.address(unit)]
        assert set(certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value) == {
            x509.ExtendedKeyUsageOID.SERVER_AUTH, x509.ExtendedKeyUsageOID.CLIENT_AUTH}
        assert not is_ca(certificate)


def test_every_pair_shakes_hands(three):
    for server, client in permutations(parties(three), 2):
        assert shake_hands(server, client) == (client.name, server.name)


def test_a_certificate_without_its_key_is_no_use(three):
    one, other = parties(three)[:2]
    with pytest.raises(ssl.SSLError, match='(?i)key.values.mismatch'):
        context(other._replace(key=one.key), ssl.Purpose.CLIENT_AUTH)


def test_a_certificate_of_another_ca_is_refused(three, tmp_path):
    one, other = parties(three)[:2]
    stranger = impostor(other, tmp_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        verify(stranger)
    for server, client in permutations([one, stranger]):
        with pytest.raises(ssl.SSLCertVerificationError):
            shake_hands(server, client)


def test_a_unit_cannot_stand_for_another(three):
    one, other, third = parties(three)
    liar = other._replace(address=third.address)
    with pytest.raises(ssl.SSLCertVerificationError, match='(?i)ip address mismatch'):
        shake_hands(liar, one)
    with pytest.raises(ssl.SSLCertVerificationError, match='(?i)ip address mismatch'):
        verify(liar)


def test_private_keys_stay_where_they_are_made(three):
    for unit in three.units():
        home = three.unit_directory(unit)
        key = party(three, unit).key
        assert key.stat().st_mode & 0o777 == 0o600
        assert key.parent.stat().st_mode & 0o777 == 0o700
        assert [path for path in home.rglob('*')
                if path.is_file() and b'BEGIN EC PRIVATE KEY' in path.read_bytes()] == [key]
        assert 'PRIVATE KEY' not in str(three.bag(unit))
    assert 'PRIVATE KEY' not in str(three.app_bag())
    assert not any('PRIVATE KEY' in ' '.join(call.argv) for run in three.runs for call in run.calls)
    assert len({each.key.read_bytes() for each in parties(three)}) == 3


def test_the_action_renews_with_the_same_key(three):
    one = party(three, 'tls-example/1')
    key = one.key.read_text()
    assert renew(three, 'tls-example/1') != one.certificate.read_text()
    assert one.key.read_text() == key
    served(three)


def test_a_unit_renews_when_certificates_are_to_last_longer_or_shorter(three):
    one = party(three, 'tls-example/1')
    before = one.certificate.read_text()
    for days in (30, 90):
        three.model.config['certificate-days'] = days
        three.update_status('tls-example/1')
        three.settle()
        assert one.certificate.read_text() != before
        before = one.certificate.read_text()
        three.update_status('tls-example/1')
        three.settle()
        assert one.certificate.read_text() == before
        served(three)
        left = chain(three, one.name)[0].not_valid_after_utc - datetime.now(timezone.utc)
        assert timedelta(days, hours=-1) < left <= timedelta(days)


@pytest.mark.slow
def test_a_bad_csr_does_not_keep_others_from_being_signed(three):
    lines = three.bag('tls-example/0')['csr'].split('\n')
    lines[-4] = lines[-4][::-1]        # of the signature
    ask_with(three, 'tls-example/0', '\n'.join(lines))
    assert renew(three, 'tls-example/1') != party(three, 'tls-example/1').certificate.read_text()
    assert three.status('tls-example/0')[0] == 'blocked'
    assert shake_hands(*parties(three)[:2])  # the certificate in use stays
    assert renew(three, 'tls-example/0') != party(three, 'tls-example/0').certificate.read_text()
    served(three)


def csr(key, name, *extensions):
    """A request for it under that name, signed."""
    builder = x509.CertificateSigningRequestBuilder(
        x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)]))
    for extension in extensions:
        builder = builder.add_extension(extension, False)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode()


@pytest.mark.slow
def test_a_weak_key_is_refused_and_the_status_says_why(three):
    before = party(three, 'tls-example/1').certificate.read_text()
    ask_with(three, 'tls-example/1', csr(rsa.generate_private_key(65537, 1024), 'weak'))
    assert party(three, 'tls-example/1').certificate.read_text() == before
    status, message = three.status('tls-example/1')
    assert status == 'blocked'
    refused, standing = message.split('; ')
    assert refused == 'request refused: its key has 1024 bits, fewer than 2048'
    assert standing.startswith('signed by ')  # the certificate that it keeps
    three.action('tls-example/0', 'list-certificates')
    table = three.run('tls-example/0').action['results']['certificates'].split('\n')
    assert [re.split(' {2,}', line)[1].split(' ')[0] for line in table] == [
        'answered', 'refused', 'answered']
    assert table[1].endswith('refused   its key has 1024 bits, fewer than 2048')
    renew(three, 'tls-example/1')
    served(three)


def act(juju, unit, name):
    juju.action(unit, name)
    return juju.run(unit)


@pytest.mark.slow
def test_the_ca_is_changed_without_a_gap(three):
    """With handshakes between all units after every hook of every step."""
    leader = three.model.leader
    old = parties(three)[0].ca.read_text()
    messages = []

    def step(action):
        assert act(three, leader, action).action['status'] == 'completed'
        while any(three.next_hook(unit) for unit in three.units()):
            for unit in three.units():
                if three.next_hook(unit):
                    assert three.run(unit).committed
                    for server, client in permutations(parties(three), 2):
                        assert shake_hands(server, client) == (client.name, server.name)
        served(three)
        told = {re.match('signed by (.*), trusts (.*), until', three.status(unit)[1]).groups()
                for unit in three.units()}
        assert len(told) == 1
        messages.extend(told)

    def fails(action):
        before = three.app_bag()
        result = act(three, leader, action).action
        assert result['status'] == 'failed' and three.app_bag() == before
        return result['message']

    assert fails('drop-old-ca') == 'there is no old CA to drop'
    step('new-ca')
    assert fails('new-ca') == 'another change of CA is under way'
    assert fails('drop-old-ca') == 'there is no old CA to drop'
    step('reissue')
    step('drop-old-ca')
    (one, both), (other, again), (last, alone) = messages
    assert one != other == last == alone and both == again == ' and '.join(sorted([one, other]))
    assert old not in {each.ca.read_text() for each in parties(three)}


@pytest.mark.slow
def test_an_old_ca_is_not_dropped_while_the_leader_sees_it_in_use(three):
    leader = three.model.leader
    act(three, leader, 'new-ca')
    three.settle()
    act(three, leader, 'reissue')
    three.settle()
    bag = three.relation().app.settings
    key = 'tls-example/1_signed_certificate'
    answer = bag[key]
    bag[key] = [change[key][0] for run in three.runs for change in run.changes.values()
                if key in change][-1]  # what the last answer replaced
    result = act(three, leader, 'drop-old-ca').action
    assert (result['status'], result['message']) == (
        'failed', 'not installed by tls-example/1 (not installed); force=true goes on without them')
    bag[key] = answer
    assert act(three, leader, 'drop-old-ca').action['status'] == 'completed'
    three.settle()
    served(three)


@pytest.mark.slow
def test_only_the_leader_changes_the_ca(three):
    follower = next(unit for unit in three.units() if unit != three.model.leader)
    for action in ('list-certificates', 'new-ca', 'reissue', 'drop-old-ca'):
        result = act(three, follower, action).action
        assert (result['status'], result['message']) == ('failed', follower + ' does not lead')


def test_what_a_csr_says_of_its_unit_is_not_believed(three):
    one = party(three, 'tls-example/1')
    before = one.certificate.read_text()
    ask_with(three, 'tls-example/1', csr(
        load_pem_private_key(one.key.read_bytes(), None), 'www.example.com',
        x509.SubjectAlternativeName([x509.DNSName('www.example.com')]),
        x509.BasicConstraints(True, None)))
    assert before != one.certificate.read_text()
    certificate = chain(three, 'tls-example/1')[0]
    assert b'www.example.com' not in certificate.public_bytes(Encoding.DER)
    assert certificate.subject.rfc4514_string() == 'CN=tls-example/1'
    assert not is_ca(certificate)


def test_a_certificate_for_another_key_is_not_installed(three):
    one = party(three, 'tls-example/1')
    old = one.certificate.read_text()
    three.action('tls-example/1', 'renew')
    three.run('tls-example/1')
    assert three.run('tls-example/0').changes
    bag = three.relation().app.settings
    answer = bag['tls-example/1_signed_certificate']
    bag['tls-example/1_signed_certificate'] = bag['tls-example/0_signed_certificate']
    assert three.run('tls-example/1').committed
    status, message = three.status('tls-example/1')
    assert status == 'waiting' and message.startswith(
        'certificate not for the key of this unit; signed by ')
    assert one.certificate.read_text() == old
    three.update_status('tls-example/1')
    three.settle()
    assert one.certificate.read_text() not in (old, answer)
    served(three)


def test_status_is_set_only_when_it_changes(three):
    for unit in three.units():
        statuses = [call.argv[1:] for run in three.runs if run.unit == unit
                    for call in run.calls if call.argv[0] == 'status-set']
        assert [word for word, _ in groupby(statuses, key=lambda each: each[0])][:2] == [
            'waiting', 'active']
        assert all(one != other for one, other in zip(statuses, statuses[1:]))


@pytest.mark.slow
def test_a_first_signing_that_was_not_committed_is_done_again_with_one_ca(built, tmp_path):
    with Juju(built, tmp_path / 'units', real=True) as juju:
        juju.elect(juju.add_unit())
        juju.run('tls-example/0')      # install
        run = juju.run('tls-example/0', fail_commit=True)
        assert 'secret-add' in [call.argv[0] for call in run.calls]
        juju.settle()
        assert len(juju.model.secrets) == 1
        served(juju)


def test_the_ca_survives_its_first_leader(three):
    """The last test of this model: its first leader goes."""
    ca = parties(three)[0].ca.read_text()
    three.remove_unit('tls-example/0')
    three.add_unit()
    three.settle()
    three.elect('tls-example/1')
    three.settle()
    assert three.units() == ['tls-example/1', 'tls-example/2', 'tls-example/3']
    served(three)
    assert {each.ca.read_text() for each in parties(three)} == {ca}
