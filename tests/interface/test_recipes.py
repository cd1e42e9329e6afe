"""The README's recipes do what it says: the layer in layers/recipes, on the kit for authors."""
import importlib.util
import re
import ssl
import subprocess
from datetime import timedelta
from itertools import product

import pytest
from cryptography import x509

from deployed import names
from fakejuju.build import build
from fakejuju.testing import Deployment, TaskError
from handshake import Party, verify
from world import ROOT, TESTS

pytestmark = pytest.mark.once
UNITS = 'my-charm/0', 'my-charm/1', 'my-charm/2'
README_TEST, = re.findall('^```python\n(def test_.*?)^```$', (ROOT / 'README.md').read_text(),
                          re.DOTALL | re.MULTILINE)
STEPS = 'new-ca', 'use-new-ca', 'drop-old-ca'

# Added to the recipes' PKI: the tests steer it by options.
STEERED = '''

from charmhelpers.core import hookenv

sign_now, issue_now = sign, issue


def issue(subject, key, issuer, issuer_key, start, *more, **named):
    return issue_now(subject, key, issuer, issuer_key,
                     start - timedelta(days=hookenv.config('age')), *more, **named)


def sign(csr, unit, address, ca):
    if hookenv.config('is-out-of-order'):
        raise ValueError('no answer')
    if unit == hookenv.config('bans'):
        raise BadRequest('{} is banned'.format(unit))
    return sign_now(csr, unit, address, ca)
'''
OPTIONS = '''options:
  age: {type: int, default: 0, description: How many days old a certificate is when it is signed.}
  bans: {type: string, default: "", description: The unit whose requests are refused.}
  is-out-of-order: {type: boolean, default: false, description: Nothing can be signed.}
'''


class Application:
    """Three units, at rest at the start and the end of each test."""

    def __init__(self, juju):
        self.juju = juju

    def pass_time(self):
        self.juju.settle()
        for unit in UNITS:  # a hook that is due would take the place of update-status
            self.juju.update_status(unit)
            self.juju.settle()

    def read(self, unit, name):
        return (self.juju.charm_directory(unit) / name).read_text()

    def files(self):
        return [self.read(unit, name) for unit in UNITS for name in ('ca.pem', 'certificate.pem')]

    def certificates(self):
        return {unit: self.read(unit, 'certificate.pem') for unit in UNITS}

    def all_trust_all(self):
        """Whether each unit accepts every unit's certificate, by what it trusts."""
        try:
            for one, other in product(UNITS, repeat=2):
                home, trusting = map(self.juju.charm_directory, (one, other))
                verify(Party(one, home / 'key.pem', home / 'certificate.pem', trusting / 'ca.pem',
                             self.juju.double.model.address(one)))
        except ssl.SSLError:
            return False
        return True

    def in_use(self, unit):
        return self.juju.bag(unit).get('certificate_in_use')


@pytest.fixture(scope='module')
def application(tmp_path_factory):
    """What the README's own test has deployed, and found to be well."""
    directory = tmp_path_factory.mktemp('recipes')
    (directory / 'tls').symlink_to(ROOT)
    charm = build(TESTS / 'layers/recipes', directory / 'built', interfaces=directory)
    with open(str(charm / 'lib/pki.py'), 'a') as pki:
        pki.write(STEERED)
    (charm / 'config.yaml').write_text(OPTIONS)
    names = {}
    exec(README_TEST, names)
    with Deployment() as juju:
        names['test_each_unit_gets_a_certificate'](juju, charm)
        yield Application(juju)


def test_the_recipes_pki_reads_what_the_wire_allows_and_outlives_its_certificates():
    spec = importlib.util.spec_from_file_location('pki', str(TESTS / 'layers/recipes/lib/pki.py'))
    pki = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(pki)
    ca, other = pki.make_ca(), pki.make_ca()
    assert ca['name'] != other['name']  # openssl finds an issuer by its name
    csr = pki.make_request(pki.make_key(), 'my-charm/0')
    leaf = pki.sign(csr, 'my-charm/0', '2001:db8::1', ca)
    chain = (leaf + ca['certificate']).strip().replace('\n', '\r\n')
    assert len(pki.split(chain)) == 2 and not pki.is_expired(chain) and not pki.is_due(chain)
    assert pki.is_for(chain, '2001:DB8:0::1') and pki.is_for(chain, None)
    assert not pki.is_for(chain, '2001:db8::2')
    ends = [x509.load_pem_x509_certificate(each.encode()).not_valid_after_utc
            for each in (leaf, ca['certificate'])]
    assert ends[0] < ends[1]
    key = pki.load_key(ca['key']).public_key()
    old = pki.issue(ca['name'], key, ca['name'], ca['key'], pki.now() - timedelta(days=91),
                    x509.BasicConstraints(True, None))
    assert pki.is_expired(old + leaf) and pki.is_expired(leaf + old)
    with pytest.raises(pki.BadRequest, match='it cannot be read: '):
        pki.public_key_of('junk')


def test_each_unit_trusts_each_other_and_its_service_has_reloaded_what_is_there(application):
    assert application.all_trust_all()
    for unit in UNITS:
        sums = subprocess.run(['sha256sum', 'ca.pem', 'certificate.pem'], stdout=subprocess.PIPE,
                              cwd=str(application.juju.charm_directory(unit)))
        assert application.read(unit, 'reloaded') == sums.stdout.decode()
        assert application.in_use(unit)
        key = application.juju.charm_directory(unit) / 'key.pem'
        assert key.stat().st_mode & 0o777 == 0o600
        assert application.juju.status(unit) == ('active', 'ready')


