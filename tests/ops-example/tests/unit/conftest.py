"""Units of the charm, and what a CA makes for them."""
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography import x509

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent.parent / 'src')]

# After the path (E402), by which they are found.
import pki  # noqa: E402
from charm_unit import Unit  # noqa: E402


@pytest.fixture
def unit(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return Unit()


@pytest.fixture(scope='session')
def ca():
    """(certificate, key)."""
    return pki.make_ca('a test')


@pytest.fixture(scope='session')
def sign(ca):
    """sign(csr, days): a chain for tls-example/1."""
    return lambda csr, days=90: pki.sign(csr, 'tls-example/1', ['10.0.0.1'], days, *ca) + ca[0]


@pytest.fixture
def served(unit, sign):
    """A unit with a certificate in use, as its first request's answer."""
    unit.run('relation_created')
    unit.put(unit.id, sign(unit.own['csr']))
    unit.run('relation_changed')
    return unit


@pytest.fixture
def leader(unit):
    """A unit that leads, and has served itself."""
    unit.leads = True
    unit.run('relation_created')
    unit.run()
    return unit


@pytest.fixture(scope='session')
def stranger():
    """A CSR of another unit."""
    return pki.make_request(pki.load_key(pki.make_key()), 'tls-example/2')


@pytest.fixture(scope='session')
def dated(ca, sign):
    """dated(csr, start, end): a chain that is valid from so many days from now to so many."""
    def chain(csr, start, end):
        model = pki.certificates(sign(csr))[0]
        builder = x509.CertificateBuilder(
            model.issuer, model.subject, model.public_key(), model.serial_number,
            pki.now() + timedelta(start), pki.now() + timedelta(end))
        for each in model.extensions:
            builder = builder.add_extension(each.value, each.critical)
        key = pki.load_key(ca[1])
        return pki.pem(builder.sign(key, pki.digest_for(key))) + ca[0]

    return chain


@pytest.fixture(scope='session')
def dated_ca():
    """dated_ca(days): certificate and key of a CA that ends in so many days."""
    def make(days):
        key = pki.make_key()
        model, public_key = pki.certificates(pki.make_ca('a test')[0])[0], pki.load_key(key)
        return pki.issue(model.subject, public_key.public_key(), model.subject, key,
                         pki.now() + timedelta(days), {x509.BasicConstraints(True, 0): True}), key

    return make
