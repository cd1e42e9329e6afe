"""What becomes of certificates: renewed, refused, for another address, of another CA."""
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from fakejuju.testing import TaskError

ROGUE = """

def request(unit):
    return {!r}
"""


@pytest.fixture
def three(juju, charm):
    """The names of three units that are served; the first leads."""
    units = juju.deploy(charm, num_units=3)
    juju.settle()
    return units


def pki(juju, unit, name):
    return juju.charm_directory(unit) / 'pki' / name


def certificate(juju, unit):
    return x509.load_pem_x509_certificate(pki(juju, unit, 'certificate.pem').read_bytes())


def trusted(juju, unit):
    """The CA certificates that the unit trusts."""
    return x509.load_pem_x509_certificates(pki(juju, unit, 'ca.pem').read_bytes())


def weak_request(unit):
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, unit)])
    return x509.CertificateSigningRequestBuilder(name).sign(
        rsa.generate_private_key(65537, 1024), hashes.SHA256()).public_bytes(Encoding.PEM).decode()


def test_certificates_are_for_the_units_keys_and_of_the_ca_that_all_trust(juju, three):
    ca, = trusted(juju, three[0])
    for unit in three:
        assert trusted(juju, unit) == [ca]
        certificate(juju, unit).verify_directly_issued_by(ca)
        key = load_pem_private_key(pki(juju, unit, 'key.pem').read_bytes(), None)
        assert certificate(juju, unit).public_key() == key.public_key()


def test_a_request_for_a_weak_key_is_refused_and_the_status_says_why(juju, three):
    rogue = three[2]
    with open(str(juju.charm_directory(rogue) / 'lib/pki_files.py'), 'a') as tampered:
        tampered.write(ROGUE.format(weak_request(rogue)))
    juju.update_status(rogue)
    juju.settle()
    assert juju.status(rogue).current == 'blocked' and '1024' in juju.status(rogue).message
    assert {juju.status(unit).current for unit in three[:2]} == {'active'}


def test_the_leader_leaves_and_the_others_keep_their_certificates(juju, three):
    before = [certificate(juju, unit) for unit in three[1:]]
    juju.remove_unit(three[0])
    juju.settle()
    assert [certificate(juju, unit) for unit in three[1:]] == before
    new, = juju.add_unit()
    juju.settle()
    assert trusted(juju, new) == trusted(juju, three[1])


def test_a_renewal(juju, three):
    before = certificate(juju, three[1])
    juju.run(three[1], 'renew')
    juju.settle()
    assert certificate(juju, three[1]) != before


def test_a_renewal_that_juju_does_not_commit_is_found_by_update_status(juju, three):
    before = certificate(juju, three[1])
    juju.fault('renew', uncommitted=True)
    with pytest.raises(TaskError):
        juju.run(three[1], 'renew')
    juju.update_status(three[1])
    juju.settle()
    assert certificate(juju, three[1]) != before


def test_another_address_brings_a_certificate_for_it(juju, three):
    juju.change_address(three[1], '10.0.0.9')
    juju.settle()
    juju.update_status(three[1])
    juju.settle()
    names = certificate(juju, three[1]).extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value
    assert [str(each) for each in names.get_values_for_type(x509.IPAddress)] == ['10.0.0.9']


def test_a_change_of_ca(juju, three):
    old, = trusted(juju, three[0])
    for action in 'new-ca', 'reissue', 'drop-old-ca':
        juju.run(juju.leader, action)
        juju.settle()
    new, = trusted(juju, three[0])
    assert new != old
    for unit in three:
        assert trusted(juju, unit) == [new]
        certificate(juju, unit).verify_directly_issued_by(new)