def test_a_certificate_is_renewed_in_time_and_once(application):
    juju, first = application.juju, application.certificates()
    juju.config({'age': 80})           # of 90 days: less than a third is left
    juju.settle()
    assert application.certificates() == first
    juju.run('my-charm/0', 'sign-again')    # the action in Python
    juju.settle()
    due = application.certificates()
    assert not set(due.values()) & set(first.values())
    csr = juju.bag('my-charm/1')['csr']
    juju.config({'age': 100})
    application.pass_time()
    old = application.certificates()
    assert not set(old.values()) & set(due.values())
    assert juju.status('my-charm/1') == ('blocked', 'the certificate has expired')
    juju.config({'age': 0})
    juju.settle()
    new = application.certificates()
    assert not set(old.values()) & set(new.values())
    application.pass_time()
    assert application.certificates() == new
    assert juju.bag('my-charm/1')['csr'] == csr
    assert juju.status('my-charm/1') == ('active', 'ready')


def test_a_unit_whose_address_changed_asks_again(application):
    juju = application.juju
    juju.change_address('my-charm/1', '10.9.8.7')
    juju.settle()
    application.pass_time()
    certificate = x509.load_pem_x509_certificate(
        application.read('my-charm/1', 'certificate.pem').encode())
    assert '10.9.8.7' in names(certificate)
    before = dict(juju.bag('my-charm/1'))
    application.pass_time()
    assert juju.bag('my-charm/1') == before


def test_what_is_wrong_with_the_request_is_refused(application):
    juju, before = application.juju, application.certificates()
    key = application.read('my-charm/1', 'key.pem')
    juju.config({'bans': 'my-charm/1'})
    juju.run('my-charm/1', 'renew')
    application.pass_time()
    assert juju.status('my-charm/1') == ('blocked', 'CSR refused: my-charm/1 is banned')
    assert application.certificates() == before
    assert application.read('my-charm/1', 'key.pem') == key
    with pytest.raises(TaskError, match='not in use yet on my-charm/1'):
        juju.run('my-charm/0', 'new-ca')
    juju.config({'bans': ''})          # config-changed: the unit asks with another CSR
    application.pass_time()
    assert juju.status('my-charm/1') == ('active', 'ready')
    assert application.certificates()['my-charm/1'] != before['my-charm/1']
    assert application.read('my-charm/1', 'key.pem') != key
    assert application.all_trust_all()


def test_what_cannot_be_signed_now_waits(application):
    juju, before = application.juju, application.certificates()
    juju.config({'is-out-of-order': True})
    juju.run('my-charm/2', 'renew')         # the action by a shell file and a handler
    application.pass_time()
    assert juju.status('my-charm/0') == ('active', "waiting: ['my-charm/2']")
    assert 'cannot sign for my-charm/2: no answer' in juju.debug_log('ERROR')
    assert application.certificates() == before
    juju.config({'is-out-of-order': False})
    application.pass_time()
    assert juju.status('my-charm/0') == ('active', 'ready')
    assert application.certificates()['my-charm/2'] != before['my-charm/2']


def kept(juju):
    """What was ever in the secret with the CAs."""
    secret, = juju.double.model.secrets.values()
    return list(secret.revisions)


def expect_refusal(juju, unit, action, message):
    """The action fails with that message, and makes no CA."""
    before = kept(juju)
    # Behind the message comes what the hook wrote to stderr.
    with pytest.raises(TaskError, match='message: {}(\n|$)'.format(message)):
        juju.run(unit, action)
    assert kept(juju) == before


def test_the_ca_is_changed_without_a_gap_and_in_this_order_only(application):
    juju, old = application.juju, application.read('my-charm/1', 'ca.pem')
    expect_refusal(juju, 'my-charm/1', 'new-ca', 'my-charm/1 does not lead')
    seen = {str(application.files())}
    for step in STEPS:
        for other in set(STEPS) - {step}:
            expect_refusal(juju, 'my-charm/0', other, 'the next step is ' + step)
        juju.run('my-charm/0', step)
        if step == 'new-ca':
            expect_refusal(juju, 'my-charm/0', 'use-new-ca', 'not in use yet on ' + ' '.join(UNITS))
        while any(map(juju.double.next_hook, UNITS)):
            for unit in filter(juju.double.next_hook, UNITS):
                juju.run_hook(unit)
                if str(application.files()) not in seen:
                    seen.add(str(application.files()))
                    assert application.all_trust_all(), step
    assert len(seen) == 1 + 3 * len(UNITS)
    new = application.read('my-charm/1', 'ca.pem')
    assert new.count('BEGIN') == old.count('BEGIN') == 1 and new != old


def test_the_next_leader_signs_with_the_same_ca_or_not_at_all(application):
    juju, ca = application.juju, application.read('my-charm/1', 'ca.pem')
    juju.elect('my-charm/1')
    juju.settle()
    juju.run('my-charm/1', 'sign-again')
    juju.settle()
    old = application.certificates()
    assert application.read('my-charm/2', 'ca.pem') == ca and application.all_trust_all()
    juju.double.model.secrets.clear()
    juju.run('my-charm/1', 'sign-again')
    juju.settle()
    assert application.certificates() == old and not juju.double.model.secrets
    assert 'cannot sign for my-charm/2: no CA: ' in juju.debug_log('ERROR')
