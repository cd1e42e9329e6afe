"""The example in ops, hook by hook: what it makes of what the bags hold (ops.testing)."""
import hashlib
import subprocess
import sys
import time

import pytest
import yaml
from ops import testing

from world import TESTS

sys.path += [str(TESTS / 'example/lib'), str(TESTS / 'ops-example/src')]

import pki  # noqa: E402
import pki_files  # noqa: E402
from charm import CA_LABEL, TlsExample  # noqa: E402

pytestmark = pytest.mark.once


# What a unit tries to take.
BLOCK = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
NO_ANSWER = [  # README, "On the wire": (certificate, refusal)
    (None, None), ('x', None), ('x', 'no weekday'), (BLOCK[:-9], None), (BLOCK + 65536 * 'x', None),
    (BLOCK + '-----BEGIN EC PRIVATE KEY-----', 'no weekday'), (None, ' '), (None, 'a\0b'),
    (None, 1025 * 'x'), (None, 513 * 'é'), (None, 140000 * 'x'),
    (None, '-----BEGIN PRIVATE KEY-----')]


def read(name):
    return yaml.safe_load((TESTS / name).read_text())


def id_of(number, csr):
    return '{}-{}'.format(number, hashlib.sha256(csr.encode()).hexdigest())


class Unit:
    """tls-example/1: its bag, the application's, those of its peers."""

    def __init__(self):
        self.context = testing.Context(
            TlsExample, meta=read('example/metadata.yaml'), config=read('example/config.yaml'),
            actions=read('ops-example/actions.yaml'), app_name='tls-example', unit_id=1)
        self.leads = False
        self.own, self.app, self.peers = {'ingress-address': '10.0.0.1'}, {}, {0: {}}
        self.secrets = []

    def run(self, event='update_status', **about):
        relation = testing.PeerRelation(
            'certificates', local_unit_data=self.own, local_app_data=self.app,
            peers_data=self.peers)
        event = getattr(self.context.on, event)
        arguments = [relation] if event.__name__.startswith('relation') else []
        if event.__name__ == 'relation_changed':
            about.setdefault('remote_unit', 0)
        out = self.context.run(event(*arguments, **about), testing.State(
            relations=[relation], leader=self.leads, secrets=self.secrets))
        relation = out.get_relation(relation.id)
        self.own, self.app = dict(relation.local_unit_data), dict(relation.local_app_data)
        self.secrets, self.status = out.secrets, out.unit_status

    def act(self, name):
        self.run('action', name=name)

    def answer(self, unit=1):
        """(certificate, refusal, id) that stand under that unit's name."""
        return tuple(self.app.get('tls-example/{}_{}'.format(unit, kind))
                     for kind in ('signed_certificate', 'refusal', 'csr_id'))

    def put(self, id, certificate=None, refusal=None, unit=1):
        """Have that stand there."""
        for kind, text in (('signed_certificate', certificate), ('refusal', refusal),
                           ('csr_id', id)):
            self.app.pop('tls-example/{}_{}'.format(unit, kind), None)
            if text:
                self.app['tls-example/{}_{}'.format(unit, kind)] = text

    @property
    def id(self):
        return id_of(self.own['csr_number'], self.own['csr'])


@pytest.fixture
def unit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Unit()


@pytest.fixture
def ca():
    return pki.make_ca('a test')


@pytest.fixture
def sign(ca):
    """sign(csr, days): a chain."""
    return lambda csr, days=90: pki.sign(csr, 'tls-example/1', ['10.0.0.1'], days, *ca) + ca[0]


@pytest.fixture
def served(unit, sign):
    """It has a certificate in use, as its first request's answer."""
    unit.run('relation_created')
    unit.put(unit.id, sign(unit.own['csr']))
    unit.run('relation_changed')
    return unit


@pytest.fixture(scope='session')
def stranger(tmp_path_factory):
    """A CSR for another key."""
    directory = tmp_path_factory.mktemp('stranger')
    subprocess.run(['openssl', 'req', '-new', '-newkey', 'rsa:2048', '-nodes', '-keyout',
                    str(directory / 'key'), '-out', str(directory / 'csr'), '-subj', '/CN=other'],
                   check=True, stderr=subprocess.DEVNULL)
    return (directory / 'csr').read_text()


