"""Files of a charm: what `juju deploy` and `juju refresh` of fakejuju take, and what they refuse.

As Juju's source says it, by versions; for 4.1 as it was recorded.
"""
import re
import zipfile
from pathlib import Path

import pytest

from juju_command import MANIFEST, Command, make, metadata, pack
from world import TESTS

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('juju charms')]


@pytest.fixture(scope='module')
def juju(tmp_path_factory):
    """A model with a unit at rest."""
    juju = Command(tmp_path_factory.mktemp('juju') / 'models', inside=True)
    juju('add-model', 'test')
    juju('deploy', '-m', 'test', make(tmp_path_factory.mktemp('charm') / 'tls'))
    juju.rest()
    return juju


EVERY, OLD, NEW = ('2.9.50', '3.6.8', '4.1.0'), ('2.9.50', '3.6.8'), ('4.1.0',)
RING = {'ring': {'interface': 'x'}}


@pytest.mark.parametrize('versions, files, text', [
    (EVERY, {'metadata': metadata(**{'assumes': [], 'series': ['jammy']})},
     'ambiguous metadata: keys "series" cannot be used with "assumes"'),
    (EVERY, {'metadata': metadata(**{'assumes': [], 'series': [], 'min-juju-version': '3.0.0'})},
     'ambiguous metadata: keys "min-juju-version", "series" cannot be used with "assumes"'),
    (EVERY, {'metadata': metadata(**{'min-juju-version': '2.0.0'})},
     'min-juju-version in metadata v2 not valid'),
    (OLD, {'metadata': metadata(**{'min-juju-version': '9.0.0', 'series': ['jammy']})},
     "charm's min version (9.0.0) is higher than this juju model's version ({version})"),
    (NEW, {'metadata': metadata(**{'min-juju-version': '2.0.0', 'series': ['jammy']})},
     'min-juju-version in metadata v2 not valid'),
    (OLD, {'metadata': metadata(assumes=['juju >= 2.9']), 'manifest': None},
     'assumes in metadata v1 not valid'),
    (NEW, {'metadata': metadata(series=['jammy']), 'manifest': None},
     'charm metadata without bases in manifest not valid'),
    (NEW, {'manifest': '{bases: []}'}, 'charm metadata without bases in manifest not valid'),
    (EVERY, {'manifest': '{analysis: {}}'},
     'parsing "manifest.yaml" file: manifest: coerce: expected list, got nothing'),
    (EVERY, {'manifest': '{bases: [{name: ubuntu, channel: 22.04}]}'}, 'parsing "manifest.yaml" '
     'file: manifest: coerce: [0].channel: expected string, got float64(22.04)'),
    (EVERY, {'manifest': '{bases: [{channel: "22.04"}]}'},
     'parsing "manifest.yaml" file: manifest: base without name not valid'),
    (EVERY, {'manifest': '{bases: [{name: ubuntu}]}'},
     'parsing "manifest.yaml" file: manifest: channel not valid'),
    (OLD, {'manifest': '{bases: [{name: debian, channel: "12"}]}'},
     'parsing "manifest.yaml" file: manifest: os "debian" not valid'),
    (EVERY, {'metadata': metadata(name=None)}, 'metadata: name: expected string, got nothing'),
    (EVERY, {'metadata': metadata(description=5)},
     'metadata: description: expected string, got int(5)'),
    (EVERY, {'metadata': metadata(peers={'ring': {'limit': 1}})},
     'metadata: peers.ring.interface: expected string, got nothing'),
    (EVERY, {'metadata': metadata(peers={'ring': None})},
     'metadata: peers.ring: expected map, got nothing'),
    (OLD, {'metadata': metadata(peers={'juju-ring': {'interface': 'x'}})},
     'charm "tls" using a reserved relation name: "juju-ring"'),
    (OLD, {'metadata': metadata(peers={'juju': {'interface': 'x'}})},
     'charm "tls" using a reserved relation name: "juju"'),
    (OLD, {'metadata': metadata(peers={'ring': 'juju-x'})},
     'charm "tls" relation "ring" using a reserved interface: "juju-x"'),
    (OLD, {'metadata': metadata(peers=RING, provides=RING)},
     'charm "tls" using a duplicated relation name: "ring"'),
    (NEW, {'metadata': metadata(peers={'juju-ring': {'interface': 'x'}})},
     'charm relation reserved name misuse; peer relation "juju-ring" has reserved name'),
    (NEW, {'metadata': metadata(peers={'ring': 'juju-x'})}, 'charm relation reserved name misuse; '
     'peer relation "ring" has reserved interface name "juju-x"'),
    (EVERY, {'config': '{}'}, 'invalid config: empty configuration'),
    (EVERY, {'config': 'options: {a: {type: colour}}'},
     'invalid config: option "a" has unknown type "colour"'),
    (EVERY, {'config': 'options: {a: {type: int, default: x}}'},
     'invalid config default: option "a" expected int, got "x"'),
    (EVERY, {'actions': 'Act: {}'}, 'bad action name Act'),
    (EVERY, {'actions': 'juju-act: {}'},
     'cannot use action name juju-act: the "juju-" prefix is reserved'),
])
def test_a_charm_that_juju_refuses_leaves_no_trace(juju, tmp_path, versions, files, text):
    make(tmp_path / 'bad', **files)
    before = juju.files()
    for version in versions:
        deploy = juju.of(version, tmp_path)('deploy', '-m', 'test', './bad.charm', 'other')
        refresh = juju.of(version, tmp_path)('refresh', '-m', 'test', 'tls', '--path', 'bad.charm')
        wanted = text.format(version=version)
        assert (deploy.returncode, deploy.stdout, deploy.stderr) == (
            1, '', 'ERROR attempting to deploy "./bad.charm": {}\n'.format(wanted))
        assert (refresh.returncode, refresh.stdout, refresh.stderr) == (
            1, '', 'ERROR {}\n'.format(wanted))
    assert juju.files() == before


