"""The promises in every order of hooks, in small worlds: search.py goes there, protocol.py judges.

A world starts with units that have run nothing yet, the first of them elected, or with units at
rest. Covered is every interleaving of their hooks, and in every state that comes up every action
that still has a budget; when no hook is left, a settling to the end. An election, that Juju
learns of a death, and an answer to requests that a slow signer has on the desk cost nothing.
Juju is as in its default here: stale caches (but where bags are restored), and the leader told of
its own application bag. Layers keep their keys in files, or in unitdata where `keys` is ''.

Not covered: more than that many events in one history; a second fault in a retried hook; hooks
of two units that overlap in time, but for a leadership lost in the middle of one.
"""
import pytest

from search import Search

LEADER = 'depose'                      # at once followed by every election, or by none
LOST = 'depose/deposed/overtaken'      # the same between hooks, within one, before its commit
COMMIT = 'uncommitted/kill'            # a kill at every call of a hook tool
DEPARTURE = 'remove/die'               # in order, or without a word
RENEWAL = 'renew'
AGAIN = 'renew/repeat'                 # another CSR, or the same
REFUSAL = 'refuse'                     # of what is next to be signed
REISSUE = 'reissue'
TWICE = 'again'                        # committed, and run again all the same
FORGOTTEN = 'skip/lose'                # a hook that counts as done; a follower's unitdata
SLOW = 'slow'                          # what waits is answered hooks later
DISK = 'restore'                       # unitdata as they were before they last changed
WHOLE = 'restore/restore_disk'         # those, or with them the layer's key
SCRIPT = 'exec'                        # asks and fails: the bag is ahead of unitdata
UNREAD = 'disconnected'                # any single call of a hook tool fails
PLANTED = 'plant'                      # an answer to what a unit may ask next
HEIR = 'inherit'                       # a name used again, with the key of the predecessor
BAG = 'restore_bag'                    # a unit's, or the application's; all agents restart
RESTORED = 'restore/restore_bag'

NOTHING, REST = False, True
KEYS = {'disk': '', 'early': ', asking in install', '': ', keys in unitdata'}


def search(charm, directory, record_property, units, at_rest, *kinds, keys='disk'):
    budget = {tuple(each.split('/')): 1 for each in kinds}
    it = Search(charm, directory, units, budget, at_rest, keys=keys)
    it.run()
    again = it.sample_again(50)
    record_property('search', '{} units {}{}, once each {}: {}; {} of the hooks run again'.format(
        units, 'at rest' if at_rest else 'from nothing', KEYS[keys],
        ' and '.join(kinds) or 'nothing', it, again))
    assert again and it.steps and it.ends


@pytest.mark.once
@pytest.mark.parametrize('at_rest, kinds', [
    (REST, [LEADER, COMMIT, DEPARTURE]),
    (REST, [TWICE, FORGOTTEN, RENEWAL])] + [
    pytest.param(*each, marks=pytest.mark.slow) for each in (
        (REST, [LEADER, DEPARTURE, RENEWAL]),
        (REST, [LEADER, COMMIT, RENEWAL]),
        (REST, [COMMIT, DEPARTURE, RENEWAL]),
        (REST, [LEADER, COMMIT, REISSUE, SLOW]),
        (NOTHING, [COMMIT, REFUSAL]),
        (REST, [DISK, BAG, COMMIT, RENEWAL]))])
def test_two_units_in_every_order(charm, tmp_path, record_property, at_rest, kinds):
    search(charm, tmp_path / 'model', record_property, 2, at_rest, *kinds)


@pytest.mark.once
@pytest.mark.parametrize('keys, kinds', [
    ('disk', [SCRIPT, 'status', UNREAD]),
    pytest.param('disk', [PLANTED, 'repeat', UNREAD], marks=pytest.mark.slow),
    pytest.param('early', ['die', HEIR], marks=pytest.mark.slow)])
def test_two_units_of_which_one_cannot_see_all(charm, tmp_path, record_property, keys, kinds):
    search(charm, tmp_path / 'model', record_property, 2, REST, *kinds, keys=keys)


