"""The example deployed: what its units have on their disks."""
from fakejuju import Juju
from handshake import Party, openssl


def party(juju, unit):
    pki = juju.unit_directory(unit) / 'charm/pki'
    return Party(unit, pki / 'key.pem', pki / 'certificate.pem', pki / 'ca.pem',
                 juju.model.address(unit))


def parties(juju):
    return [party(juju, unit) for unit in juju.units()]


def served(juju):
    """Every unit is active, with a certificate of the CA that all trust."""
    assert {juju.status(unit)[0] for unit in juju.units()} == {'active'}
    assert len({each.ca.read_text() for each in parties(juju)}) == 1
    for each in parties(juju):
        openssl('verify', '-CAfile', str(each.ca), str(each.certificate))


def deploy(built, directory, units, **knobs):
    juju = Juju(built, directory, real=True, **knobs)
    for _ in range(units):
        juju.add_unit()
    juju.elect('tls-example/0')
    juju.settle()
    return juju


def renew(juju, unit):
    """Run the action; the certificate before."""
    before = party(juju, unit).certificate.read_text()
    juju.action(unit, 'renew')
    juju.settle()
    return before
