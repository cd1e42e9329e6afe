"""The CA and its secret, and the actions that change it."""
import hashlib
import re

import ops
import pytest
from charm_unit import DIGEST, id_of
from ops import testing

import pki
import pki_files
from authority import LABEL


def ca_of(chain):
    """The last word of the name of the CA that signed, by which people know it."""
    return pki_files.ca_id(pki.certificates(chain)[0].issuer)


def trusted(chain):
    return [pki_files.ca_id(each.subject) for each in pki.certificates(chain)[1:]]


class Pair:
    """The leader tls-example/1, and its peer tls-example/2."""

    def __init__(self, leader, csr):
        self.leader = leader
        leader.peers = {2: {'csr': csr, 'csr_number': '1', 'ingress-address': '10.0.0.2'}}
        self.leader.run()
        self.confirm()

    def install(self):
        """The leader uses what it has signed for itself, and says so."""
        self.leader.run('relation_changed', remote_unit=2)

    def confirm(self):
        """The peer says that it uses what it has got."""
        self.leader.peers[2]['certificate_in_use'] = hashlib.sha256(
            self.chains[1].encode()).hexdigest()

    def use(self):
        self.install()
        self.confirm()

    @property
    def chains(self):
        return [self.leader.answer(unit)[0] for unit in (1, 2)]


@pytest.fixture
def pair(leader, stranger):
    return Pair(leader, stranger)


def test_the_first_leader_makes_it_and_keeps_it_in_a_secret_of_the_application(unit):
    unit.leads = True
    unit.run('relation_created')
    secret, = unit.secrets
    assert secret.label == LABEL and secret.owner in ('app', 'application')
    assert set(unit.ca) == {'certificate', 'key'} and unit.ca['certificate'] in unit.answer()[0]
    assert not pki_files.CERTIFICATE.exists()  # not before that is committed
    unit.run('config_changed')
    assert pki_files.in_use() == unit.answer()[0]


def test_it_is_found_among_other_secrets(leader):
    other = testing.Secret({'password': 'x'}, label='other', owner='app')
    leader.secrets = [other, *leader.secrets]
    before = dict(leader.ca)
    leader.act('new-ca')
    assert leader.ca['certificate'] == before['certificate'] and 'other-key' in leader.ca
    assert other.latest_content == {'password': 'x'}


def test_a_change_without_a_gap(pair):
    old = ca_of(pair.chains[0])
    result = pair.leader.act('new-ca')['result']
    new = re.fullmatch('CA ([0-9a-f]{8}) was made; .*', result)[1]
    assert [ca_of(chain) for chain in pair.chains] == [old, old]
    assert [trusted(chain) for chain in pair.chains] == [[old, new]] * 2
    pair.use()
    assert pair.leader.act('reissue') == {
        'result': f'every certificate is signed again, by CA {new}'}
    assert [ca_of(chain) for chain in pair.chains] == [new, new]
    assert [trusted(chain) for chain in pair.chains] == [[new, old]] * 2
    pair.use()
    assert pair.leader.act('drop-old-ca') == {'result': f'only CA {new} is trusted'}
    assert [ca_of(chain) for chain in pair.chains] == [new, new]
    assert [trusted(chain) for chain in pair.chains] == [[new]] * 2
    assert set(pair.leader.ca) == {'certificate', 'key'}


@pytest.mark.parametrize('before, step', [
    (['new-ca'], 'reissue'), (['new-ca', 'reissue'], 'drop-old-ca')])
def test_a_step_waits_until_every_unit_uses_what_the_one_before_has_brought(pair, before, step):
    for each in before:
        pair.use()
        pair.leader.act(each)
    ca, chains = dict(pair.leader.ca), pair.chains
    assert pair.leader.fail(step) == 'not installed yet by tls-example/1, tls-example/2'
    pair.install()
    assert pair.leader.fail(step) == 'not installed yet by tls-example/2'
    assert dict(pair.leader.ca) == ca and pair.chains == chains
    pair.confirm()
    pair.leader.act(step)
    assert dict(pair.leader.ca) != ca


def test_who_uses_a_chain_without_the_new_ca_is_not_ready(pair):
    pair.leader.keep_ca(dict(pair.leader.ca, key='junk'))
    pair.leader.act('new-ca')  # and cannot sign
    pair.use()
    assert pair.leader.fail('reissue') == 'not installed yet by tls-example/1, tls-example/2'


@pytest.mark.parametrize('peer, answer', [
    ({}, {}),
    ({'csr': 'x', 'csr_number': '1'}, {'refusal': 'no', 'id': id_of(1, 'x')}),
    ({'csr': 'x', 'csr_number': '1', 'certificate_in_use': 'x'}, {'id': f'1-{DIGEST}'})])
