"""The flag table and the methods, row by row."""
import pytest

from world import AVAILABLE, CREATE, SIGN, certificate, request


def deaf(it, units):
    """Add units whose layer answers no flag."""
    names = []
    for number in range(units):
        names.append(it.juju.add_unit())
        it.tell(names[-1], 'busy', CREATE + SIGN + AVAILABLE)
    it.juju.elect(names[0])
    it.juju.settle()
    return names


def test_create_is_set_until_set_csr(world):
    it = world()
    deaf(it, 2)
    assert it.flags('tls/0') == it.flags('tls/1') == {CREATE}
    it.ask('tls/1', 'mine')
    assert it.flags('tls/1') == set()
    assert it.juju.bag('tls/1')['csr'] == request('mine')


def test_sign_is_set_on_the_leader_only_until_all_are_answered(world):
    it = world()
    deaf(it, 3)
    for unit in it.juju.units():
        it.ask(unit, unit)
        it.juju.settle()
    assert it.csr_map('tls/0') == {unit: request(unit) for unit in it.juju.units()}
    assert [SIGN in it.flags(unit) for unit in it.juju.units()] == [True, False, False]
    assert it.csr_map('tls/1') == {}
    for unit in ('tls/0', 'tls/2'):
        it.answer_with('tls/0', unit, unit)
    assert it.csr_map('tls/0') == {'tls/1': request('tls/1')}
    assert SIGN in it.flags('tls/0')
    it.answer_with('tls/0', 'tls/1', 'tls/1')
    assert SIGN not in it.flags('tls/0')


def test_sign_is_cleared_when_the_leadership_is_lost(world):
    it = world()
    deaf(it, 2)
    it.ask('tls/1', 'mine')
    it.juju.settle()
    assert SIGN in it.flags('tls/0')
    it.juju.elect('tls/1')
    it.juju.settle()
    assert SIGN not in it.flags('tls/0') and SIGN in it.flags('tls/1')


def test_sign_comes_back_if_the_layer_clears_it_over_waiting_requests(world):
    it = world()
    deaf(it, 2)
    it.ask('tls/1', 'mine')
    it.juju.settle()
    it.do('tls/0', 'from charms.reactive import clear_flag; clear_flag({!r})'.format(SIGN))
    it.juju.config_changed('tls/0')
    it.juju.settle()
    assert SIGN in it.flags('tls/0')


def test_a_flag_that_the_layer_has_cleared_stays_so_for_the_rest_of_the_hook(world):
    """Or a handler that clears its flag first, and answers later, would run a hundred times."""
    it = world()
    deaf(it, 2)
    it.ask('tls/1', 'mine')
    it.juju.settle()
    clear = 'from charms.reactive import clear_flag\nclear_flag({!r})\n'
    it.do('tls/0', clear.format(SIGN) + 'tls.get_csr_map(), tls.get_requests()')
    assert it.flags('tls/0') == {CREATE}
    it.do('tls/0', clear.format(CREATE) + 'tls.get_csr_map(), tls.get_refusal()')
    assert it.flags('tls/0') == {SIGN}
    it.juju.config_changed('tls/0')
    it.juju.settle()
    assert it.flags('tls/0') == {CREATE, SIGN}


def test_an_answer_does_not_bring_back_the_flag_that_the_layer_has_cleared(world):
    it = world()
    deaf(it, 3)
    for unit in ('tls/1', 'tls/2'):
        it.ask(unit, 'mine')
    it.juju.settle()
    it.do('tls/0', 'from charms.reactive import clear_flag; clear_flag({!r}); tls.get_csr_map(); '
                   'tls.set_cert("tls/1", pem("CERTIFICATE", "yours"))'.format(SIGN))
    assert it.is_served('tls/1') is False and it.answer('tls/1') == certificate('yours')
    assert SIGN not in it.flags('tls/0')
    it.juju.settle()
    assert SIGN in it.flags('tls/0')   # tls/2 still waits


def test_available_is_set_for_the_answer_and_cleared_by_set_csr(world):
    it = world()
    deaf(it, 2)
    it.ask('tls/1', 'mine')
    it.juju.settle()
    it.csr_map('tls/0')
    it.answer_with('tls/0', 'tls/1', 'yours')
    assert AVAILABLE not in it.flags('tls/1')
    it.juju.settle()
    assert AVAILABLE in it.flags('tls/1')
    kv = it.juju.kv('tls/1')
    assert kv['tls/1_signed_certificate'] == kv['tls.server.certificate'] == certificate('yours')
    it.ask('tls/1', 'anew')
    assert AVAILABLE not in it.flags('tls/1')


