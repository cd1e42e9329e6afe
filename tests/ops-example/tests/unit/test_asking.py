"""What a unit asks for, takes and installs."""
from itertools import product

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from ops import testing

import pki
import pki_files
from charm_unit import BLOCK, DIGEST

UNUSABLE = [  # (certificate, refusal)
    (None, None), ('x', None), ('x', 'no weekday'), (BLOCK[:-9], None), (BLOCK + 65536 * 'x', None),
    (BLOCK + '-----BEGIN EC PRIVATE KEY-----', 'no weekday'), (None, ' '), (None, 'a\0b'),
    (None, 1025 * 'x'), (None, '-----BEGIN PRIVATE KEY-----')]


@pytest.mark.parametrize('event', ['install', 'stop', 'remove', 'start', 'update_status'])
def test_without_a_relation_it_does_nothing_and_says_so(unit, event):
    unit.leads = True
    unit.run(event, relation=False)
    assert unit.status == testing.WaitingStatus('for a certificate from the leader')
    assert not pki_files.HOME.exists() and not unit.secrets


def test_it_asks_as_soon_as_there_is_a_relation_and_once(unit):
    unit.run('relation_created')
    asked = unit.own
    assert (asked['csr'], asked['csr_number']) == (pki_files.REQUEST.read_text(), '1')
    for event in ('config_changed', 'start', 'update_status', 'upgrade_charm'):
        unit.run(event)
    assert unit.own == asked
    assert unit.status == testing.WaitingStatus('for a certificate from the leader')


def test_of_two_relations_the_newest_counts(unit):
    relations = [testing.PeerRelation('certificates', id=number) for number in (9, 10)]
    out = unit.context.run(unit.context.on.update_status(), testing.State(relations=relations))
    asked = [dict(out.get_relation(number).local_unit_data).get('csr_number') for number in (9, 10)]
    assert asked == [None, '1']


def test_an_unnumbered_request_that_is_its_own_is_number_1(unit):
    unit.run('relation_created')
    del unit.own['csr_number']
    unit.run()
    assert unit.own['csr_number'] == '1'


@pytest.mark.parametrize('id', ['reissue-7', f'2-{DIGEST}', f'1-{DIGEST}', None])
def test_it_takes_no_certificate_beside_another_id_than_its_own(unit, sign, id):
    unit.run('relation_created')
    unit.put(id, sign(unit.own['csr']))
    unit.run('relation_changed')
    assert not pki_files.CERTIFICATE.exists()


def test_it_takes_the_certificate_beside_its_own_id(unit, sign):
    unit.run('relation_created')
    chain = sign(unit.own['csr'])
    unit.put(unit.id, chain)
    unit.run('relation_changed')
    assert pki_files.in_use() == chain
    assert unit.status == testing.ActiveStatus(pki_files.standing())


@pytest.mark.parametrize('certificate, refusal', UNUSABLE)
def test_what_is_not_usable_is_neither_taken_nor_told_and_fails_no_hook(
        unit, sign, certificate, refusal):
    unit.run('relation_created')
    unit.put(unit.id, certificate, refusal)
    for event in ('relation_changed', 'config_changed', 'update_status'):
        unit.run(event)
        assert unit.status == testing.WaitingStatus('for a certificate from the leader')
    unit.put(unit.id, sign(unit.own['csr']))
    unit.run('relation_changed')
    assert unit.status.name == 'active' and unit.own['csr_number'] == '1'


@pytest.mark.parametrize('certificate', [BLOCK, 'of a stranger'])
def test_a_certificate_that_is_of_no_use_is_told_and_asked_for_anew(
        served, sign, stranger, certificate):
    in_use = pki_files.in_use()
    served.put(served.id, sign(stranger) if certificate == 'of a stranger' else certificate)
    served.run('relation_changed')
    assert pki_files.in_use() == in_use and served.own['csr_number'] == '1'
    assert served.status == testing.WaitingStatus('certificate ' + (
        'cannot be read' if certificate == BLOCK else 'not for the key of this unit'))
    served.run()
    assert served.own['csr_number'] == '2'
    served.put(served.id, sign(served.own['csr']))
    served.run('relation_changed')
    assert served.status.name == 'active'


def test_a_greater_number_is_outnumbered_by_who_has_no_certificate(served):
    in_use = pki_files.in_use()
    served.put(f'41-{DIGEST}', BLOCK)
    served.run()
    assert served.own['csr_number'] == '42' and pki_files.in_use() == in_use


def test_it_keeps_its_certificate_whatever_id_is_beside_it(served):
    asked, chain = served.own, served.answer()[0]
    for id in f'9-{DIGEST}', 'reissue-9', 'x', f'1-{DIGEST}':
        served.put(id, chain)
        served.run('relation_changed')
        assert served.own == asked and served.status.name == 'active'


def test_another_certificate_beside_the_same_id_replaces_the_first(served, sign):
    successor = sign(served.own['csr'])
    served.put(served.id, successor)
    served.run('relation_changed')
    assert pki_files.in_use() == successor


def test_a_refused_unit_says_why_in_one_line_and_waits(served):
    served.put(served.id, refusal='no\n\tweekday')
    asked, in_use = served.own, pki_files.in_use()
    served.run()
    assert served.own == asked and pki_files.in_use() == in_use
    assert served.status == testing.BlockedStatus('request refused: no weekday')


# Its files.

def other_key():
    return ec.generate_private_key(ec.SECP256R1()).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize('name, text', [
    *product(['key.pem', 'certificate.pem', 'ca.pem', 'request.pem'], [None, 'of another unit']),
    *product(['*.pem'], [None, '', 'junk', '\udcff', 'cut', 'of another unit'])])
def test_a_file_that_is_lost_or_another_comes_again_and_asks_at_most_once(
        served, sign, stranger, name, text):
    others = {'key.pem': other_key(), 'request.pem': stranger, 'ca.pem': pki.make_ca('x')[0],
              'certificate.pem': sign(stranger)}
    for file in list(pki_files.HOME.glob(name)):
        if text is None:
            file.unlink()
        else:
            new = {'cut': file.read_text()[:-50], 'of another unit': others[file.name]}
            file.write_bytes(new.get(text, text).encode(errors='surrogateescape'))
    served.run('start')
    for _ in range(2):
        served.put(served.id, sign(served.own['csr']))
        served.run()
    assert served.status.name == 'active' and not pki_files.unfit(pki_files.in_use())
    assert int(served.own['csr_number']) <= 2


@pytest.mark.parametrize('name, status', [
    ('key.pem', 'certificate in use not for the key of this unit'),
    ('ca.pem', 'certificate in use signed by none of the CAs beside it')])
def test_the_status_is_that_of_the_files(served, name, status):
    (pki_files.HOME / name).write_text(other_key() if name == 'key.pem' else pki.make_ca('x')[0])
    served.run('stop')
    assert served.status == testing.WaitingStatus(status)


def test_modes_that_were_loosened_are_set_again(served):
    pki_files.KEY.chmod(0o644)
    pki_files.HOME.chmod(0o755)
    served.run()
    assert pki_files.KEY.stat().st_mode & 0o777 == 0o600
    assert pki_files.HOME.stat().st_mode & 0o777 == 0o700


def test_what_only_looks_writes_nothing(served):
    served.leads = True
    served.put(f'1-{DIGEST}', BLOCK, unit=7)
    bags, files = (served.own, served.app), read_all(pki_files.HOME)
    served.run('stop')
    assert (served.own, served.app) == bags and read_all(pki_files.HOME) == files


def read_all(directory):
    return {file: file.read_bytes() for file in directory.iterdir()}
