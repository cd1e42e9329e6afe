"""The CA of the easy-rsa example, by the easyrsa that is installed (or the first on the PATH)."""
import os
import re
import shutil
import signal
import time
from pathlib import Path

import pytest

from easyrsa_package import EASYRSA, load_pki
from openssl_command import REAL, command, new_key, new_request, openssl

INSTALLED = shutil.which('easyrsa') or EASYRSA.exists() and str(EASYRSA)

pytestmark = [
    pytest.mark.openssl, pytest.mark.xdist_group('easyrsa'),
    pytest.mark.skipif(not INSTALLED, reason='easy-rsa is not installed')]

P256 = 'ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:named_curve'
NAMES = ['DNS:app-1', 'IP:10.0.0.1']
DAY = 86400


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A directory with a CA, to copy from."""
    directory = tmp_path_factory.mktemp('made')
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.chdir(directory)
        load_pki(monkeypatch).authority.make('app-0 CA 1234')
    return directory


@pytest.fixture
def load(made, tmp_path, monkeypatch):
    """load(directory): the package, beside a CA, with that directory first on the PATH."""
    shutil.copytree(str(made / 'easy-rsa'), str(tmp_path / 'work/easy-rsa'), symlinks=True)
    monkeypatch.chdir(tmp_path / 'work')
    return lambda first=None: load_pki(monkeypatch, first)


@pytest.fixture(scope='module')
def request_1():
    return new_request(new_key(*P256))


def verified(chain, *options):
    """Whether openssl takes the chain's first certificate by its last."""
    certificate, ca = re.findall('-----BEGIN.*?END CERTIFICATE-----\n', chain, re.DOTALL)
    Path('ca').write_text(ca)
    return openssl('verify', '-CAfile', 'ca', *options, text=certificate) == 'stdin: OK\n'


def everything():
    """{file: content} below easy-rsa."""
    return {str(path): path.read_bytes() for path in Path('easy-rsa').rglob('*')
            if path.is_file()}


def test_it_signs_for_server_and_client_under_the_names_that_it_is_given(load, request_1):
    chain = load().authority.sign('app-1', request_1, NAMES)
    assert chain.startswith('Certificate:\n') and verified(chain)
    said = openssl('x509', '-noout', '-subject', '-issuer', '-nameopt', 'RFC2253', '-ext',
                   'subjectAltName,extendedKeyUsage,basicConstraints', text=chain)
    for text in ('subject=CN=app-1\n', 'issuer=CN=app-0 CA 1234\n', 'CA:FALSE',
                 'DNS:app-1, IP Address:10.0.0.1\n',
                 'TLS Web Server Authentication, TLS Web Client Authentication'):
        assert text in said


def test_those_who_go_by_the_letter_of_rfc_5280_accept_it(load, request_1):
    """As Python does from 3.13 on."""
    assert verified(load().authority.sign('app-1', request_1, NAMES), '-x509_strict')


def test_who_trusts_the_ca_of_before_takes_what_the_new_one_signs(load, request_1):
    pki = load()
    old = pki.authority.certificate()
    pki.authority.make('app-0 CA 5678', [old])
    shown, trusted = pki.x509.split(pki.authority.sign('app-1', request_1, NAMES))
    assert trusted == pki.authority.certificate() + old
    Path('old').write_text(old)
    Path('shown').write_text(shown)
    assert openssl('verify', '-x509_strict', '-CAfile', 'old', '-untrusted', 'shown',
                   text=shown) == 'stdin: OK\n'
    pki.authority.forget_previous()
    chain = pki.authority.sign('app-1', request_1, NAMES)
    assert verified(chain) and pki.x509.split(chain)[1] == pki.authority.certificate()


def test_a_ca_that_is_not_valid_is_not_trusted_beside_the_next(load, request_1):
    authority = load().authority
    replace_ca(authority, -10 * DAY, -60)
    authority.make('app-0 CA 5678', [authority.certificate()])
    assert authority.trusted() == authority.certificate()
    assert verified(authority.sign('app-1', request_1, NAMES))


