"""The recipe for signing with the openssl command, on the openssl at hand."""
import subprocess

import pytest

from openssl_command import forged, new_key, new_request, openssl
from sign_with_openssl import NotForUnit, sign

pytestmark = pytest.mark.openssl

P256 = 'ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:named_curve'
CA = ('-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign',
      '-addext', 'subjectKeyIdentifier=hash')
RSA = 'rsa', 'rsa_keygen_bits:2048'


@pytest.fixture(params=[P256, RSA, ('ed25519',)], ids=['P-256', 'RSA', 'Ed25519'])
def kind(request, tmp_path, monkeypatch):
    """The kind of all keys; a CA is in the working directory."""
    monkeypatch.chdir(tmp_path)
    key = new_key(*request.param)
    (tmp_path / 'ca.key').write_text(key)
    (tmp_path / 'ca.pem').write_text(new_request(
        key, '/CN=a CA', '-x509', '-days', '99', *CA))
    return request.param


def test_it_signs_under_the_names_that_it_is_given_and_no_other(kind):
    csr = new_request(new_key(*kind), '/CN=app-1', '-addext', 'subjectAltName=DNS:example.com',
                      '-addext', 'basicConstraints=CA:TRUE')
    for each in (csr, csr.replace('\n', '\r\n'),
                 csr.replace('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')):
        certificate = sign(each, 'app-1', '10.0.0.1')
        assert openssl('verify', '-x509_strict', '-CAfile', 'ca.pem',
                       text=certificate) == 'stdin: OK\n'
    said = openssl('x509', '-noout', '-text', text=certificate)
    assert 'DNS:app-1, IP Address:10.0.0.1\n' in said and 'CA:FALSE' in said
    assert 'example.com' not in said and 'CA:TRUE' not in said


def test_it_signs_nothing_that_is_forged_for_another_or_no_request(kind):
    csr = new_request(new_key(*kind), '/CN=app-1')
    with pytest.raises(NotForUnit):
        sign(csr, 'app-2', '10.0.0.1')
    for text in (forged(csr, 'app-1', 'app-2'), csr[:200], 'junk', ''):
        with pytest.raises(subprocess.CalledProcessError):
            sign(text, 'app-2', '10.0.0.1')
    with pytest.raises(ValueError):
        sign(csr, 'app-1', '10.0.0.1\nbasicConstraints = CA:TRUE')


def test_no_pass_phrase_is_asked_for(kind, tmp_path):
    (tmp_path / 'ca.key').write_text(
        openssl('pkey', '-aes256', '-passout', 'pass:secret', text=new_key(*kind)))
    with pytest.raises(subprocess.CalledProcessError):
        sign(new_request(new_key(*kind), '/CN=app-1'), 'app-1', '10.0.0.1')