# A unit.

def test_what_it_has_asked_it_does_not_ask_again(unit):
    unit.run('relation_created')
    asked = unit.own
    for event in ('config_changed', 'start', 'update_status', 'upgrade_charm'):
        unit.run(event)
    unit.act('renew')
    assert unit.own == asked and unit.status == testing.WaitingStatus(
        'for a certificate from the leader')


def test_an_unnumbered_request_that_is_its_own_is_number_1(served):
    del served.own['csr_number']
    served.put(None)
    served.run()
    assert served.own['csr_number'] == '1' and served.own['csr'] == pki_files.REQUEST.read_text()


def test_it_takes_the_certificate_beside_its_own_id(unit, sign):
    unit.run('relation_created')
    chain = sign(unit.own['csr'])
    for other in ('reissue-7', '2-' + unit.id[2:], unit.id.replace('1-', '01-'), None):
        unit.put(other, chain)
        unit.run('relation_changed')
        assert not pki_files.CERTIFICATE.exists()
    unit.put(unit.id, chain)
    unit.run('relation_changed')
    assert pki_files.CERTIFICATE.read_text() + pki_files.CA.read_text() == chain
    assert unit.status.name == 'active'


def test_a_greater_number_than_its_own_is_outnumbered(served):
    in_use = pki_files.CERTIFICATE.read_text()
    served.put('41-' + 64 * 'a', BLOCK)
    served.run()
    assert served.own['csr_number'] == '42'
    assert pki_files.CERTIFICATE.read_text() == in_use


def test_a_certificate_for_another_key_is_not_installed(served, sign, stranger):
    in_use = pki_files.CERTIFICATE.read_text()
    served.put(served.id, sign(stranger))
    served.run()
    assert pki_files.CERTIFICATE.read_text() == in_use
    assert served.status.name == 'waiting'
    assert 'certificate not for the key of this unit' in served.status.message


@pytest.mark.parametrize('certificate, refusal', NO_ANSWER)
def test_what_counts_as_none_is_not_taken_or_told_and_fails_no_hook(
        unit, sign, certificate, refusal):
    unit.run('relation_created')
    unit.put(unit.id, certificate, refusal)
    for event in 'relation_changed', 'config_changed', 'update_status':
        unit.run(event)
        assert unit.status == testing.WaitingStatus('for a certificate from the leader')
    unit.put(unit.id, sign(unit.own['csr']))
    unit.run('relation_changed')
    assert unit.status.name == 'active' and unit.own['csr_number'] == '1'


@pytest.mark.parametrize('text', [BLOCK, BLOCK + BLOCK])
def test_a_block_that_openssl_cannot_read_is_told_and_asked_for_anew(unit, sign, text):
    unit.run('relation_created')
    unit.put(unit.id, text)
    unit.run('relation_changed')
    assert unit.status.message.startswith('certificate cannot be read')
    assert unit.own['csr_number'] == '1' and not pki_files.CERTIFICATE.exists()
    unit.run()
    assert unit.own['csr_number'] == '2'
    unit.put(unit.id, sign(unit.own['csr']))
    unit.run('relation_changed')
    assert unit.status.name == 'active'


def test_a_refusal_beside_a_certificate_is_none(served):
    served.put(served.id, served.answer()[0], 'no weekday')
    served.run()
    assert served.status == testing.ActiveStatus(pki_files.standing())


def test_it_keeps_its_certificate_whatever_id_is_beside_it(served, sign):
    asked, chain = served.own, served.answer()[0]
    for id in '9-' + 64 * 'a', 'reissue-9', 'x', '1-' + 64 * 'a':
        served.put(id, chain)
        served.run()
        assert served.own == asked and served.status.name == 'active'
    served.put('9-' + 64 * 'a', chain)
    served.own['ingress-address'] = '10.0.0.9'
    served.run()
    assert served.own['csr_number'] == '10'


@pytest.mark.parametrize('lost', ['key.pem', 'certificate.pem', 'ca.pem', 'request.pem', '*'])
def test_what_is_lost_of_its_files_comes_again(served, sign, lost):
    for file in list(pki_files.HOME.glob(lost)):
        file.unlink()
    served.run('start')
    served.put(served.id, sign(served.own['csr']))
    served.run('relation_changed')
    assert served.status.name == 'active' and not pki_files.unfit(pki_files.in_use())


