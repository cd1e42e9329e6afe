"""The easy-rsa example, built by charm-build, as real processes."""
from itertools import permutations

import pytest

from charm_build import build
from deployed import parties, party, served
from fakejuju import Juju
from handshake import shake_hands
from openssl_command import openssl
from world import TESTS, request

pytestmark = [pytest.mark.openssl, pytest.mark.xdist_group('easyrsa')]


@pytest.fixture(scope='module')
def on_easyrsa(tmp_path_factory):
    return build(TESTS / 'example-easyrsa', tmp_path_factory.mktemp('easyrsa') / 'built')


def test_a_layer_on_easy_rsa_with_the_control_flow_of_layer_tls(on_easyrsa, tmp_path):
    with Juju(on_easyrsa, tmp_path / 'units', real=True) as juju:
        units = [juju.add_unit() for _ in range(3)]
        juju.elect(units[0])
        juju.settle()
        assert sorted(juju.app_bag()) == ['ca'] + [
            '{}_{}'.format(unit, what) for unit in units[1:]
            for what in ('csr_id', 'signed_certificate')]
        for unit in units[1:]:
            assert juju.app_bag()[unit + '_signed_certificate'].startswith('Certificate:\n')
        served(juju)
        for server, client in permutations(parties(juju), 2):
            assert shake_hands(server, client) == (
                client.name.replace('/', '-'), server.name.replace('/', '-'))


@pytest.mark.parametrize('address', [
    '10.0.0.1,DNS:tls-easyrsa-0', '::1%x\nbasicConstraints=CA:TRUE', 'fe80::1%eth0', 'a-name'])
def test_to_easy_rsa_a_peers_address_is_an_address_or_nothing(on_easyrsa, tmp_path, address):
    with Juju(on_easyrsa, tmp_path / 'units', real=True) as juju:
        for _ in range(2):
            juju.add_unit()
        juju.elect('tls-easyrsa/0')
        juju.settle(['tls-easyrsa/0'])
        while juju.next_hook('tls-easyrsa/1').name != 'start':
            juju.run('tls-easyrsa/1')
        juju.write('tls-easyrsa/1', **{'ingress-address': address})
        juju.settle()
        said = openssl('x509', '-noout', '-text',
                       '-in', str(party(juju, 'tls-easyrsa/1').certificate))
        assert 'DNS:tls-easyrsa-1' in said
        assert 'DNS:tls-easyrsa-0' not in said and 'CA:TRUE' not in said


def test_a_csr_that_easy_rsa_cannot_sign_is_refused_and_the_next_is_signed(on_easyrsa, tmp_path):
    with Juju(on_easyrsa, tmp_path / 'units', real=True) as juju:
        for _ in range(2):
            juju.add_unit()
        juju.elect('tls-easyrsa/0')
        juju.settle()
        good = juju.bag('tls-easyrsa/1')['csr']
        lines = good.split('\n')
        lines[-4] = lines[-4][::-1]    # of the signature
        other = openssl('req', '-new', '-newkey', 'rsa:2048', '-nodes', '-subj',
                        '/CN=tls-easyrsa-0', '-keyout', str(tmp_path / 'other'))
        for number, (csr, what) in enumerate([
                (request('junk'), 'refusal'), ('\n'.join(lines), 'refusal'), (other, 'refusal'),
                (good, 'signed_certificate')], start=2):
            juju.write('tls-easyrsa/1', csr=csr, csr_number=str(number))
            juju.settle()
            assert sorted(key for key in juju.app_bag() if key.startswith('tls-easyrsa/1')) == [
                'tls-easyrsa/1_' + kind for kind in ('csr_id', what)], number