def test_who_never_asked_was_refused_or_is_lost_is_named_and_has_no_veto(pair, peer, answer):
    pair.leader.act('new-ca')
    pair.use()
    pair.leader.peers[3] = peer
    pair.leader.put(**dict({'id': None}, **answer), unit=3)
    assert pair.leader.fail('reissue') == 'not installed yet by tls-example/3'
    assert 'result' in pair.leader.act('reissue', force=True)
    assert pair.leader.fail('drop-old-ca').endswith('tls-example/3')
    assert 'result' in pair.leader.act('drop-old-ca', force=True)
    assert set(pair.leader.ca) == {'certificate', 'key'}


def test_the_steps_keep_their_order(pair):
    assert pair.leader.fail('drop-old-ca') == 'there is no old CA to drop'
    pair.leader.act('new-ca')
    assert pair.leader.fail('drop-old-ca') == 'there is no old CA to drop: run reissue first'
    assert pair.leader.fail('new-ca') == 'another change of CA is under way: reissue comes next'
    pair.use()
    pair.leader.act('reissue')
    assert pair.leader.fail('new-ca') == 'another change of CA is under way: drop-old-ca comes next'


def test_new_ca_has_a_way_back_before_reissue(pair):
    old = ca_of(pair.chains[0])
    assert pair.leader.fail('cancel-new-ca') == 'there is no new CA that does not sign yet'
    pair.leader.act('new-ca')
    pair.use()
    assert pair.leader.act('cancel-new-ca')['result'].endswith(' was dropped')
    assert [ca_of(chain) for chain in pair.chains] == [old, old]
    assert [trusted(chain) for chain in pair.chains] == [[old]] * 2
    pair.use()
    pair.leader.act('new-ca')
    pair.use()
    pair.leader.act('reissue')
    assert pair.leader.fail('cancel-new-ca') == 'there is no new CA that does not sign yet'


def test_reissue_by_itself_signs_what_was_answered_or_refused_again(pair):
    ids = [pair.leader.answer(unit)[2] for unit in (1, 2)]
    before = pair.chains
    pair.leader.put(ids[1], refusal='no', unit=2)
    pair.leader.act('reissue')
    assert pair.chains[0] != before[0] and pair.chains[1] not in (None, before[1])
    assert [pair.leader.answer(unit)[2] for unit in (1, 2)] == ids
    assert len({ca_of(chain) for chain in pair.chains}) == 1


def test_what_cannot_be_signed_again_now_is_signed_in_a_later_hook(pair):
    ids = [pair.leader.answer(unit)[2] for unit in (1, 2)]
    good, before = dict(pair.leader.ca), pair.chains
    pair.leader.keep_ca(dict(good, key='junk'))
    pair.leader.act('reissue')
    assert pair.chains == before
    assert pair.leader.answer(2)[2].startswith('reissue-')
    pair.leader.keep_ca(good)
    pair.install()
    assert [pair.leader.answer(unit)[2] for unit in (1, 2)] == ids
    assert pair.chains[1] != before[1]


@pytest.mark.parametrize('action', [
    'list-certificates', 'new-ca', 'cancel-new-ca', 'reissue', 'drop-old-ca'])
def test_only_the_leader_does_that(served, action):
    before = served.app
    assert served.fail(action) == 'tls-example/1 does not lead'
    assert served.app == before and not served.secrets


def test_the_table_of_certificates(pair):
    pair.leader.peers.update({0: {}, 3: {'csr': 'x', 'csr_number': '1'}})
    pair.leader.run()
    pair.leader.put(f'1-{DIGEST}', 'junk', unit=2)
    table = pair.leader.act('list-certificates')['certificates'].splitlines()
    leaf = pki.certificates(pair.chains[0])[0]
    assert table[0] == 'tls-example/0            none'
    assert table[1] == (f'tls-example/1            answered  serial {leaf.serial_number:x}, '
                        f'until {leaf.not_valid_after_utc:%Y-%m-%d %H:%M} UTC, in use')
    assert table[2] == 'tls-example/2            waiting'
    assert table[3].startswith('tls-example/3            refused   it has no PEM block ')


# The secret is lost, or ends, or is written.

