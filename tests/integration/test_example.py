"""The example charm on a Juju, driven by jubilant: whichever `juju` is first on the PATH.

CHARM is the path of the charm file. JUJU_MACHINES names machines, for a cloud that makes none: they
are added first, and each unit is placed on one. Nothing here knows which Juju it is.
"""
import os
import re
import secrets
from pathlib import Path

import jubilant
import pytest

APP = 'tls-example'

CHARM = Path(os.environ.get('CHARM', 'tls-example.charm')).absolute()

CHECK = '''set -e
openssl verify -CAfile pki/ca.pem pki/certificate.pem
openssl x509 -noout -pubkey -in pki/certificate.pem > /tmp/$$.pem
openssl pkey -in pki/key.pem -pubout | cmp - /tmp/$$.pem
rm /tmp/$$.pem
openssl x509 -noout -serial -subject -in pki/certificate.pem
openssl x509 -noout -fingerprint -in pki/ca.pem
'''


@pytest.fixture(scope='module')
def juju():
    juju = jubilant.Juju(wait_timeout=1200)
    juju.add_model('tls-' + secrets.token_hex(4))
    yield juju
    juju.destroy_model(juju.model, destroy_storage=True)


@pytest.fixture(scope='module')
def to(juju):
    """to(units): the machines for that many, as deploy and add_unit take them; None if Juju makes
    them. None is used twice: a unit that is removed takes its machine with it."""
    named = os.environ.get('JUJU_MACHINES', '').split()
    for machine in named:
        juju.cli('add-machine', machine)
    free = sorted(juju.status().machines, key=int)

    def machines(units):
        if not named:
            return None
        assert len(free) >= units, 'JUJU_MACHINES names {} machines, which are too few'.format(
            len(named))
        return [free.pop(0) for _ in range(units)]

    return machines


@pytest.fixture(scope='module')
def deployed(juju, to):
    juju.deploy(CHARM, APP, num_units=3, to=to(3))
    rest(juju, 3)
    return juju


def rest(juju, units):
    """Wait until there are so many units, all active, and nothing goes on."""
    def ready(status):
        return APP in status.apps and len(status.apps[APP].units) == units \
            and jubilant.all_active(status, APP) and jubilant.all_agents_idle(status, APP)
    return juju.wait(ready, error=jubilant.any_error, delay=0.5).apps[APP]


def check(juju):
    """{unit: serial number} of certificates that fit their keys and the one CA."""
    serials, authorities = {}, set()
    for unit in juju.status().apps[APP].units:
        found = juju.exec(CHECK, unit=unit).stdout
        assert 'pki/certificate.pem: OK' in found
        assert re.search('CN ?= ?{}$'.format(unit), found, re.MULTILINE)
        serials[unit] = re.search('serial=(.*)', found).group(1)
        authorities.add(re.search('Fingerprint=(.*)', found, re.IGNORECASE).group(1))
    assert len(authorities) == 1 and len(set(serials.values())) == len(serials)
    return serials


def leader(juju):
    name, = [name for name, unit in juju.status().apps[APP].units.items() if unit.leader]
    return name


def test_this_is_a_juju_that_has_what_the_example_needs(juju):
    assert juju.version().tuple >= (3, 0, 0)


def test_three_units_have_certificates_for_their_keys(deployed):
    assert len(check(deployed)) == 3


def test_units_that_are_added_are_served_and_nobody_else_changes(deployed, to):
    before = check(deployed)
    deployed.add_unit(APP, num_units=2, to=to(2))
    rest(deployed, 5)
    after = check(deployed)
    assert len(after) == 5
    assert {unit: after[unit] for unit in before} == before


def test_the_leader_is_removed_and_the_next_one_signs(deployed, to):
    before, gone = check(deployed), leader(deployed)
    deployed.remove_unit(gone)
    rest(deployed, 4)
    after = check(deployed)
    del before[gone]
    assert after == before
    deployed.add_unit(APP, to=to(1))
    rest(deployed, 5)
    assert len(check(deployed)) == 5


def test_a_renewal_by_action_changes_that_certificate_only(deployed):
    before = check(deployed)
    unit = sorted(before)[0]
    assert deployed.run(unit, 'renew').success
    deployed.wait(lambda status: check(deployed)[unit] != before[unit], delay=0.5, successes=1)
    rest(deployed, 5)
    after = check(deployed)
    assert [name for name in before if before[name] != after[name]] == [unit]


def test_an_action_that_does_not_exist_is_refused(deployed):
    with pytest.raises((jubilant.CLIError, ValueError)):
        deployed.run(APP + '/leader', 'nonsense')


def test_a_configuration_is_set_read_and_reset(deployed):
    deployed.config(APP, {'certificate-days': 30})
    assert deployed.config(APP)['certificate-days'] == 30
    deployed.config(APP, reset='certificate-days')
    assert deployed.config(APP)['certificate-days'] == 90
    rest(deployed, 5)


def test_a_refresh_keeps_keys_and_certificates(deployed):
    before, revision = check(deployed), deployed.status().apps[APP].charm_rev
    deployed.refresh(APP, path=CHARM)
    assert rest(deployed, 5).charm_rev == revision + 1
    assert check(deployed) == before


def test_the_application_is_removed(deployed):
    deployed.remove_application(APP)
    deployed.wait(lambda status: APP not in status.apps, delay=0.5)