@pytest.mark.search
@pytest.mark.parametrize('keys, at_rest, kinds', [
    ('disk', REST, [SCRIPT, AGAIN, UNREAD]),
    ('disk', REST, [SCRIPT, RENEWAL, LEADER, COMMIT]),
    ('disk', REST, [SCRIPT, 'lose/lose_disk', 'status', UNREAD]),
    ('disk', REST, [WHOLE, RENEWAL, 'status', UNREAD]),
    ('disk', REST, [WHOLE, BAG, AGAIN, TWICE]),
    ('disk', REST, [WHOLE, BAG, 'status', UNREAD]),
    ('disk', REST, [PLANTED, AGAIN, UNREAD, LEADER]),
    ('disk', REST, [PLANTED, SCRIPT, COMMIT]),
    ('disk', REST, [REFUSAL, RENEWAL, 'status', UNREAD]),
    ('disk', REST, [REISSUE, SLOW, UNREAD]),
    ('early', REST, [DEPARTURE, HEIR, UNREAD]),
    ('early', NOTHING, [UNREAD]),
    ('early', NOTHING, [COMMIT]),
    ('early', NOTHING, [SCRIPT]),
    ('', REST, [RESTORED, COMMIT, AGAIN]),
    ('', REST, [RESTORED, TWICE, FORGOTTEN, RENEWAL]),
    ('', REST, [SCRIPT, RENEWAL, UNREAD]),
])
def test_two_units_of_which_one_cannot_see_all_at_length(
        charm, tmp_path, record_property, keys, at_rest, kinds):
    search(charm, tmp_path / 'model', record_property, 2, at_rest, *kinds, keys=keys)


@pytest.mark.search
@pytest.mark.parametrize('at_rest, kinds', [
    (REST, [LOST, COMMIT, DEPARTURE, AGAIN]),
    (REST, [COMMIT, REFUSAL, RENEWAL, REISSUE]),
    (REST, [LOST, TWICE, FORGOTTEN, RENEWAL]),
    (REST, [DISK, BAG, LEADER, RENEWAL]),
    (REST, [RESTORED, LOST, COMMIT, AGAIN]),
    (REST, [RESTORED, COMMIT, REFUSAL, RENEWAL]),
    (REST, [RESTORED, COMMIT, REISSUE, SLOW]),
    (REST, [RESTORED, TWICE, FORGOTTEN, RENEWAL]),
    (REST, [RESTORED, DEPARTURE, RENEWAL]),
    (NOTHING, [RESTORED]),
    (NOTHING, [TWICE, FORGOTTEN]),
    (NOTHING, [LEADER, COMMIT]),
    (NOTHING, [COMMIT, DEPARTURE]),
    (NOTHING, [LEADER, RENEWAL]),
    (NOTHING, [LEADER, DEPARTURE]),
    (NOTHING, [LEADER, REFUSAL]),
    (NOTHING, [COMMIT, RENEWAL]),
    (NOTHING, [DEPARTURE, RENEWAL]),
])
def test_two_units_in_every_order_at_length(charm, tmp_path, record_property, at_rest, kinds):
    search(charm, tmp_path / 'model', record_property, 2, at_rest, *kinds)


EVENTS = ['depose', 'remove', 'die', 'add', 'renew', 'repeat', 'slow', 'restart',
          'status', 'refuse', 'reissue', 'lose', 'lose_disk', 'exec', 'plant']
FAULTS = ['deposed', 'overtaken', 'uncommitted', 'again', 'kill', 'disconnected', 'skip']


@pytest.mark.search
@pytest.mark.parametrize('at_rest, kinds', [
    pytest.param(at_rest, kinds, id='-'.join([at_rest and 'rest' or 'nothing'] + kinds))
    for at_rest, kinds in [(NOTHING, [kind]) for kind in EVENTS + FAULTS]
    + [(REST, [kind, RENEWAL] if kind == REFUSAL else [kind]) for kind in EVENTS]
    + [(REST, [kind, RENEWAL]) for kind in (WHOLE, BAG)]
    + [(REST, [REISSUE, SLOW, kind]) for kind in [LEADER, 'add'] + FAULTS]
    + [(REST, ['return/inherit', 'die'])]     # only what is dead comes back
    + [(REST, [kind, RENEWAL]) for kind in FAULTS]])  # at rest there is no hook to fail
def test_three_units_and_one_event(charm, tmp_path, record_property, at_rest, kinds):
    units = 2 if (at_rest, kinds) == (NOTHING, ['add']) else 3  # that adds the third
    search(charm, tmp_path / 'model', record_property, units, at_rest, *kinds)
