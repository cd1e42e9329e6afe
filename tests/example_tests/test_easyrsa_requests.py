"""Which requests the easy-rsa example signs, and what it makes of an openssl that does not work."""
import os
import pty
import shutil
import signal
import subprocess
import sys
import time

import pytest

from easyrsa_package import load_pki
from openssl_command import (REAL, VERSIONS, as_version, command, forged, new_key, new_request,
                             openssl, pem, request_of_exponent_one, rsa_public_key)
from world import TESTS

pytestmark = [
    pytest.mark.openssl, pytest.mark.xdist_group('easyrsa'),
    pytest.mark.skipif(not REAL, reason='the openssl command is not installed')]

P256 = 'ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:named_curve'
KINDS = 'its key is none of RSA, P-256, P-384, P-521, Ed25519 and Ed448'
UNREADABLE = 'it cannot be read, or is not signed with its own key'
SUBJECT = 'its subject is not CN=app-1'


@pytest.fixture
def load(tmp_path, monkeypatch):
    """load(directory): the example's package `pki`, with that directory first on the PATH."""
    monkeypatch.chdir(tmp_path)
    return lambda first=None: load_pki(monkeypatch, first)


@pytest.fixture(scope='module')
def good():
    return new_request(new_key(*P256))


@pytest.mark.parametrize('kind, objection', [
    (['rsa', 'rsa_keygen_bits:2048'], None),
    (['rsa', 'rsa_keygen_bits:1024'], 'its key has 1024 bits, fewer than 2048'),
    (['rsa', 'rsa_keygen_bits:512'], 'its key has 512 bits, fewer than 2048'),
    (['rsa', 'rsa_keygen_bits:2048', 'rsa_keygen_pubexp:3'],
     'the exponent of its key is even, or less than 65537'),
    (['rsa', 'rsa_keygen_bits:2048', 'rsa_keygen_pubexp:0x10000000000000015'], None),
    (['rsa-pss', 'rsa_keygen_bits:2048'], None),
    (P256, None),
    (['ec', 'ec_paramgen_curve:P-384', 'ec_param_enc:named_curve'], None),
    (['ec', 'ec_paramgen_curve:P-521', 'ec_param_enc:named_curve'], None),
    (['ec', 'ec_paramgen_curve:secp224r1', 'ec_param_enc:named_curve'], KINDS),
    (['ec', 'ec_paramgen_curve:secp256k1', 'ec_param_enc:named_curve'], KINDS),
    (['ec', 'ec_paramgen_curve:brainpoolP256r1', 'ec_param_enc:named_curve'], KINDS),
    (['ec', 'ec_paramgen_curve:P-256', 'ec_param_enc:explicit'], KINDS),
    (['ed25519'], None), (['ed448'], None), (['dsa'], KINDS)])
def test_a_key_is_of_a_kind_and_strength_on_the_list(load, kind, objection):
    assert load().csr.objection(new_request(new_key(*kind)), 'app-1') == objection


def test_a_key_of_which_everybody_knows_the_private_half_is_refused(load):
    request = request_of_exponent_one('app-1')
    assert 'verify OK' in openssl_says(request)
    assert load().csr.objection(request, 'app-1') == \
        'the exponent of its key is even, or less than 65537'


def openssl_says(request):
    """Both streams of `req -verify`."""
    return subprocess.run([REAL, 'req', '-verify', '-noout'], input=request, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          universal_newlines=True).stdout


@pytest.mark.parametrize('exponent, fit', [
    (0, False), (1, False), (3, False), (65536, False), (65537, True), (65538, False),
    (65539, True), (2**32 + 1, True), (2**32, False), (2**64 + 1, True), (2**64, False),
    (2**255 + 1, True), (2**255, False)])
def test_an_exponent_is_odd_and_large_enough(load, exponent, fit):
    key = pem('PUBLIC KEY', rsa_public_key(2**2047 + 1, exponent))
    said = openssl('pkey', '-pubin', '-noout', '-text', text=key)
    assert (load().csr.weakness(said) is None) == fit