@pytest.mark.parametrize('versions, files, arguments, text', [
    (('3.6.8', '4.1.0'), {}, ['--base', 'ubuntu@20.04'],
     'base "ubuntu@20.04" is not supported, supported bases are: ubuntu@22.04, ubuntu@24.04'),
    (('3.6.8',), {'manifest': None}, [], 'charm does not define any bases, not valid'),
    (('2.9.50',), {'manifest': None}, [], 'series not specified and charm does not define any'),
])
def test_a_base_that_the_charm_lacks_is_refused(juju, tmp_path, versions, files, arguments, text):
    file = make(tmp_path / 'bad', **files)
    before = juju.files()
    for version in versions:
        assert juju.of(version).refused('deploy', '-m', 'test', file, 'other', *arguments) == (
            1, text)
    assert juju.files() == before


def test_a_refresh_to_a_charm_without_the_base_is_refused_unless_forced(juju, tmp_path):
    file = make(tmp_path / 'tls', manifest='{bases: [{name: ubuntu, channel: "20.04"}]}')
    before = juju.files()
    code, line = juju.refused('refresh', '-m', 'test', 'tls', '--path', file)
    assert code == 1 and line.endswith('base "ubuntu@22.04" not supported by charm, the charm '
                                       'supported bases are: ubuntu@20.04')
    assert juju.files() == before


@pytest.mark.parametrize('files', [
    {'metadata': metadata(assumes=['k8s-api'])}, {'metadata': metadata(assumes=['juju >= 9'])},
    {'metadata': metadata(peers=None)}, {'metadata': '{name: ['},
    {'metadata': metadata(peers=[1])}, {'metadata': metadata(name='A_b')},
    {'metadata': '{name: a, summary: x, description: x, peers: {5: {interface: i}}}'},
    {'metadata': metadata(peers={'p': {'interface': 'i', 'scope': 'bogus'}})},
    {'metadata': metadata(peers={'p': {'interface': 'i', 'limit': 'x'}})},
    {'metadata': metadata(peers={'p': {'interface': ''}})}, {'metadata': metadata(provides=[1])},
    {'metadata': metadata(storage={'data': {'type': 'filesystem'}})},
    {'metadata': metadata(resources={'data': {'type': 'file'}})},
    {'metadata': metadata(subordinate=True)}, {'metadata': metadata(containers={'c': {}})},
    {'metadata': '{name: a, summary: 2001-01-01, description: x}'},
    {'metadata': '{name: a, summary: 2001-99-99, description: x}'},
    {'metadata': metadata(**{'min-juju-version': 'x', 'series': ['jammy']}), 'manifest': None},
    {'metadata': metadata(series=[['jammy']]), 'manifest': None},
    {'manifest': '[1]'}, {'manifest': '{bases: [{name: ubuntu, channel: bogus}]}'},
    {'config': 'options: {a: {type: [x]}}'}, {'config': 'options: [a]'}, {'config': '[a]'},
    {'config': 'options: {a: x}'}, {'actions': '[act]'}, {'actions': 'act: word'},
    {'actions': 'act: {description: 5}'}, {'actions': 'act: {required: a}'},
    {'actions': 'act: {params: a}'}, {'actions': 'act: {params: {x: 3}}'},
    {'actions': 'act: {params: {x: {type: bogus}}}'},
    {'actions': 'act: {params: {x: {type: [string, integer]}}}'}])
