"""The example's keys, requests and certificates, without Juju."""
import importlib.util
import ssl
import time

import pytest

from world import TESTS

pytestmark = pytest.mark.once

# Juju's rule for names (juju/names) has no limit, but an agent's log is a file with the name
# unit-APP-N.log, and a file system gives that 255 bytes.
LONGEST = 255 - len('unit-' + '-0' + '.log')


@pytest.fixture
def pki(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    spec = importlib.util.spec_from_file_location('pki', str(TESTS / 'example/lib/pki.py'))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def applications(length):
    """Some names of that length that differ at the end."""
    return ['a' * (length - 1) + last for last in 'abc']


def test_names_of_every_length_fit_and_differ(pki):
    units = ['{}/{}'.format(app, number) for length in range(1, LONGEST + 1)
             for app in applications(length) for number in (0, 7, 12345)]
    for name_of, most, separator in ((pki.common_name, 64, '/'), (pki.host_name, 63, '-')):
        names = {unit: name_of(unit) for unit in units}
        assert len(set(names.values())) == len(units)
        for unit, name in names.items():
            full = unit.replace('/', separator)
            assert name == full if len(full) <= most else len(name) == most
            number = separator + unit.split('/')[1]
            assert name.endswith(number) and full.startswith(name[:most - 9 - len(number)])


@pytest.mark.parametrize('length', [1, 52, 53, 61, 62, LONGEST])
def test_openssl_signs_for_names_of_that_length(pki, length):
    app = applications(length)[0]
    unit = app + '/0'
    ca, key = pki.make_ca(app)
    names = ['DNS:' + pki.host_name(unit), 'URI:juju:' + unit]
    certificate = pki.sign(pki.request(unit), unit, names, 90, ca, key)
    pki.install(certificate + ca)
    assert pki.shown(certificate, 'subject')['subject'] == 'CN=' + pki.common_name(unit)
    assert pki.shown(ca, 'subject')['subject'].startswith('CN=' + app[:43])
    said = pki.openssl('x509', '-noout', '-ext', 'subjectAltName', text=certificate)[0]
    assert 'DNS:{}, URI:juju:{}\n'.format(pki.host_name(unit), unit) in said
    # What openssl prints of a name is escaped; what it asks of a host is not.
    assert pki.is_signed_by(certificate, ca, '-verify_hostname', pki.host_name(unit))


def test_a_certificate_is_valid_since_an_hour_before_it_was_signed(pki):
    before = time.time()
    ca, key = pki.make_ca('app')
    certificate = pki.sign(pki.request('app/0'), 'app/0', ['DNS:app-0'], 90, ca, key)
    for text, days in ((ca, 3650), (certificate, 90)):
        dates = pki.shown(text, 'startdate', 'enddate')
        start, end = (ssl.cert_time_to_seconds(dates[name]) for name in ('notBefore', 'notAfter'))
        assert before - 3601 <= start <= time.time() - 3600
        assert before - 1 <= end - days * 86400 <= time.time()


@pytest.mark.parametrize('address, other', [('127.0.0.1', '127.0.0.2'), ('fe80::1', 'fe80::2')])
def test_a_certificate_is_for_the_addresses_in_it(pki, address, other):
    ca, key = pki.make_ca('app')
    names = ['DNS:app-0', 'IP:' + address]
    chain = pki.sign(pki.request('app/0'), 'app/0', names, 90, ca, key) + ca
    assert pki.is_for(chain, address)
    assert not pki.is_for(chain, other)


def test_a_certificate_that_has_ended_is_untimely_and_still_its_cas(pki):
    ca, key = pki.make_ca('app')
    certificate = pki.sign(pki.request('app/0'), 'app/0', ['DNS:app-0'], 0, ca, key)
    time.sleep(1.1)
    end = pki.shown(certificate, 'enddate')['notAfter']
    assert pki.untimely(certificate + ca).startswith(
        "not valid after {}, this unit's clock says ".format(end))
    assert pki.untimely(ca) is None
    assert pki.is_signed_by(certificate, ca)
    assert pki.ends_within(certificate + ca, 0) and not pki.ends_within(ca, 0)


@pytest.mark.parametrize('text, address', [
    ('10.0.0.1', '10.0.0.1'), ('FE80::1', 'fe80::1'), ('a-name', None), ('', None), (None, None),
    ('fe80::1%eth0', None), ('::1%x\nbasicConstraints = CA:true', None), ('::1%,DNS:b-0', None),
    ('10.0.0.1\n', None), ('10.0.0.1,DNS:b-0', None)])
def test_an_address_is_one_without_a_scope(pki, text, address):
    assert pki.ip_address(text) == address


@pytest.mark.parametrize('name', [
    'IP:::1%x\nbasicConstraints = CA:true', 'IP:fe80::1%eth0', 'IP:::1,DNS:b-0', 'DNS:b 0', 'DNS:é',
    'IP:$HOME', 'DNS:a\\', 'DNS:a\0', 'DNS:a\n', 'DNS:a;b', 'DNS:[a]', 'DNS:a#', 'IP:a', ''])
def test_it_signs_for_no_name_that_openssl_would_take_for_more(pki, name):
    ca, key = pki.make_ca('app')
    with pytest.raises(pki.Fault) as raised:
        pki.sign(pki.request('app/0'), 'app/0', ['DNS:app-0', name], 90, ca, key)
    assert 0 < len(str(raised.value)) <= 500 and '\0' not in str(raised.value)
    with pytest.raises(pki.Fault, match='is no name for a certificate'):
        pki.sign(pki.request('app/0'), 'app/0\n', ['DNS:app-0'], 90, ca, key)


def test_the_lifetime_is_within_bounds_that_openssl_can_sign_for(pki):
    assert [pki.lifetime(days) for days in (-1, 0, 1, 90, 3650, 3651, 10**12)] == [
        1, 1, 1, 90, 3650, 3650, 3650]
    ca, key = pki.make_ca('app')
    for days in (1, 3650):
        pki.install(pki.sign(pki.request('app/0'), 'app/0', ['DNS:app-0'], days, ca, key) + ca)


@pytest.mark.parametrize('kind, objection', [
    (['rsa', 'rsa_keygen_bits:2048'], None),
    (['rsa', 'rsa_keygen_bits:1024'], 'its key has 1024 bits, fewer than 2048'),
    (['rsa-pss', 'rsa_keygen_bits:2048'], None),
    (['ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:named_curve'], None),
    (['ec', 'ec_paramgen_curve:secp224r1', 'ec_param_enc:named_curve'], None),
    (['ec', 'ec_paramgen_curve:prime192v1', 'ec_param_enc:named_curve'],
     'its key has 192 bits, fewer than 224'),
    (['ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:explicit'], 'its key is not one of'),
    (['ed25519'], None), (['ed448'], None),
    (['dsa'], 'its key is not one of')])
def test_a_key_of_another_kind_or_too_few_bits_is_refused(pki, kind, objection):
    algorithm, *options = kind
    options = [word for option in options for word in ('-pkeyopt', option)]
    if algorithm == 'dsa':
        pki.HOME.mkdir()
        pki.openssl('dsaparam', '-out', 'parameters', '1024')
        arguments = ['-paramfile', 'parameters']
    else:
        arguments = ['-algorithm', algorithm] + options
    pki.write(pki.KEY, pki.openssl('genpkey', *arguments)[0])
    said = pki.objection(pki.request('app/0'))
    assert said is None and objection is None or said.startswith(objection)
    ca, key = pki.make_ca('app')
    if objection:
        with pytest.raises(pki.Fault, match='its key '):
            pki.sign(pki.request('app/0'), 'app/0', ['DNS:app-0'], 90, ca, key)
    else:
        pki.install(pki.sign(pki.request('app/0'), 'app/0', ['DNS:app-0'], 90, ca, key) + ca)


def test_what_is_no_chain_for_this_unit_is_unfit(pki):
    ca, key = pki.make_ca('app')
    good = pki.sign(pki.request('app/0'), 'app/0', ['DNS:app-0'], 90, ca, key)
    block = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
    assert pki.unfit(good + ca) is None
    for chain, told in [
            (good, 'signed by none'), (good + pki.make_ca('app')[0], 'signed by none'),
            (ca + ca, 'not for the key'), ('', 'of no use: '), ('x', 'of no use: '),
            (block + ca, 'of no use: '), (block + good + ca, 'of no use: '), (key, 'of no use: ')]:
        assert pki.unfit(chain).startswith(told)
        with pytest.raises(pki.Fault):
            pki.install(chain)
    assert not pki.CERTIFICATE.exists() and pki.standing() is None


@pytest.mark.parametrize('text', [None, '', 'x', '-----BEGIN CERTIFICATE-----\nAA', '\udcff'])
@pytest.mark.parametrize('file', ['certificate.pem', 'ca.pem'])
def test_what_stands_in_the_files_fails_nothing(pki, file, text):
    ca, key = pki.make_ca('app')
    chain = pki.sign(pki.request('app/0'), 'app/0', ['DNS:app-0'], 90, ca, key) + ca
    pki.install(chain)
    assert pki.is_in_use(chain) and pki.standing()
    if text is None:
        (pki.HOME / file).unlink()
    else:
        (pki.HOME / file).write_bytes(text.encode(errors='surrogateescape'))
    assert not pki.is_in_use(chain) and pki.standing() is None
    pki.install(chain)
    assert pki.is_in_use(chain)