@pytest.mark.parametrize('subject', [
    '/CN=app-2', '/CN=app-11', '/CN=app-1/CN=app-2', '/O=app/CN=app-1', '/CN=app-1/O=app', '/O=app',
    '/CN= app-1', '/CN=APP-1', '/CN=verify OK', '/CN=app-1+O=app', '/CN=$(touch ran)', '/'])
def test_the_subject_is_the_units_and_nothing_else(load, subject):
    request = new_request(new_key(*P256), subject, '-multivalue-rdn', '-utf8')
    assert load().csr.objection(request, 'app-1') == SUBJECT


@pytest.mark.parametrize('name', ['app-1\0', '\0app-1', 'app-1\nsubject=CN=app-1', 'app-1\r',
                                  'x\nverify OK\nsubject=CN=app-1\n', 'app-1\u200b'])
def test_a_subject_does_not_pass_for_another_in_what_openssl_prints(load, name):
    assert load().csr.objection(request_of_exponent_one(name), 'app-1') == SUBJECT


@pytest.mark.parametrize('change', [
    lambda text: text.replace('\n', '\r\n'),
    lambda text: '\ufeff' + text,
    lambda text: 'Certificate Request:\n    Data:\n' + text + 'and more\n',
    lambda text: text.replace('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST'),
    lambda text: text.replace('\n', ' \t\n'),
    lambda text: text + new_request(new_key(*P256), '/CN=app-2')])
def test_a_request_is_read_whatever_stands_around_it(load, good, change):
    assert load().csr.objection(change(good), 'app-1') is None
    assert load().csr.block(change(good)) == good


def test_of_two_requests_the_first_is_judged_and_signed(load, good):
    other = new_request(new_key(*P256), '/CN=app-2')
    assert load().csr.objection(other + good, 'app-1') == SUBJECT
    assert load().csr.block(other + good) == other


@pytest.mark.parametrize('text', [
    '', 'junk', pem('CERTIFICATE REQUEST', b'junk'), pem('CERTIFICATE REQUEST', b'\x30\x80\0\0'),
    pem('CERTIFICATE', b'junk'), '-----BEGIN CERTIFICATE REQUEST-----\n!\n'
    '-----END CERTIFICATE REQUEST-----', '\udcff', '\0'])
def test_what_is_no_request_is_refused(load, text):
    assert load().csr.objection(text, 'app-1') == UNREADABLE


@pytest.mark.parametrize('version', [None, *VERSIONS])
def test_each_version_of_openssl_is_understood(load, good, version, tmp_path):
    csr = load(version and as_version(tmp_path / 'bin', version)).csr
    assert csr.objection(good, 'app-1') is None
    assert csr.objection(forged(good, 'app-1', 'app-2'), 'app-2') == UNREADABLE
    assert csr.objection(forged(new_request(new_key(*P256), '/CN=verify OK'), 'verify OK',
                                'app-1/abc'), 'app-1') == UNREADABLE
    weak = new_request(new_key('rsa', 'rsa_keygen_bits:1024'))
    assert csr.objection(weak, 'app-1') == 'its key has 1024 bits, fewer than 2048'
    assert csr.objection(good, 'app-2') == 'its subject is not CN=app-2'


# Each stands in for openssl; the real one is {real}, and {count} counts the calls so far.
BROKEN = {
    'killed': 'kill -9 $$',
    'fails': 'echo trouble >&2; exit 1',
    'says nothing': 'exit 0',
    'says nonsense': 'echo "verify OK"; echo "subject=CN=app-1"; exit 0',
    'no library': 'exit 127',
    'fails in every second step': '[ $(({count} % 2)) = 1 ] || exit 1; exec {real} "$@"',
    'cannot read the key': 'case "$*" in pkey*) exit 1;; esac; exec {real} "$@"'}


@pytest.mark.parametrize('how', BROKEN)
def test_an_openssl_that_does_not_work_is_no_objection(load, good, how, tmp_path):
    """Also where the request is bad: nobody knows."""
    count = '$(echo >> {0}; wc -l < {0})'.format(tmp_path / 'calls')
    pki = load(command(tmp_path / 'bin', 'openssl', BROKEN[how].format(real=REAL, count=count)))
    bad = forged(good, 'app-1', 'app-2')
    for request in (good,) if how == 'cannot read the key' else (good, bad):
        with pytest.raises(pki.command.Failure):
            pki.csr.objection(request, 'app-1')