def test_set_cert_replaces_the_answer_to_an_answered_request(world):
    it = world()
    deaf(it, 2)
    for unit in it.juju.units():
        it.tell(unit, 'busy', CREATE + SIGN)
        it.ask(unit, unit)
    it.juju.settle()
    it.csr_map('tls/0')
    for text in ('first', 'better'):
        for unit in it.juju.units():
            it.answer_with('tls/0', unit, text)
            it.juju.settle()
    it.juju.update_status('tls/0')
    it.juju.settle()
    assert it.announced('tls/0') == it.announced('tls/1') == ['first', 'better']


def test_text_around_the_blocks_and_a_chain_are_kept(world):
    it = world()
    deaf(it, 2)
    csr = 'Certificate Request:\n\tVersion: 1 (0x0)\n' + request('mine') + '\r\nafter: ä\n\n'
    chain = 'Certificate:\n' + certificate('leaf') + 'the CA\n' + certificate('CA') + ' '
    it.do('tls/1', 'tls.set_csr({!r})'.format(csr))
    it.juju.settle()
    assert it.csr_map('tls/0') == {'tls/1': csr}
    it.do('tls/0', 'tls.set_cert("tls/1", {!r})'.format(chain))
    it.juju.settle()
    assert it.certificate('tls/1') == chain


def test_another_csr_replaces_a_waiting_one(world):
    it = world()
    deaf(it, 2)
    it.ask('tls/1', 'first')
    it.juju.settle()
    it.ask('tls/1', 'second')
    it.juju.settle()
    assert it.csr_map('tls/0') == {'tls/1': request('second')}
    assert it.request_id('tls/1').startswith('2-')


@pytest.mark.parametrize('how', ['endpoint_from_name("certificates")',
                                 'endpoint_from_flag({!r})'.format(SIGN)])
def test_the_map_does_not_depend_on_how_the_object_was_got(world, how):
    it = world()
    deaf(it, 3)
    for unit in ('tls/1', 'tls/2'):
        it.ask(unit, unit)
    it.juju.settle()
    script = 'import charms.reactive as cr\nresults.append(sorted(cr.{}.get_csr_map()))'
    assert it.do('tls/0', script.format(how)) == [['tls/1', 'tls/2']]


def test_the_same_request_is_a_new_one_once_its_answer_was_taken(world):
    it = world(2)
    it.tell('tls/1', 'asks', 'same')
    it.ask('tls/1', 'same')
    it.juju.settle()
    it.ask('tls/1', 'same')
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['same by tls/0 #1', 'same by tls/0 #2']


def test_get_requests_tells_of_every_member(world):
    it = world(3)
    it.tell(it.juju.add_unit(), 'busy', CREATE)
    it.tell('tls/0', 'busy', SIGN)
    it.tell('tls/2', 'busy', CREATE)
    it.ask('tls/1', 'waits')
    it.ask('tls/2', 'weak')
    it.juju.settle()
    it.csr_map('tls/0')
    it.do('tls/0', 'tls.refuse_csr("tls/2", "too weak")')
    requests, = it.do('tls/0', 'results.append(tls.get_requests())')
    assert [requests[unit]['state'] for unit in it.juju.units()] == [
        'answered', 'waiting', 'refused', 'none']
    assert requests['tls/0'] == {
        'state': 'answered', 'csr': request('tls/0 1'), 'csr_id': it.request_id('tls/0'),
        'answer_id': it.request_id('tls/0'), 'certificate': it.certificate('tls/0'),
        'reason': None, 'in_use': False}
    assert requests['tls/1']['csr'] == request('waits')
    assert requests['tls/1']['csr_id'] == it.request_id('tls/1') != requests['tls/1']['answer_id']
    assert requests['tls/1']['certificate'] == it.certificate('tls/1')
    assert (requests['tls/2']['reason'], requests['tls/2']['certificate']) == ('too weak', None)
    assert requests['tls/2']['answer_id'] == it.request_id('tls/2')
    assert it.do('tls/1', 'results.append(tls.get_requests())') == [{}]
    it.do('tls/0', 'tls.reissue("tls/0"); results.append(tls.get_requests()["tls/0"])')
    again, = it.juju.kv('tls/0')['results']
    assert again['state'] == 'waiting' and again['answer_id'].startswith('reissue-')
    assert again['certificate'] == it.certificate('tls/0')


@pytest.mark.parametrize('reason', ['', 'of another'])
def test_get_requests_calls_a_request_waiting_until_it_has_an_answer(world, reason):
    it = world(2)
    it.tell('tls/0', 'busy', SIGN)
    it.ask('tls/1', 'outnumbered')
    it.juju.settle()
    it.write_app('tls/0', **{'tls/1_csr_id': '77-' + 'a' * 64, 'tls/1_refusal': reason,
                             'tls/1_signed_certificate': ''})
    view, = it.do('tls/0', 'results.append(tls.get_requests())')
    assert view['tls/1']['state'] == ('refused' if reason else 'waiting')
