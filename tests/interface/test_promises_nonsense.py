"""P3 and P12: what peers write, and what layers pass."""
import pytest

from forked import ForkedJuju
from world import World, certificate, id_of, logged, request


# P3 authority: only the leader's answers count; what a peer writes into its own bag harms
# nobody but itself.

def test_p3_a_forged_answer_is_not_believed(world):
    it = world(3)
    it.ask('tls/1', 'renewal')
    mine = it.request_id('tls/1')
    it.write('tls/2', **{'tls/1_signed_certificate': certificate('forged'),
                         'tls/1_csr_id': mine})
    it.juju.settle(['tls/1'])
    it.juju.settle()
    assert it.announced('tls/1')[1:] == ['renewal by tls/0 #1']
    assert it.unserved() == []


@pytest.mark.parametrize('csr, number', [
    ('junk', '7'),
    ('\x00\x01\x02\u2028', '7'),
    (request('x' * (1 << 20)), '7'),
    (certificate('no request'), '7'),
    (request('sound') + 'BEGIN PRIVATE KEY-----', '7'),
    (None, '7'),
    (request('sound'), 'no number'),
    (request('sound'), '0'),
    (request('sound'), '07'),
    (request('sound'), '7\n'),
    (request('sound'), '²'),
    (request('sound'), '-7'),
    (request('sound'), '1' * 19),      # one digit more than is read
    (request('sound'), 'ä' * (1 << 16)),
])
def test_p3_a_malformed_request_is_refused_and_the_others_are_served(world, csr, number):
    it = world(3)
    answered = it.answer_id('tls/1')
    well_formed = csr and number == '7'
    it.write('tls/1', csr=csr, csr_number=number)
    it.ask('tls/2', 'good')
    before = len(it.juju.runs)
    it.juju.settle()
    assert it.answer_id('tls/1') == (id_of(7, csr) if well_formed else answered)
    assert str(it.refusal('tls/1')).startswith('it ') == bool(well_formed)
    assert it.is_served('tls/2') and it.is_served('tls/0')
    assert it.flags('tls/0') == set()
    runs = it.juju.runs[before:]
    line = 'refused: it' if well_formed else 'left out: csr_number or csr is malformed'
    assert any('request of tls/1 is ' + line in logged(run) for run in runs)
    assert all(len(logged(run)) < 10000 and (csr or 'None') not in logged(run) for run in runs)


@pytest.mark.parametrize('key', ['csr', 'csr_number'])
def test_p3_a_request_that_has_become_malformed_is_not_handed_out(world, key):
    it = world(2)
    it.ask_and_show()
    it.write('tls/1', **{key: 'junk'})
    it.juju.restart_agent('tls/0')     # which forgets what it has cached
    assert it.csr_map('tls/0') == {}


@pytest.mark.parametrize('digits', [15, 16, 17, 18, 30])
def test_p3_a_huge_number_harms_only_its_own_unit(world, digits):
    it = world(2)
    it.write('tls/1', csr_number='9' * digits)
    it.juju.settle()
    it.ask('tls/0', 'renewal')
    it.juju.settle()
    assert it.is_served('tls/0')
    it.heal()                          # itself only until then
    assert it.unserved() == []
    it.ask('tls/1', 'next')
    it.juju.settle()
    assert it.announced('tls/1')[-1] == 'next by tls/0 #1'


def test_p3_what_is_no_certificate_is_not_taken(world):
    it = world(2)
    it.ask_and_show()
    it.write_app('tls/0', **{'tls/1_signed_certificate': 'junk',
                             'tls/1_csr_id': it.request_id('tls/1')})
    run = it.juju.run('tls/1')
    assert run.hook.name == 'certificates-relation-changed' and run.hook.remote_unit == ''
    assert it.certificate('tls/1') == certificate('tls/1 1 by tls/0 #1')
    assert it.announced('tls/1') == ['tls/1 1 by tls/0 #1']


# P12 refusal of nonsense: bad arguments raise and publish nothing.

@pytest.mark.parametrize('argument, error', [
    ('None', 'TypeError: CSR for tls/1: expected str, not NoneType'),
    ('b"x"', 'TypeError: CSR for tls/1: expected str, not bytes'),
    ('""', 'ValueError: CSR for tls/1: it has no PEM block'),
    ('"junk"', 'ValueError: CSR for tls/1: it has no PEM block CERTIFICATE REQUEST or '
     "NEW CERTIFICATE REQUEST, or one that is cut off; it begins with 'junk'"),
    ('pem("CERTIFICATE", "x")', 'ValueError: CSR for tls/1: it has no PEM block'),
    ('"Private-Lines: 1\\nAAAA"', 'can read relation data; it begins with '
     "'Private-Lines: 1'\n"),
    ('pem("CERTIFICATE REQUEST", "x" * 65536)', 'ValueError: CSR for tls/1: it has 87'),
    ('pem("CERTIFICATE REQUEST", "x") + "\\0"', 'ValueError: CSR for tls/1: it has a NUL'),
])
def test_p12_a_bad_request_raises_and_publishes_nothing(world, argument, error):
    it = world(2)
    before = it.juju.bag('tls/1'), it.remembered('tls/1')
    it.do('tls/1', 'tls.set_csr({})'.format(argument))
    assert error in it.last.stderr
    assert it.last.exit_code == 1 and it.last.changes == {}
    assert (it.juju.bag('tls/1'), it.remembered('tls/1')) == before
    assert it.unserved() == []


