"""The double seen by ops, another client of Juju's hook tools: real processes, its own backend."""
import json
from pathlib import Path

import pytest

from fakejuju import Juju

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('ops')]


@pytest.fixture(scope='module')
def settled(tmp_path_factory):
    directory = tmp_path_factory.mktemp('ops') / 'units'
    with Juju(Path(__file__).parent / 'ops-charm', directory, real=True) as juju:
        for _ in range(3):
            juju.add_unit()
        juju.elect('witness/0')
        juju.settle()
        yield juju


@pytest.fixture
def juju(settled, tmp_path):
    with settled.copy(tmp_path / 'units') as juju:
        yield juju


def act(juju, unit, name, result=None, **params):
    """Run the action; what it gave for that result."""
    juju.action(unit, name, **params)
    run = juju.run(unit)
    assert run.committed, run.stderr
    return json.loads(run.action['results'][result]) if result else run


def test_ops_reads_members_bags_leadership_and_secret(juju):
    assert act(juju, 'witness/0', 'look', 'seen') == {
        'leader': True, 'units': {'witness/1': 'witness/1', 'witness/2': 'witness/2'},
        'own': 'witness/0', 'saw': None, 'app': None, 'secret': 'first'}
    assert act(juju, 'witness/1', 'look', 'seen') == {
        'leader': False, 'units': {'witness/0': 'witness/0', 'witness/2': 'witness/2'},
        'own': 'witness/1', 'saw': None, 'app': None, 'secret': 'first'}
    assert juju.status('witness/0') == ('active', 'elected')


def test_what_ops_writes_comes_into_bags_and_to_its_peers(juju):
    act(juju, 'witness/1', 'write', bag='unit', value='changed')
    act(juju, 'witness/0', 'write', bag='app', value='for all')
    assert juju.bag('witness/1')['name'] == 'changed'
    assert juju.app_bag()['value'] == 'for all'
    juju.settle()
    seen = act(juju, 'witness/0', 'look', 'seen')
    assert seen['units']['witness/1'] == 'changed' and seen['app'] == 'for all'
    assert act(juju, 'witness/2', 'look', 'seen')['secret'] == 'for all'


def test_ops_tells_who_departs_and_who_leaves(juju):
    juju.remove_unit('witness/2')
    juju.settle()
    assert act(juju, 'witness/0', 'look', 'seen')['saw'] == 'witness/2 depart, witness/2 leaves'
    assert act(juju, 'witness/1', 'look', 'seen')['units'] == {'witness/0': 'witness/0'}


@pytest.mark.parametrize('unit, other', [('witness/0', 'done'), ('witness/1', 'ModelError')])
def test_the_errors_of_ops_are_those_of_jujus_rules(juju, unit, other):
    assert act(juju, unit, 'be-refused', 'errors') == {
        'no such relation': 'RelationNotFoundError',
        'list of no such relation': 'RelationNotFoundError',
        'another unit': 'ModelError',
        'application bag': other,
        'secret': 'SecretNotFoundError',
        'secret of that id': 'SecretNotFoundError',
        'new secret': other,
    }


def test_ops_itself_refuses_a_write_to_the_application_bag_without_the_leadership(juju):
    juju.action('witness/1', 'write', bag='app', value='x')
    run = juju.run('witness/1')
    assert run.exit_code and 'RelationDataAccessError' in run.stderr
    assert 'value' not in juju.app_bag()
