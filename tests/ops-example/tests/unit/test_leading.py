"""What a leader answers, and what it does not."""
import pytest
from charm_unit import BLOCK, DIGEST, id_of
from cryptography import x509

import pki
import pki_files


def names_in(chain):
    names = pki.certificates(chain)[0].extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value
    return [str(name.value) for name in names]


@pytest.fixture
def asking(leader, stranger):
    """A leader, and tls-example/2 that asks it."""
    leader.peers = {2: {'csr': stranger, 'csr_number': '1', 'ingress-address': '10.0.0.2'}}
    return leader


def test_it_signs_for_the_name_and_address_that_juju_says(asking, stranger):
    asking.run('relation_changed', remote_unit=2)
    chain, refusal, id = asking.answer(2)
    assert (refusal, id) == (None, id_of(1, stranger))
    assert names_in(chain) == ['tls-example-2', '10.0.0.2']
    assert pki.certificates(chain)[0].subject.rfc4514_string() == 'CN=tls-example/2'


def test_the_additional_names_are_in_each_certificate(asking):
    asking.options = {'certificate-names': 'service.example, 10.0.0.100 *.service.example'}
    asking.run('config_changed')
    assert names_in(asking.answer(2)[0]) == [
        'tls-example-2', '10.0.0.2', 'service.example', '10.0.0.100', '*.service.example']


@pytest.mark.parametrize('address', [
    'fe80::1%eth0', '::1%x\nsubjectAltName = DNS:tls-example-0', '10.0.0.1,DNS:tls-example-0',
    'a-name', ''])
def test_what_a_peer_writes_as_its_address_gets_into_no_certificate(asking, address):
    asking.peers[2]['ingress-address'] = address
    asking.run()
    assert names_in(asking.answer(2)[0]) == ['tls-example-2']


@pytest.mark.parametrize('csr', [
    'no CSR', 'x' * 70000, '-----BEGIN CERTIFICATE REQUEST-----', 'a \0',
    '-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n'])
def test_it_refuses_what_is_no_csr_and_signs_the_others(asking, csr):
    asking.peers[0] = {'csr': csr, 'csr_number': '1'}
    asking.put('reissue-1', BLOCK, unit=0)
    asking.run()
    certificate, refusal, id = asking.answer(0)
    assert certificate is None and 0 < len(refusal) <= 1024 and id == id_of(1, csr)
    assert asking.answer(2)[0] and asking.status.name == 'active'


@pytest.mark.parametrize('certificate, refusal', [
    (None, None), (BLOCK[:-9], None), (None, ' '), (None, 'a\0b'), ('x', 'no weekday')])
def test_what_no_unit_can_take_is_answered_again(asking, stranger, certificate, refusal):
    asking.put(id_of(1, stranger), certificate, refusal, unit=2)
    asking.run()
    assert asking.answer(2)[0] not in (None, certificate) and asking.answer(2)[1] is None


def test_only_the_leader_answers(served, stranger):
    served.peers = {2: {'csr': stranger, 'csr_number': '1'}}
    served.run()
    assert served.answer(2) == (None, None, None)


# What is no fault of the request.

@pytest.mark.parametrize('spoil', [
    lambda ca: dict(ca, key='junk'), lambda ca: dict(ca, certificate='junk'),
    lambda ca: dict(ca, key=pki.make_key()), lambda ca: {'certificate': ca['certificate']}])
def test_a_leader_that_cannot_sign_refuses_nobody_says_so_and_tries_again(asking, spoil):
    good = dict(asking.ca)
    asking.keep_ca(spoil(good))
    before = asking.answer(2)
    asking.run()
    assert asking.answer(2) == before
    assert asking.status.name == 'blocked' and asking.status.message.startswith('cannot sign: ')
    asking.keep_ca(good)
    asking.run('relation_departed', remote_unit=0, departing_unit=0)
    assert asking.answer(2)[0] and asking.status.name == 'active'


def test_a_certificate_that_no_unit_could_take_is_not_published(asking):
    """With so many names; it would be signed again in every hook."""
    before = asking.answer(2)
    asking.options = {'certificate-names': ' '.join(f'host-{n}.example.com' for n in range(3000))}
    asking.run()
    assert asking.answer(2) == before and asking.status.name == 'blocked'
    assert asking.status.message.startswith('cannot sign: certificate of tls-example/1: it has ')


@pytest.mark.parametrize('options, message', [
    ({'certificate-days': 0}, 'option certificate-days is 0: give 1 to 3650'),
    ({'certificate-days': 3651}, 'option certificate-days is 3651: give 1 to 3650'),
    ({'certificate-names': 'ok.example sys;tem'},
     "option certificate-names: 'sys;tem' is no IP address and no host name")])
def test_with_an_option_that_is_wrong_nothing_is_signed_and_it_says_so(asking, options, message):
    asking.options = options
    asking.run('config_changed')
    assert asking.answer(2) == (None, None, None) and asking.own['csr_number'] == '1'
    assert (asking.status.name, asking.status.message) == ('blocked', message)
    asking.options = {}
    asking.run('config_changed')
    assert asking.answer(2)[0] and asking.status.name == 'active'


def test_the_status_of_the_leader_tells_how_many_wait(asking):
    asking.put(f'9-{DIGEST}', BLOCK, unit=2)
    asking.peers[3] = {}
    asking.run()
    assert asking.status.message == pki_files.standing() + '; 1 of 3 waiting'


# Who leaves.

def test_who_departs_takes_the_answer_along_and_what_is_no_answer_stays(leader):
    keys = ('tls-example/2_note', 'x/2_csr_id', 'tls-example/2_csr_id_', 'tls-example/02_csr_id')
    leader.app.update({key: 'kept' for key in keys})
    for name in (2, 3, 22):
        leader.put(f'1-{DIGEST}', BLOCK, 'z', unit=name)
    leader.peers = {3: {}}
    leader.run('relation_departed', remote_unit=2, departing_unit=2)
    assert leader.answer(2) == (None, None, None)
    assert leader.answer(3) == leader.answer(22) == (BLOCK, 'z', f'1-{DIGEST}')
    assert [leader.app[key] for key in keys] == ['kept'] * 4


def test_a_leader_that_leaves_deletes_nothing(leader):
    leader.put(f'1-{DIGEST}', BLOCK, unit=2)
    before = leader.app
    leader.run('relation_departed', remote_unit=2, departing_unit=1)
    assert leader.app == before
