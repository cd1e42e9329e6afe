"""P2, P8, P11 and P15 where one call of a hook tool fails: what cannot be read is not empty.

Each is a history of proofs/histories.py, in its shortest form, with that call at every place: it
says what else has to hold after each hook, and heals at the end. The keys of the layers are files,
but where it says otherwise: with keys in unitdata, restoring those restores the key, and a request
that was lost is not missed.
"""
import pytest

from histories import Event, History

FAILING_CALLS = pytest.mark.parametrize('call', [*range(1, 6)] + [
    pytest.param(call, marks=pytest.mark.slow) for call in (6, 7, 8)])


@pytest.fixture(scope='module')
def play(charm, tmp_path_factory):
    """Play these events on two units at rest; Violation if a promise is broken."""
    history = History(charm, tmp_path_factory.mktemp('unseen') / 'model')
    yield history.play_from_rest
    history.juju.close()


@FAILING_CALLS
@pytest.mark.parametrize('unit', ['tls/0', 'tls/1'])
def test_p15_no_older_request_is_published_over_one_that_could_not_be_read(play, unit, call):
    """`juju exec` ran a script that asked and failed: Juju has committed, unitdata are not kept."""
    play(Event('exec', unit), Event('hook', unit), Event('status', unit),
         Event('disconnected', unit, (call,)))


@FAILING_CALLS
def test_p15_nor_over_one_from_before_unitdata_were_restored(play, call):
    play(Event('renew', 'tls/1'), Event('hook', 'tls/1'), Event('restore', 'tls/1', (1,)),
         Event('status', 'tls/1'), Event('disconnected', 'tls/1', (call,)))


# tls/1 asked and was answered, and has not looked; then its bag is ahead of its record.
BEHIND = [Event('renew', 'tls/1'), Event('hook', 'tls/1'), Event('hook', 'tls/0'),
          Event('exec', 'tls/1'), Event('hook', 'tls/1')]


def test_p2_no_answer_is_taken_by_a_record_that_is_behind_the_bag(play):
    """The hook is the `changed` of the application bag, which compares nothing else."""
    it = play(*BEHIND, Event('hook', 'tls/1'))
    assert [text[:8] for text in it.announced('tls/1')[1:]] == ['tls/1 3 ']


@FAILING_CALLS
def test_p2_nor_in_a_full_look_that_could_not_compare_the_bag(play, call):
    it = play(*BEHIND, Event('skip', 'tls/1'), Event('status', 'tls/1'),
              Event('disconnected', 'tls/1', (call,)))
    assert [text[:8] for text in it.announced('tls/1')[1:]] == ['tls/1 3 ']


def test_p2_nor_by_a_leader_of_its_own_answer(play):
    it = play(Event('renew', 'tls/0'), Event('hook', 'tls/0'), Event('hook', 'tls/0'),
              Event('exec', 'tls/0'), Event('hook', 'tls/0'), Event('hook', 'tls/0'))
    assert it.announced('tls/0')[-1].startswith('tls/0 3 ')


def test_p15_a_request_of_a_script_that_fails_counts_whatever_the_number(play):
    """Its number has more digits than are read in a unit's own bag."""
    it = play(Event('nonsense', 'tls/1', ({'csr_number': 17 * '9'},)), Event('status', 'tls/1'),
              Event('settle'), Event('renew', 'tls/1'), Event('settle'), Event('exec', 'tls/1'))
    assert it.announced('tls/1')[-1].startswith('tls/1 3 ')


@pytest.mark.parametrize('fault', ['uncommitted', 'kill'])
def test_p15_nor_does_a_number_of_before_a_restore_keep_a_request_from_its_bag(play, fault):
    it = play(Event('nonsense', 'tls/1', ({'csr_number': 17 * '9'},)), Event('status', 'tls/1'),
              Event('settle'), Event('renew', 'tls/1'), Event('hook', 'tls/1'), Event('settle'),
              Event('restore', 'tls/1', (2,)), Event('renew', 'tls/1'),
              Event(fault, 'tls/1', (8,)))
    assert it.unserved() == []


@FAILING_CALLS
@pytest.mark.parametrize('keys', [pytest.param('', marks=pytest.mark.slow), 'disk'])
def test_p11_a_request_of_the_original_that_could_not_be_read_is_adopted_later(play, keys, call):
    it = play(Event('disconnected', 'tls/1', (call,)), start=[Event('original', '', (2,))],
              keys=keys)
    assert len(it.announced('tls/1')) == 2  # by the original, then signed once more
    assert it.request_id('tls/1').startswith('1-')


@FAILING_CALLS
def test_p2_what_was_planted_beside_the_next_id_is_not_taken(play, call):
    """The leader is not to be trusted for one write; the unit renews with the same CSR."""
    it = play(Event('plant', 'tls/1'), Event('repeat', 'tls/1'),
              Event('disconnected', 'tls/1', (call,)))
    assert it.announced('tls/1')[1:] == ['tls/1 1 by tls/0 #2']


def test_p2_nor_beside_an_id_with_more_digits_than_are_believed(play):
    greatest = {'csr_number': 15 * '9'}
    it = play(Event('nonsense', 'tls/1', (greatest,)), Event('status', 'tls/1'),
              Event('settle'), Event('plant', 'tls/1'), Event('repeat', 'tls/1'))
    assert it.announced('tls/1')[-1] == 'tls/1 1 by tls/0 #3'


@pytest.mark.parametrize('unit', ['tls/0', 'tls/1'])
def test_p8_a_name_used_again_with_its_key_takes_no_answer_of_the_predecessor(play, unit):
    """The layer asks in `install`, where the bags cannot be seen yet; no call fails."""
    it = play(Event('die', unit), Event('forget', unit), Event('inherit', unit),
              Event('hook', unit), Event('hook', unit), keys='early')
    assert it.request_id(unit).startswith('2-')
    assert len(it.announced(unit)) == 1
