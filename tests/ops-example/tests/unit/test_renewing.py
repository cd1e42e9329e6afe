"""When a unit asks for another certificate, and what it says of the time that is left."""
import hashlib
import time

import pytest
from ops import testing

import pki
import pki_files
import renewal
import service


def asked(unit):
    return int(unit.own['csr_number'])


def digest(text):
    return hashlib.sha256(text.encode()).hexdigest()


def put_in_use(unit, chain):
    """Have it answered and installed."""
    unit.put(unit.id, chain)
    unit.run('relation_changed')


@pytest.mark.parametrize('start, end, renews', [
    (-59, 31, False), (-61, 29, True),        # of 90 days 30 are a third
    (-1, 2.1, False), (-2.1, .9, True),       # nor does a short one renew at once
])
def test_it_renews_when_a_third_of_the_time_is_left(unit, dated, start, end, renews):
    unit.options = {'certificate-days': max(1, round(end - start))}
    unit.run('relation_created')
    put_in_use(unit, dated(unit.own['csr'], start - 1 / 24, start + round(end - start)))
    for _ in range(2):
        unit.run('relation_changed')
        assert asked(unit) == 1          # in a regular hook only
    for _ in range(2):
        unit.run()
        assert asked(unit) == 1 + renews


@pytest.mark.parametrize('days', [30, 365])
def test_it_renews_when_certificates_are_to_last_shorter_or_longer(served, sign, days):
    served.options = {'certificate-days': days}
    served.run('config_changed')
    assert asked(served) == 2
    put_in_use(served, sign(served.own['csr'], days))
    served.run('config_changed')
    assert asked(served) == 2


def test_it_renews_when_its_address_changes_to_another(served):
    served.own['ingress-address'] = 'a-name'
    served.run('config_changed')
    assert asked(served) == 1
    served.own['ingress-address'] = '10.0.0.9'
    served.run('config_changed')
    assert asked(served) == 2


def test_it_renews_when_the_additional_names_change(served):
    served.options = {'certificate-names': 'service.example 10.0.0.100'}
    served.run('config_changed')
    assert asked(served) == 2


def test_what_has_ended_is_not_taken_and_asked_for_anew(served, dated):
    in_use = pki_files.in_use()
    put_in_use(served, dated(served.own['csr'], -90, -1))
    assert pki_files.in_use() == in_use and asked(served) == 1
    assert served.status.name == 'waiting'
    assert served.status.message.startswith('certificate not valid after ')
    served.run()
    assert asked(served) == 2


def test_for_the_same_reason_it_asks_again_after_an_hour_then_two(served, dated, monkeypatch):
    """A clock is wrong: each answer is over when it comes."""
    right, hours = time.time, 0
    # The machine's clock, no code of ours.
    monkeypatch.setattr(time, 'time', lambda: right() + 3600 * hours)
    for hours, number in ((0, 2), (.9, 2), (1.1, 3), (3, 3), (3.2, 4), (7, 4), (7.3, 5)):
        served.put(served.id, dated(served.own['csr'], -90, -1))
        served.run()
        assert asked(served) == number
    served.options = {'certificate-days': 30}  # for another reason at once
    for number in (6, 6):
        served.put(served.id, dated(served.own['csr'], 0, 90))
        served.run()
        assert asked(served) == number
    served.put(served.id, dated(served.own['csr'], -1 / 24, 30))
    served.run()
    assert served.status.name == 'active' and not renewal.ASKED.exists()


@pytest.mark.parametrize('text', ['', 'x', '[]', '{"reason": 1}', '{"reason": "over", "time": "x"}',
                                  '{"reason": "over", "time": 1e400, "patience": null}'])
def test_what_it_remembers_of_that_may_be_anything(served, dated, text):
    pki_files.write(renewal.ASKED, text)
    put_in_use(served, dated(served.own['csr'], -90, -1))
    for _ in range(2):
        served.run()
        assert asked(served) == 2


def test_what_is_not_valid_yet_is_waited_for_unless_what_is_in_use_ends_before(unit, dated):
    """Another would start later still: the leader's clock is ahead."""
    unit.run('relation_created')
    put_in_use(unit, dated(unit.own['csr'], -60, 30))
    in_use = pki_files.in_use()
    unit.run()
    assert asked(unit) == 2
    for start, number in ((29, 2), (31, 3)):
        put_in_use(unit, dated(unit.own['csr'], start, start + 90))
        assert pki_files.in_use() == in_use
        unit.run()
        assert asked(unit) == number
        assert unit.status.message.startswith('certificate not valid before ' if number == 2
                                              else 'for a new certificate; ')
    put_in_use(unit, dated(unit.own['csr'], 0, 90))
    assert pki_files.in_use() != in_use and unit.status.name == 'active'