def test_one_step_that_fails_is_no_objection(load, good, tmp_path):
    count = '$(echo >> {0}; wc -l < {0})'.format(tmp_path / 'calls')
    pki = load(command(tmp_path / 'bin', 'openssl', '[ {} != 1 ] || exit 1; exec {} "$@"'.format(
        count, REAL)))
    assert pki.csr.objection(good, 'app-1') is None


def test_an_openssl_that_is_missing_is_no_objection(load, good, tmp_path, monkeypatch):
    (tmp_path / 'bin').mkdir()
    (tmp_path / 'bin/timeout').symlink_to(shutil.which('timeout'))
    monkeypatch.setenv('PATH', str(tmp_path / 'bin'))
    pki = load()
    with pytest.raises(pki.command.Failure, match='^openssl is not installed$'):
        pki.csr.objection(good, 'app-1')


def test_the_openssl_cnf_of_the_machine_has_no_say(load, good, tmp_path, monkeypatch):
    (tmp_path / 'openssl.cnf').write_text('[req]\nreq_extensions = missing\n')
    monkeypatch.setenv('OPENSSL_CONF', str(tmp_path / 'openssl.cnf'))
    monkeypatch.setenv('EASYRSA_PKI', str(tmp_path))
    pki = load()
    assert pki.csr.objection(pki.identity.request('app-1'), 'app-1') is None
    assert 'EASYRSA_PKI' not in pki.command.run('env').stdout


# Commands in general.

def test_a_command_ends_with_all_that_it_started(load, tmp_path):
    pki = load()
    script = 'sleep 600 & echo $! > child; sleep 600'
    with pytest.raises(pki.command.Failure, match='^sh did not end within 1 s$'):
        pki.command.run('sh', '-c', script, seconds=1)
    wait_for_the_end_of(int((tmp_path / 'child').read_text()))


def wait_for_the_end_of(pid):
    """Of itself it would end ten minutes later."""
    for _ in range(300):
        if not is_running(pid):
            return
        time.sleep(0.1)
    raise AssertionError('process {} goes on'.format(pid))


def is_running(pid):
    try:
        with open('/proc/{}/stat'.format(pid)) as file:
            return file.read().rpartition(')')[2].split()[0] not in 'ZX'
    except OSError:
        return False


def test_a_command_ends_though_the_hook_that_ran_it_was_killed(load, tmp_path):
    script = ('import os, sys; sys.path.append({!r}); from pki import command; '
              'command.run("sh", "-c", "echo $$ > child; kill -9 {{}}; sleep 600".format('
              'os.getpid()), seconds=1)').format(str(TESTS / 'example-easyrsa/lib'))
    done = subprocess.run([sys.executable, '-c', script])
    assert done.returncode == -signal.SIGKILL
    wait_for_the_end_of(int((tmp_path / 'child').read_text()))


def test_a_command_asks_nobody_for_a_pass_phrase(load, tmp_path):
    """Neither at the terminal of the hook (debug-hooks, a test run), nor on its stdin."""
    encrypted = openssl('pkey', '-aes256', '-passout', 'pass:secret', text=new_key(*P256))
    (tmp_path / 'key').write_text(encrypted)
    script = ('import sys; sys.path.append({!r}); from pki import command\n'
              'try:\n    command.openssl("pkey", "-in", "key", "-pubout")\n'
              'except command.Failure as failure:\n    print(failure)').format(
                  str(TESTS / 'example-easyrsa/lib'))
    pid, terminal = pty.fork()
    if not pid:
        os.execv(sys.executable, [sys.executable, '-c', script])
    printed = b''
    with open(terminal, 'rb', buffering=0) as file:
        try:
            while True:
                printed += file.read(1000)
        except OSError:  # the other end is closed
            pass
    os.waitpid(pid, 0)
    assert printed.strip() == b'openssl ended with exit code 1'
