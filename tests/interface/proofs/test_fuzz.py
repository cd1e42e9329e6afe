"""P3 and P12 with any data: what stands in bags fails no hook, and bad arguments only raise."""
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from memoised import MemoisedJuju
from world import World, certificate, logged, pem, request

# What YAML and JSON cannot carry cannot come into a bag.
TEXT = st.text(st.characters(blacklist_categories=['Cs']))
LONG = st.builds(lambda text, times: (text * times)[:1 << 20], TEXT.filter(bool),
                 st.sampled_from([1 << 10, 1 << 16, 1 << 20]))
ID = st.from_regex(r'[0-9]{0,20}-[0-9a-f]{60,66}|reissue-[0-9a-f]*|[0-9]{0,40}', fullmatch=True)
LABEL = st.sampled_from(['CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST', 'CERTIFICATE',
                         'PRIVATE KEY', 'X']) | TEXT
BLOCK = st.builds(pem, LABEL, TEXT)
PIECES = st.lists(BLOCK | TEXT | st.sampled_from(['-----BEGIN CERTIFICATE-----',
                                                  '-----END CERTIFICATE REQUEST-----', '\0']),
                  max_size=4).map(''.join)
VALUE = TEXT | LONG | ID | BLOCK | PIECES | st.builds(request, TEXT) | st.builds(certificate, TEXT)
BAG = st.dictionaries(
    TEXT | st.sampled_from(['csr', 'csr_number', 'tls/0_csr_id', 'tls/1_csr_id', 'tls/9_csr_id',
                            'tls/0_signed_certificate', 'tls/1_signed_certificate',
                            'tls/0_refusal', 'tls/1_refusal']),
    VALUE, min_size=1, max_size=6)
ARGUMENT = st.none() | st.booleans() | st.integers() | st.binary() | st.lists(TEXT) \
    | st.text() | VALUE

FEW = settings(max_examples=12, deadline=None, database=None, derandomize=True,
               suppress_health_check=list(HealthCheck))


@pytest.fixture(scope='module')
def rest(charm, tmp_path_factory):
    """rest() is a world of three units at rest, each time the same."""
    world = World(charm, tmp_path_factory.mktemp('fuzz') / 'model', MemoisedJuju)
    world.start(3)
    state = world.juju.save()

    def again():
        world.juju.load(state)
        world.juju.runs = []
        return world

    yield again
    world.juju.close()


def serve(it, *units):
    """Let each of the units ask once more; whether they are served in the end."""
    for unit in units:
        it.juju.action(unit, 'renew')
    it.juju.settle()
    it.juju.update_status('tls/0')
    it.juju.settle()
    return [unit for unit in units if it.is_served(unit)] == list(units)


@pytest.mark.once
@given(bag=BAG)
@FEW
def test_p3_whatever_a_peer_writes_harms_only_itself(rest, bag):
    it = rest()
    it.juju.relation().units['tls/1'].merge(bag, False)
    it.juju.settle()
    assert serve(it, 'tls/0', 'tls/2')
    assert all(run.exit_code == 0 and len(logged(run)) < 10000 for run in it.juju.runs)


@pytest.mark.once
@given(bag=BAG)
@FEW
def test_p3_whatever_a_leader_wrote_fails_no_hook(rest, bag):
    it = rest()
    it.juju.relation().app.merge(bag, False)
    it.juju.settle()
    assert serve(it, 'tls/0', 'tls/1', 'tls/2')
    assert all(run.exit_code == 0 for run in it.juju.runs)


TRY = '''
for call in {}:
    try:
        call()
        results.append(None)
    except (TypeError, ValueError) as error:
        results.append(str(error))
'''


@pytest.mark.once
@given(arguments=st.lists(ARGUMENT, min_size=1, max_size=10), name=ARGUMENT)
@FEW
def test_p12_whatever_the_arguments_nothing_else_is_raised(deployed, arguments, name):
    it = deployed
    it.juju.update_status('tls/0')
    it.juju.settle()                   # it may have been refused, and asks anew
    calls = ['lambda: tls.set_csr({!a})'.format(each) for each in arguments]
    calls += ['lambda: tls.set_cert("tls/0", {!a})'.format(each) for each in arguments]
    calls += ['lambda: tls.refuse_csr("tls/0", {!a})'.format(each) for each in arguments]
    calls += ['lambda: tls.reissue({!a})'.format(each) for each in arguments if each is not None]
    calls += ['lambda: tls.set_cert({!a}, {!a})'.format(name, certificate('sound'))]
    results = it.do('tls/0', TRY.format('[{}]'.format(', '.join(calls))))
    assert it.last.exit_code == 0 and len(results) == len(calls)
    assert all(error is None or len(error) < 300 for error in results)
    if all(results):
        assert it.last.changes == {}


@pytest.fixture(scope='module')
def deployed(settled, charm, tmp_path_factory):
    it = settled(2, charm, {}).copy(tmp_path_factory.mktemp('arguments') / 'model')
    yield it
    it.juju.close()
