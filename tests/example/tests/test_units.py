"""Units of this charm on a double of Juju: `pip install` fakejuju, then `pytest`."""


def test_each_unit_gets_a_certificate(juju, charm):
    juju.deploy(charm, num_units=3)
    juju.settle()
    for unit in juju.units():
        juju.update_status(unit)  # in which many charms set their status
        juju.settle()
        assert juju.status(unit).current == 'active'
        assert juju.unitdata(unit)['tls.server.certificate']


def test_the_next_leader_serves_a_new_unit(juju, charm):
    first, second = juju.deploy(charm, num_units=2)
    juju.settle()
    juju.remove_unit(first)
    third, = juju.add_unit()
    juju.settle()
    assert juju.leader == second
    assert juju.unitdata(third)['tls.server.certificate']