def test_it_renews_when_told_and_when_it_is_time(served, sign):
    request = served.own['csr']
    served.run()
    assert served.own['csr_number'] == '1'
    served.act('renew')
    assert (served.own['csr'], served.own['csr_number']) == (request, '2')
    served.put(served.id, sign(request, days=29))
    served.run('relation_changed')
    assert served.own['csr_number'] == '2'
    served.run()
    assert (served.own['csr'], served.own['csr_number']) == (request, '3')


def test_it_asks_anew_when_its_address_is_another(served):
    served.own['ingress-address'] = 'a-name'
    served.run('config_changed')
    assert served.own['csr_number'] == '1'
    served.own['ingress-address'] = '10.0.0.9'
    served.run('config_changed')
    served.run('config_changed')
    assert served.own['csr_number'] == '2'


def test_what_has_ended_is_not_taken_and_asked_for_anew(served, sign, monkeypatch):
    in_use = pki_files.CERTIFICATE.read_text()
    right = time.time
    with monkeypatch.context() as before:
        before.setattr(time, 'time', lambda: right() - 91 * 86400)
        served.put(served.id, sign(served.own['csr']))
    served.run('relation_changed')
    assert pki_files.CERTIFICATE.read_text() == in_use and served.status.name == 'waiting'
    assert served.status.message.startswith('certificate not valid after')
    assert served.own['csr_number'] == '1'
    served.run()
    assert served.own['csr_number'] == '2'


def test_a_certificate_that_replaces_another_beside_the_same_id_is_taken(served, sign):
    successor = sign(served.own['csr'])
    served.put(served.id, successor)
    served.run('relation_changed')
    assert pki_files.CERTIFICATE.read_text() in successor


def test_a_certificate_that_is_lost_is_taken_again_and_a_key_that_is_lost_made_again(served):
    request = served.own['csr']
    pki_files.CERTIFICATE.unlink()
    served.run('start')
    assert pki_files.CERTIFICATE.exists() and served.own['csr_number'] == '1'
    for file in pki_files.HOME.iterdir():
        file.unlink()
    served.run('start')
    assert served.own['csr'] == pki_files.REQUEST.read_text() != request
    assert served.own['csr_number'] == '2'


def test_a_refused_unit_says_why_and_waits(served):
    served.put(served.id, refusal='no weekday')
    asked = served.own
    served.run()
    served.act('renew')
    assert served.own == asked and pki_files.CERTIFICATE.exists()
    assert served.status == testing.BlockedStatus(
        'request refused: no weekday; ' + pki_files.standing())


def test_a_refusal_of_another_request_is_none(served):
    served.put('1-x', refusal='no weekday')
    served.run()
    assert served.status.name == 'active'


@pytest.mark.parametrize('event', ['install', 'stop', 'remove', 'start', 'update_status'])
def test_without_a_relation_it_does_nothing(unit, event):
    out = unit.context.run(getattr(unit.context.on, event)(), testing.State(leader=True))
    assert out.unit_status.name == 'waiting' and not pki_files.HOME.exists()


# The leader.

@pytest.fixture
def leader(served):
    served.leads = True
    return served


@pytest.mark.parametrize('certificate, refusal', NO_ANSWER)
def test_what_counts_as_none_is_no_answer(leader, stranger, certificate, refusal):
    leader.peers = {2: {'csr': stranger, 'csr_number': '1'}}
    leader.put(id_of(1, stranger), certificate, refusal, unit=2)
    leader.run()
    assert leader.answer(2)[0] not in (None, certificate) and leader.answer(2)[1] is None


@pytest.mark.parametrize('csr', ['no CSR', 'x' * 70000, '-----BEGIN CERTIFICATE REQUEST-----'])
def test_it_refuses_what_it_cannot_read_and_signs_the_others(leader, stranger, csr):
    leader.peers = {0: {'csr': csr, 'csr_number': '1'}, 2: {'csr': stranger, 'csr_number': '1'}}
    leader.put('reissue-1', 'an old certificate', unit=0)
    leader.run()
    certificate, refusal, id = leader.answer(0)
    assert certificate is None and 0 < len(refusal) <= 500 and csr not in refusal
    assert id == id_of(1, csr)
    assert leader.answer(2)[0] and leader.answer(2)[2] == id_of(1, stranger)