def test_what_was_signed_is_on_record_and_can_be_revoked(load, request_1):
    authority = load().authority
    for _ in range(2):
        authority.sign('app-1', request_1, NAMES)
    authority.sign('app-2', new_request(new_key(*P256), '/CN=app-2'), NAMES)
    lines = [line.split('\t') for line in authority.INDEX.read_text().splitlines()]
    assert [(line[0], line[5]) for line in lines] == [
        ('V', '/CN=app-1'), ('V', '/CN=app-1'), ('V', '/CN=app-2')]
    assert {path.stem for path in (authority.PKI / 'certs_by_serial').iterdir()} == {
        line[3] for line in lines}
    authority.easyrsa(authority.PKI, 'revoke', 'app-1')
    authority.easyrsa(authority.PKI, 'gen-crl')
    crl = openssl('crl', '-noout', '-text', '-in', str(authority.PKI / 'crl.pem'))
    assert lines[1][3] in crl and lines[0][3] not in crl


def test_nothing_in_a_request_but_its_subject_and_key_is_taken(load):
    request = new_request(new_key(*P256), '/CN=app-1', '-addext', 'basicConstraints=CA:TRUE',
                          '-addext', 'subjectAltName=DNS:www.example.com')
    said = openssl('x509', '-noout', '-text', text=load().authority.sign('app-1', request, NAMES))
    assert 'www.example.com' not in said and 'CA:TRUE' not in said


def replace_ca(authority, start, end):
    """Have the CA's certificate last from and to so many seconds from now."""
    files = {'index': '', 'serial': '01\n', 'config': '[ca]\ndefault_ca = files\n[files]\n'
             'database = index\nserial = serial\nnew_certs_dir = .\ndefault_md = sha256\n'
             'policy = names\n[names]\ncommonName = supplied\n[ext]\n'
             'basicConstraints = critical,CA:TRUE\nsubjectKeyIdentifier = hash\n'}
    for name, text in files.items():
        Path(name).write_text(text)
    key = authority.KEY.read_text()
    Path('csr').write_text(new_request(key, '/CN=app-0 CA 1234'))
    authority.CERTIFICATE.write_text(openssl(
        'ca', '-selfsign', '-batch', '-notext', '-config', 'config', '-extensions', 'ext',
        '-in', 'csr', '-keyfile', str(authority.KEY),
        '-startdate', moment(start), '-enddate', moment(end)))


def moment(seconds):
    return time.strftime('%Y%m%d%H%M%SZ', time.gmtime(time.time() + seconds))


@pytest.mark.parametrize('days, lasts', [(3650, 90), (91, 90), (10, 9.9), (1.1, 1)])
def test_no_certificate_outlives_its_ca(load, request_1, days, lasts):
    pki = load()
    replace_ca(pki.authority, -60, days * DAY)
    start, end = pki.x509.dates(pki.authority.sign('app-1', request_1, NAMES))
    assert abs(end - start - int(lasts) * DAY) < 60
    assert end <= pki.x509.dates(pki.authority.certificate())[1]


@pytest.mark.parametrize('start, end', [(-10 * DAY, -60), (60, 10 * DAY), (-60, DAY / 2)])
def test_a_ca_that_is_not_valid_or_about_to_end_signs_nothing(load, request_1, start, end):
    pki = load()
    replace_ca(pki.authority, start, end)
    with pytest.raises(pki.command.Failure, match='^the CA (is valid from|ends within a day)'):
        pki.authority.sign('app-1', request_1, NAMES)


KILL = 'kill -9 -$(ps -o pgid= $$ | tr -d " ")'
FULL = 'ulimit -f 1; trap "" XFSZ; exec {} "$@"'.format(INSTALLED)
# In place of easyrsa, where `$*` matches the pattern.
FAULTS = {
    'killed': KILL, 'fails': 'exit 1', 'does nothing': 'exit 0', 'no room on the disk': FULL,
    'leaves half a certificate': 'echo junk > $EASYRSA_PKI/issued/app-1.crt; exit 0',
    'leaves a lock': 'echo > $EASYRSA_PKI/lock.file; exit 17',
    'cuts its index': '{} "$@"; echo V > $EASYRSA_PKI/index.txt; exit 0'.format(INSTALLED)}


def faulty(directory, pattern, fault):
    """An easyrsa that does that wrong."""
    return command(directory, 'easyrsa', 'case "$*" in *{}*) {};; esac\nexec {} "$@"\n'.format(
        pattern, fault, INSTALLED))