@pytest.mark.parametrize('unit, argument, error', [
    ('None', 'pem("CERTIFICATE", "x")', 'TypeError: unit name: expected str, not NoneType'),
    ('"db/1"', 'pem("CERTIFICATE", "x")', "ValueError: 'db/1' is not a unit of tls"),
    ('"tls/1"', 'None', 'TypeError: certificate for tls/1: expected str, not NoneType'),
    ('"tls/1"', '"junk"', 'ValueError: certificate for tls/1: it has no PEM block'),
    ('"tls/1"', 'pem("CERTIFICATE REQUEST", "x")', 'ValueError: certificate for tls/1: it has no'),
    ('"tls/1"', 'pem("CERTIFICATE", "x") + "\\0"',
     'ValueError: certificate for tls/1: it has a NUL'),
])
def test_p12_a_bad_answer_raises_and_publishes_nothing(world, unit, argument, error):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'tls.set_cert({}, {})'.format(unit, argument))
    assert error in it.last.stderr
    assert it.last.exit_code == 1 and it.last.changes == {}
    it.serve()


@pytest.mark.parametrize('method', ['set_cert("{}", pem("CERTIFICATE", "late"))',
                                    'refuse_csr("{}", "late")'])
@pytest.mark.parametrize('leader, unit, why', [
    ('tls/1', 'tls/0', 'this unit does not lead'),
    ('tls/0', 'tls/1', 'get_csr_map() never handed out a request of it here'),
    ('tls/0', 'tls/9', 'the unit has left'),
])
def test_p12_what_was_not_handed_out_here_is_logged_and_fails_no_hook(
        world, method, leader, unit, why):
    it = world(2)
    it.juju.lose_unitdata('tls/0')
    it.do(leader, 'tls.' + method.format(unit))
    assert it.last.exit_code == 0 and 'for {} not published: '.format(unit) in logged(it.last)
    assert why in logged(it.last)
    assert it.answer(unit) == (certificate(unit + ' 1 by tls/0 #1') if unit != 'tls/9' else None)


# As a process: a hook that is none gives its arguments to no kernel.
@pytest.mark.once
@pytest.mark.parametrize('refuse', [
    'tls.refuse_csr("tls/1", "bad \\0 byte")',
    'hookenv.relation_set("certificates:0", {"tls/1_refusal": "é" * 100000, '
    '"tls/1_signed_certificate": None, "tls/1_csr_id": ID}, app=True)'])
def test_p9_no_reason_fails_a_hook(charm, tmp_path, refuse):
    it = World(charm, tmp_path / 'real', ForkedJuju, real=True, forked=True)
    it.tell = lambda unit, name, text: (
        it.juju.unit_directory(unit) / 'charm' / name).write_text(text)
    try:
        it.start(2)
        it.ask_and_show()
        it.do('tls/0', refuse.replace('ID', repr(it.request_id('tls/1'))))
        it.juju.settle()
        it.juju.forked = False
        it.do('tls/1', 'tls.set_csr({!r})'.format(request('first')))
        assert it.last.exit_code == 0, it.last.stderr[-200:]
    finally:
        it.juju.close()


@pytest.mark.parametrize('subject, reason', [
    ('CN=-----BEGIN PRIVATE KEY-----', 'bad subject: CN=(a private key)'),
    ('CN=a\0b\nc', 'bad subject: CN=a?b?c'),
    ('CN=' + 400 * 'é' + 400 * 'name', ('bad subject: CN=' + 400 * 'é' + 400 * 'name')[:624]),
])
def test_p9_a_reason_that_quotes_what_a_peer_wrote_reaches_the_peer(world, subject, reason):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'tls.refuse_csr("tls/1", "bad subject: " + {!r})'.format(subject))
    assert it.last.exit_code == 0, it.last.stderr
    it.juju.settle()
    assert it.do('tls/1', 'results.append(tls.get_refusal())') == [reason]


def test_p12_words_before_a_block_are_no_private_key(world):
    it = world(2)
    it.ask_and_show()
    it.do('tls/0', 'tls.set_cert("tls/1", "subject=CN = ACME private key\\n" + '
                   'pem("CERTIFICATE", "first by hand"))')
    assert it.last.exit_code == 0
    assert it.answer('tls/1')


@pytest.mark.parametrize('name', ['tls/1\0', 'tls/' + '\u20ac' * 44000, 'tls/' + '9' * 200000])
def test_p12_a_name_that_no_hook_tool_takes_is_left_alone_or_refused(world, name):
    """A NUL, and more than 128 KiB: the kernel passes neither to relation-get or juju-log."""
    it = world(2)
    it.do('tls/0', '''
for csr in None, pem("CERTIFICATE REQUEST", "x"):
    try:
        tls.set_cert({0!r}, pem("CERTIFICATE", "x"), csr=csr)
    except ValueError as error:
        results.append(str(error))
'''.format(name))
    assert it.last.committed and it.last.changes == {}
    assert 'embedded null byte' not in it.juju.kv('tls/0')['results']