def test_what_is_not_modelled_of_a_charm_is_refused_by_name(juju, tmp_path, files):
    file, before = make(tmp_path / 'bad', **files), juju.files()
    code, line = juju.of('3.6.8').refused('deploy', '-m', 'test', file, 'other')
    assert code == 1 and line.startswith('fakejuju does not model ')
    assert juju.files() == before


def test_a_file_that_is_not_utf_8_or_damaged_is_refused(juju, tmp_path):
    make(tmp_path / 'bad')
    with open(str(tmp_path / 'bad/metadata.yaml'), 'ab') as file:
        file.write(b'# \xff')
    before = juju.files()
    assert juju.of('3.6.8').refused('deploy', '-m', 'test', pack(tmp_path / 'bad'), 'other') == (
        1, "fakejuju does not model Go's words for what is wrong in metadata.yaml")
    file = tmp_path / 'tls.charm'
    made = bytearray(Path(make(tmp_path / 'tls')).read_bytes())
    with zipfile.ZipFile(str(file)) as archive:
        hook = archive.getinfo('hooks/relations/tls/peers.py')
    made[hook.header_offset + 200] ^= 255
    file.write_bytes(made)
    code, line = juju.of('3.6.8').refused('deploy', '-m', 'test', file, 'other')
    assert code == 1 and line.startswith('invalid charm or bundle provided at ')
    assert juju.files() == before


def refusals():
    """(name, the error that Juju printed, or none) of deploy-refusals.txt."""
    text = (TESTS / 'fakejuju_tests/recorded/deploy-refusals.txt').read_text()
    for block in text.split('--- ')[1:]:
        name = block.split('\n')[0]
        error = re.search('^ERROR attempting .*"./{}.charm": (.*)'.format(name), block, re.M)
        yield name, error and error.group(1)


BOTH = {'min-juju-version': '3.0.0', 'assumes': ['juju >= 3.0'], 'series': ['jammy', 'noble']}
# The charms of the recording, by its names: keys of metadata.yaml, and the manifest.
RECORDED_CHARMS = {
    'nomanifest': ({}, None), 'nobases': ({}, '{analysis: {}}'),
    'series': ({'series': ['jammy', 'noble']}, None),
    'series2': ({'series': ['jammy', 'noble']}, MANIFEST),
    'minjuju': ({'min-juju-version': '3.0.0', 'assumes': ['juju >= 3.0']}, None),
    'minjuju2': ({'min-juju-version': '3.0.0'}, MANIFEST),
    'minonly2': ({'min-juju-version': '9.0.0'}, MANIFEST),
    'both': (BOTH, None), 'both2': (BOTH, MANIFEST)}


def test_deploy_refuses_and_takes_what_a_running_juju_did(juju, tmp_path):
    found = dict(refusals())
    assert set(found) == set(RECORDED_CHARMS)
    it, before = juju.of('4.1-beta2', tmp_path), juju.files()
    for name, (keys, manifest) in RECORDED_CHARMS.items():
        make(tmp_path / name, metadata=metadata(**keys), manifest=manifest)
        done = it('deploy', '-m', 'test', './{}.charm'.format(name), 'bad-' + name)
        if found[name]:
            assert (done.returncode, done.stderr) == (
                1, 'ERROR attempting to deploy "./{}.charm": {}\n'.format(name, found[name]))
            assert juju.files() == before
        else:
            assert done.returncode == 0
            assert 'on ubuntu@24.04/stable\n' in done.stderr
            it('remove-application', '-m', 'test', '--no-prompt', 'bad-' + name)
            before = juju.files()
