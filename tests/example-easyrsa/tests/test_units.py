"""Units of this charm on a double of Juju: `pip install` fakejuju, then `pytest tests`."""
import subprocess


def files(juju, unit):
    return juju.charm_directory(unit) / 'pki'


def test_each_unit_has_a_certificate_of_the_ca_that_all_trust(juju, charm):
    juju.deploy(charm, num_units=3)
    juju.settle()
    cas = {(files(juju, unit) / 'ca.pem').read_text() for unit in juju.units()}
    assert len(cas) == 1
    for unit in juju.units():
        assert juju.status(unit).current == 'active'
        subprocess.run(['openssl', 'verify', '-CAfile', 'ca.pem', 'certificate.pem'], check=True,
                       cwd=str(files(juju, unit)))


def test_a_request_for_another_units_name_is_refused_and_the_others_are_served(juju, charm):
    leader, rogue, third = juju.deploy(charm, num_units=3)
    with open(str(juju.charm_directory(rogue) / 'reactive/tls_easyrsa.py'), 'a') as tampered:
        tampered.write('\n\ndef name_of(*_):\n    return "tls-easyrsa-0"\n')
    juju.settle()
    assert juju.app_bag()[rogue + '_refusal'] == 'its subject is not CN=tls-easyrsa-1'
    assert juju.status(rogue).current == 'blocked'
    assert {juju.status(unit).current for unit in (leader, third)} == {'active'}


def test_a_new_ca_takes_the_place_of_the_old_one(juju, charm):
    leader, other = juju.deploy(charm, num_units=2)
    juju.settle()
    old = (files(juju, other) / 'ca.pem').read_text()
    assert juju.run(leader, 'new-ca').results['ca'].startswith('CN=tls-easyrsa-0 CA ')
    juju.settle()
    assert (files(juju, other) / 'ca.pem').read_text().endswith(old)  # trusted beside the new one
    assert juju.run(leader, 'drop-old-ca').success
    juju.settle()
    juju.update_status()
    new, = {(files(juju, unit) / 'ca.pem').read_text() for unit in juju.units()}
    assert new.count('BEGIN') == 1 and new != old
