"""The README's layer that has certificates signed elsewhere, hooks later (P2)."""
import re

import pytest

from world import ROOT, TESTS, SIGN, World, assemble, certificate, request

LAYER = TESTS / 'layers/later'


def test_the_readme_shows_what_runs_here():
    shown, = re.findall(r'^<!-- from tests/layers/later/[^\n]* -->\n```python\n(.*?)^```$',
                        (ROOT / 'README.md').read_text(), re.DOTALL | re.MULTILINE)
    assert shown in (LAYER / 'reactive/later.py').read_text()


class Office:
    """Whoever signs; forked hooks all run in the charm's directory."""

    def __init__(self, charm):
        self.charm = charm

    def ask(self, unit, text):
        (self.charm / 'request-{}.pem'.format(unit.replace('/', '-'))).write_text(request(text))

    def open(self):
        """The orders that nobody has signed yet."""
        return {path.read_text(): path for path in self.charm.glob('queue/*.csr')
                if not path.with_suffix('.pem').exists()}

    def sign(self, text, answer):
        self.open()[request(text)].with_suffix('.pem').write_text(certificate(answer))


@pytest.fixture
def deployed(tmp_path):
    charm = assemble(tmp_path / 'charm', layer=LAYER)
    office = Office(charm)
    for unit in ('tls/0', 'tls/1'):
        office.ask(unit, unit)
    it = World(charm, tmp_path / 'model')
    it.start(2)
    yield it, office
    it.juju.close()


def let_pass(it):
    for unit in it.juju.units():
        it.juju.update_status(unit)
    it.juju.settle()


def test_p2_what_is_signed_later_arrives(deployed):
    it, office = deployed
    let_pass(it)
    assert set(office.open()) == {request('tls/0'), request('tls/1')}
    office.sign('tls/0', 'zero')
    office.sign('tls/1', 'one')
    let_pass(it)
    let_pass(it)                       # in which the leader takes its own
    assert it.certificate('tls/0') == certificate('zero')
    assert it.certificate('tls/1') == certificate('one')
    assert it.unserved() == [] and SIGN not in it.flags('tls/0')
    assert office.open() == {}         # nothing to sign that nobody asked for


def test_p2_what_was_signed_for_an_older_request_is_not_handed_in(deployed):
    it, office = deployed
    office.ask('tls/1', 'anew')
    it.juju.write('tls/1', csr=request('anew'), csr_number='2')
    it.juju.settle(['tls/0'])
    office.sign('tls/1', 'of the old key')
    let_pass(it)
    assert it.answer('tls/1') is None
    office.sign('anew', 'of the new key')
    let_pass(it)
    assert it.answer('tls/1') == certificate('of the new key')