@pytest.mark.parametrize('start, number', [(.9, 1), (1.1, 2)])
def test_without_any_it_waits_a_day_for_what_is_not_valid_yet(unit, dated, start, number):
    unit.run('relation_created')
    put_in_use(unit, dated(unit.own['csr'], start, 90))
    unit.run()
    assert asked(unit) == number


@pytest.mark.parametrize('end, status, message', [
    (31, 'active', 'signed by '), (29, 'waiting', 'for a new certificate; the one in use ends in '
                                   '28 days'),
    (14, 'blocked', 'certificate ends in 13 days'), (1.5, 'blocked', 'certificate ends in 1 day')])
def test_the_status_tells_what_is_left_while_nobody_answers(unit, dated, end, status, message):
    unit.run('relation_created')
    put_in_use(unit, dated(unit.own['csr'], end - 90, end))
    unit.run()
    unit.run()
    assert unit.status.name == status and unit.status.message.startswith(message)


def test_a_certificate_in_use_that_has_ended_blocks(served, dated):
    chain = dated(served.own['csr'], -90, -1)
    pki_files.CERTIFICATE.write_text(pki.pem(pki.certificates(chain)[0]))
    served.put('reissue-1', served.answer()[0])
    served.run()
    assert served.status.name == 'blocked'
    assert served.status.message.startswith('certificate in use not valid after ')


# The actions.

def test_renew_asks_with_the_same_key_and_says_so(served):
    csr = served.own['csr']
    assert served.act('renew') == {'result': 'request 2 was made'}
    assert (served.own['csr'], asked(served)) == (csr, 2)
    assert served.fail('renew') == 'request 2 still waits for the leader'
    assert asked(served) == 2


def test_renew_fails_where_nothing_can_be_asked(served):
    served.put(served.id, refusal='no\nweekday')
    assert served.fail('renew') == (
        'the leader has refused this request: no weekday; new-key makes another')
    assert asked(served) == 1


@pytest.mark.parametrize('action', ['renew', 'new-key'])
def test_without_a_relation_they_fail(unit, action):
    with pytest.raises(testing.ActionFailed, match='there is no relation yet'):
        unit.run('action', relation=False, name=action)
    assert not pki_files.HOME.exists()


def test_a_new_key_is_used_with_its_certificate_and_not_before(served, sign):
    key, in_use, csr = pki_files.KEY.read_text(), pki_files.in_use(), served.own['csr']
    assert served.act('new-key') == {'result': 'request 2 was made'}
    assert served.own['csr'] != csr and pki_files.KEY.read_text() == key
    assert served.status.name == 'active'
    assert served.fail('new-key') == 'a new key waits for its certificate already'
    assert asked(served) == 2
    put_in_use(served, sign(served.own['csr']))
    assert pki_files.KEY.read_text() != key and pki_files.in_use() != in_use
    assert not pki_files.unfit(pki_files.in_use())


def test_a_new_key_lifts_a_refusal(served):
    served.put(served.id, refusal='too weak')
    served.act('new-key')
    assert asked(served) == 2 and served.status.name == 'active'


# What the leader is told.

def test_it_confirms_what_it_uses_now_and_then(served):
    assert 'certificate_in_use' not in served.own
    served.run()
    assert served.own['certificate_in_use'] == digest(served.answer()[0])


def test_it_confirms_at_once_while_the_ca_is_changed(served, sign):
    put_in_use(served, sign(served.own['csr']) + pki.make_ca('next')[0])
    assert served.own['certificate_in_use'] == digest(served.answer()[0])


def test_it_confirms_nothing_that_the_service_was_not_told_of(unit, sign):
    unit.run('relation_created')
    service.TOLD.mkdir()  # in the way
    put_in_use(unit, sign(unit.own['csr']))
    unit.run()
    assert 'certificate_in_use' not in unit.own and unit.status.name == 'blocked'
    assert unit.status.message.startswith('the service was not told of the certificate: ')
    service.TOLD.rmdir()
    unit.run()
    assert unit.own['certificate_in_use'] == digest(unit.answer()[0])
    assert unit.status.name == 'active'


def test_it_confirms_nothing_that_it_does_not_use(served, dated):
    served.run()
    confirmed = served.own['certificate_in_use']
    put_in_use(served, dated(served.own['csr'], 1, 90) + pki.make_ca('next')[0])
    served.run()
    assert served.own['certificate_in_use'] == confirmed