def test_where_answers_stand_no_second_ca_is_made_by_accident(pair, stranger):
    before, pair.leader.secrets = pair.chains, []
    pair.leader.peers[2]['csr_number'] = '2'
    pair.leader.run()
    assert pair.chains == before and not pair.leader.secrets
    assert pair.leader.status == testing.BlockedStatus(
        'cannot sign: the secret with the CA is gone; the action new-ca makes another')
    for action in 'reissue', 'drop-old-ca':
        assert pair.leader.fail(action).startswith('there is no CA, or its secret is gone')


def test_a_lost_ca_is_followed_by_another_without_a_gap(pair):
    old, pair.leader.secrets = ca_of(pair.chains[0]), []
    before = [pki.certificates(chain)[0] for chain in pair.chains]
    pair.leader.peers[2]['csr_number'] = '2'  # who renews meanwhile keeps what it has, too
    pair.leader.act('new-ca')
    assert [pki.certificates(chain)[0] for chain in pair.chains] == before
    assert pair.leader.fail('cancel-new-ca').startswith('the CA before it is gone')
    new = trusted(pair.chains[1])[1]
    assert [ca_of(chain) for chain in pair.chains] == [old, old]
    assert [trusted(chain) for chain in pair.chains] == [[old, new]] * 2
    assert pair.leader.fail('reissue') == 'not installed yet by tls-example/1, tls-example/2'
    pair.use()
    pair.leader.act('reissue')
    assert [ca_of(chain) for chain in pair.chains] == [new, new]
    assert [trusted(chain) for chain in pair.chains] == [[new, old]] * 2
    pair.use()
    pair.leader.act('drop-old-ca')
    assert [trusted(chain) for chain in pair.chains] == [[new]] * 2


def test_who_has_another_key_by_then_is_signed_for_by_the_new_ca(pair):
    old, pair.leader.secrets = ca_of(pair.chains[0]), []
    csr = pki.make_request(pki.load_key(pki.make_key()), 'tls-example/2')
    pair.leader.peers[2].update(csr=csr, csr_number='2')
    pair.leader.act('new-ca')
    new = trusted(pair.chains[1])[1]
    assert [ca_of(chain) for chain in pair.chains] == [old, new]
    pair.use()
    for action in 'reissue', 'drop-old-ca':
        pair.leader.act(action)
        pair.use()
    assert [trusted(chain) for chain in pair.chains] == [[new]] * 2


def test_a_secret_that_is_gone_or_cannot_be_read_is_told_before_it_is_needed(pair, monkeypatch):
    pair.leader.run()
    assert pair.leader.status.name == 'active'
    secrets, pair.leader.secrets = list(pair.leader.secrets), []
    pair.leader.run()
    assert pair.leader.status == testing.BlockedStatus(
        'the secret with the CA is gone; the action new-ca makes another')
    pair.leader.secrets, before = secrets, pair.chains
    with monkeypatch.context() as denied:
        denied.setattr(ops.Model, 'get_secret', deny)
        pair.leader.run()
        assert pair.leader.status == testing.BlockedStatus(
            'the secret with the CA cannot be read: permission denied')
        assert pair.leader.fail('new-ca').endswith('permission denied')
        read = testing.Secret(secrets[0].latest_content, label=LABEL)
        pair.leader.leads, pair.leader.secrets = False, [read]
        pair.leader.run('secret_changed', secret=read)  # fails nothing
    assert pair.chains == before


def deny(*_, **__):
    raise ops.ModelError('permission denied')


def test_where_there_was_none_new_ca_makes_none(unit):
    unit.leads = True
    assert unit.fail('new-ca') == 'there is no CA yet: the first request has one made'
    assert not unit.secrets


@pytest.mark.parametrize('days, status, text', [
    (200, 'active', None), (170, 'active', '; the CA ends in 169 days: run the action new-ca'),
    (25, 'blocked', 'the CA ends in 24 days: run the action new-ca')])
def test_the_leader_warns_before_the_ca_ends(unit, dated_ca, days, status, text):
    unit.leads, unit.peers = True, {}
    unit.keep_ca(dict(zip(('certificate', 'key'), dated_ca(days))))
    for _ in range(3):
        unit.run()
    assert unit.status.name == status
    assert unit.status.message.endswith(text or ' UTC')


def test_an_old_revision_is_removed_when_juju_says_that_nobody_needs_it(leader):
    leader.act('new-ca')
    leader.act('reissue', force=True)
    secret, = leader.secrets
    leader.run('secret_remove', secret=secret, revision=1)
    assert leader.context.removed_secret_revisions == [1]
    other = testing.Secret({'password': 'x'}, label='other', owner='app')
    leader.secrets = [secret, other]
    leader.run('secret_remove', secret=other, revision=3)
    assert leader.context.removed_secret_revisions == [1]