@pytest.mark.parametrize('address', [
    'fe80::1%eth0', '::1%x\nsubjectAltName = DNS:tls-example-0\nbasicConstraints = CA:true',
    '10.0.0.1,DNS:tls-example-0', 'a-name', None])
def test_what_a_peer_writes_as_its_address_is_no_configuration(leader, stranger, address):
    leader.peers = {2: {'csr': stranger, 'csr_number': '1', 'ingress-address': address or ''}}
    leader.run()
    assert pki.is_for(leader.answer(2)[0], 'tls-example/2', [])


def test_it_does_not_use_the_certificate_that_it_signs_before_that_is_committed(unit):
    unit.leads = True
    unit.run('relation_created')
    assert unit.answer()[2] == unit.id and not pki_files.CERTIFICATE.exists()
    unit.run('config_changed')
    assert pki_files.CERTIFICATE.read_text() + pki_files.CA.read_text() == unit.answer()[0]


def test_the_first_leader_makes_the_ca_and_keeps_it_in_the_secret_of_that_label(unit):
    unit.leads = True
    unit.run('relation_created')
    secret, = unit.secrets
    assert secret.label == CA_LABEL and secret.owner in ('app', 'application')
    assert set(secret.latest_content) == {'certificate', 'key'}
    assert secret.latest_content['certificate'] in unit.answer()[0]


def test_while_the_ca_is_changed_units_are_told_of_both(leader, stranger, ca):
    leader.secrets = [testing.Secret(
        {'certificate': ca[0], 'key': ca[1], 'other-certificate': 'THE OTHER'}, label=CA_LABEL,
        owner='app')]
    leader.peers = {2: {'csr': stranger, 'csr_number': '1'}}
    leader.run()
    assert leader.answer(2)[0].endswith(ca[0] + 'THE OTHER')


def test_reissue_signs_again_what_was_answered_or_refused(leader, stranger):
    leader.peers = {0: {'csr': 'x', 'csr_number': '1'}, 2: {'csr': stranger, 'csr_number': '1'},
                    3: {'csr': stranger, 'csr_number': '4'}, 4: {'ingress-address': '10.0.0.4'}}
    leader.put('5-' + 64 * 'a', BLOCK, unit=3)
    leader.run()
    before = {unit: leader.answer(unit) for unit in range(5)}
    leader.act('reissue')
    after = {unit: leader.answer(unit) for unit in range(5)}
    assert after[1][0] != before[1][0] and after[2][0] != before[2][0]
    assert after[0][1] == before[0][1]
    assert after[3] == before[3] and after[4] == before[4] == (None, None, None)
    assert [answer[2] for answer in after.values()] == [answer[2] for answer in before.values()]


def test_only_the_leader_reissues_and_signs(served, stranger):
    served.peers = {2: {'csr': stranger, 'csr_number': '1'}}
    before = served.app
    served.run()
    with pytest.raises(testing.ActionFailed, match='tls-example/1 does not lead'):
        served.act('reissue')
    assert served.app == before


def test_who_departs_takes_the_answer_along_and_what_is_no_answer_stays(leader, stranger):
    keys = ('tls-example/2_note', 'x/2_csr_id', 'tls-example/2_csr_id_', 'tls-example/02x_csr_id')
    leader.app.update({key: 'kept' for key in keys})
    for name in (2, 3, 22):
        leader.put('1-x', 'y', 'z', unit=name)
    leader.peers = {3: {}}
    leader.run('relation_departed', remote_unit=2, departing_unit=2)
    assert leader.answer(2) == (None, None, None)
    assert leader.answer(3) == leader.answer(22) == ('y', 'z', '1-x')
    assert [leader.app[key] for key in keys] == ['kept'] * 4


def test_a_leader_that_leaves_deletes_nothing(leader):
    leader.put('1-x', 'y', unit=2)
    before = leader.app
    leader.run('relation_departed', remote_unit=2, departing_unit=1)
    assert leader.app == before