@pytest.mark.parametrize('fault', FAULTS)
def test_a_signing_that_failed_leaves_nothing_behind(load, request_1, fault, tmp_path):
    pki = load(faulty(tmp_path / 'bin', 'sign-req', FAULTS[fault]))
    before = everything()
    with pytest.raises((pki.command.Failure, OSError)):
        pki.authority.sign('app-1', request_1, NAMES)
    assert everything() == before
    (tmp_path / 'bin/easyrsa').unlink()
    assert verified(pki.authority.sign('app-1', request_1, NAMES))
    assert pki.authority.INDEX.read_text().count('\n') == 1


def test_a_hook_killed_at_any_command_stops_no_later_signing(load, request_1, tmp_path):
    calls, hook, killed = tmp_path / 'calls', tmp_path / 'hook', signal.SIGKILL
    number = 0
    while killed:
        number += 1
        calls.write_text('')
        pki = load(command(tmp_path / 'bin', 'openssl', """
            echo >> {calls}
            [ $(wc -l < {calls}) = {number} ] && kill -9 $(cat {hook}) && {kill}
            exec {real} "$@"
            """.format(calls=calls, number=number, hook=hook, kill=KILL, real=REAL)))
        pid = os.fork()
        if not pid:
            try:
                hook.write_text(str(os.getpid()))
                pki.authority.sign('app-1', request_1, NAMES)
                os._exit(0)
            finally:  # this process is no test run
                os._exit(1)
        killed = os.waitpid(pid, 0)[1]
        assert killed in (0, signal.SIGKILL)
        (tmp_path / 'bin/openssl').unlink()
        assert verified(pki.authority.sign('app-1', request_1, NAMES))
    assert number > 5
    assert len(list(Path('easy-rsa').glob('.pki-*'))) == 1


@pytest.mark.parametrize('step', ['init-pki', 'build-ca'])
@pytest.mark.parametrize('fault', ['killed', 'fails', 'does nothing', 'no room on the disk'])
def test_a_ca_that_could_not_be_made_leaves_the_old_one(load, request_1, step, fault, tmp_path):
    pki = load(faulty(tmp_path / 'bin', step, FAULTS[fault]))
    before = everything()
    with pytest.raises((pki.command.Failure, OSError)):
        pki.authority.make('app-0 CA 5678')
    assert everything() == before
    (tmp_path / 'bin/easyrsa').unlink()
    pki.authority.make('app-0 CA 5678')
    assert pki.x509.common_name(pki.authority.certificate()) == 'CN=app-0 CA 5678'
    assert verified(pki.authority.sign('app-1', request_1, NAMES))
    assert len(list(Path('easy-rsa').glob('.pki-*'))) == 1


def test_a_ca_of_an_earlier_version_of_the_layer_is_kept_and_can_be_replaced(load, request_1):
    pki = load()
    shutil.copytree('easy-rsa/pki', 'copy')  # a directory, no link
    shutil.rmtree('easy-rsa')
    Path('easy-rsa').mkdir()
    shutil.move('copy', 'easy-rsa/pki')
    assert verified(pki.authority.sign('app-1', request_1, NAMES))
    pki.authority.make('app-0 CA 5678')
    assert verified(pki.authority.sign('app-1', request_1, NAMES))
    assert sorted(path.name[:5] for path in Path('easy-rsa').iterdir()) == ['.pki-', 'pki']


@pytest.mark.parametrize('text', [None, '', 'junk', '-----BEGIN CERTIFICATE-----\nAAAA\n'])
def test_a_certificate_of_the_ca_that_is_lost_is_put_back(load, request_1, text):
    authority = load().authority
    known = authority.certificate()
    authority.CERTIFICATE.unlink()
    if text is not None:
        authority.CERTIFICATE.write_text(text)
    assert authority.certificate() is None
    assert authority.restore(known) and authority.certificate() == known
    assert verified(authority.sign('app-1', request_1, NAMES))


def test_a_certificate_of_another_ca_is_not_put_in_its_place(load, tmp_path, monkeypatch):
    authority = load().authority
    known = authority.certificate()
    authority.make('app-0 CA 5678')
    assert not authority.restore(known) and authority.certificate() != known
    authority.KEY.write_text('')
    assert authority.certificate() is None and not authority.restore(known)


def test_only_root_reads_the_key_of_the_ca(load, request_1):
    authority = load().authority
    authority.sign('app-1', request_1, NAMES)
    assert authority.KEY.stat().st_mode & 0o77 == 0
    assert [path for path in Path('.').rglob('*') if path.is_file() and not path.is_symlink()
            and b'PRIVATE KEY' in path.read_bytes()] == [authority.KEY.resolve().relative_to(
                Path('.').resolve())]
