"""A server of another user than root, beside the example: yours.py hands it its files."""
import getpass
import os
import re
import shutil
import socket
import ssl
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from charm_build import build
from deployed import act, chain, deploy, look, party, served
from world import TESTS

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group('service')]

ZERO, ONE = 'tls-example/0', 'tls-example/1'
USER, GROUP = ('nobody', 'nogroup') if os.geteuid() == 0 else (getpass.getuser(),) * 2

SERVER = '''import os, pwd, signal, socket, ssl, sys
directory, user, address = sys.argv[1:]
account = pwd.getpwnam(user)
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)


def load(*_):
    global context
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=directory + '/ca.pem')
    context.load_cert_chain(directory + '/certificate.pem', directory + '/key.pem')
    context.verify_mode = ssl.CERT_REQUIRED


signal.signal(signal.SIGHUP, load)
load()
with socket.create_server((address, 0)) as listener:
    print(listener.getsockname()[1], flush=True)
    while True:
        with listener.accept()[0] as raw, context.wrap_socket(raw, server_side=True) as connection:
            connection.sendall(b'served')
'''


@pytest.fixture(scope='module')
def services():
    """A directory that everybody can reach."""
    home = Path(tempfile.mkdtemp())
    home.chmod(0o755)
    yield home
    shutil.rmtree(str(home))


@pytest.fixture(scope='module')
def pair(services, tmp_path_factory):
    """Two units, each with a service whose files are in its own directory."""
    layer = tmp_path_factory.mktemp('layer') / 'example'
    shutil.copytree(str(TESTS / 'example'), str(layer))
    yours = (layer / 'reactive/yours.py').read_text()
    for name, value in {
            'DIRECTORY': "'{}/' + hookenv.local_unit().replace('/', '-')".format(services),
            'OWNER, GROUP': repr((USER, GROUP)),
            'RELOAD': "['sh', '-c', '. {}/reload', DIRECTORY]".format(services)}.items():
        yours, count = re.subn('^{} = .*'.format(name), name + ' = ' + value, yours, flags=re.M)
        assert count == 1
    (layer / 'reactive/yours.py').write_text(yours)
    (services / 'reload').write_text('true')
    built = build(layer, tmp_path_factory.mktemp('built') / 'charm')
    with deploy(built, tmp_path_factory.mktemp('pair') / 'units', 2) as juju:
        look(juju, ZERO, ONE)
        yield juju


def serial_of(juju, port):
    """Of the certificate with which the server of the first unit answers the second."""
    client, address = party(juju, ONE), party(juju, ZERO).address
    context = ssl.create_default_context(cafile=str(client.ca))
    context.load_cert_chain(str(client.certificate), str(client.key))
    with socket.create_connection((address, port), 10) as raw, \
            context.wrap_socket(raw, server_hostname=address) as connection:
        assert connection.recv(6) == b'served'
        return int(connection.getpeercert()['serialNumber'], 16)


def test_the_server_reads_its_files_and_serves_on_after_a_renewal(pair, services):
    home = services / 'tls-example-0'
    server = subprocess.Popen(
        [sys.executable, '-c', SERVER, str(home), USER, party(pair, ZERO).address],
        stdout=subprocess.PIPE, universal_newlines=True)
    try:
        port = int(server.stdout.readline())
        (services / 'reload').write_text('case $0 in *-0) kill -HUP {};; esac'.format(server.pid))
        serials = []
        for action in ('renew', 'new-key', 'renew'):
            serials.append(serial_of(pair, port))
            assert serials[-1] == chain(pair, ZERO)[0].serial_number
            assert act(pair, ZERO, action)[0] == 'completed'
            pair.settle()
        assert len(set(serials)) == 3 and server.poll() is None
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        (services / 'reload').write_text('true')
    served(pair)


def test_the_files_have_owner_and_modes_and_come_again_when_they_are_lost(pair, services):
    home = services / 'tls-example-0'
    (services / 'reload').write_text('touch {}/reloaded'.format(services))
    for again in (False, True):
        assert (services / 'reloaded').exists() == again
        assert {path.name: path.stat().st_mode & 0o777 for path in home.iterdir()} == {
            'key.pem': 0o640, 'certificate.pem': 0o644, 'ca.pem': 0o644}
        assert {(path.owner(), path.group()) for path in home.iterdir()} == {(USER, GROUP)}
        for name in ('key.pem', 'certificate.pem', 'ca.pem'):
            assert (home / name).read_text() == (
                party(pair, ZERO).key.parent / name).read_text()
        assert len(list(services.glob('.tls-example-0-*'))) == 1  # older ones are gone
        (home / 'key.pem').chmod(0o666)
        (home / 'ca.pem').unlink()
        look(pair, ZERO)
    (services / 'reload').write_text('true')


def test_until_the_service_has_its_certificate_the_unit_waits_and_confirms_nothing(pair, services):
    confirmed = pair.bag(ZERO)['certificate_in_use']
    (services / 'reload').write_text('case $0 in *-0) false;; esac')
    assert act(pair, ZERO, 'renew')[0] == 'completed'
    pair.settle()
    look(pair, ZERO)
    status, message = pair.status(ZERO)
    assert status == 'waiting' and message.startswith('for the service to read its certificate; ')
    assert pair.bag(ZERO)['certificate_in_use'] == confirmed
    (services / 'reload').write_text('true')
    look(pair, ZERO, ZERO)
    assert pair.bag(ZERO)['certificate_in_use'] != confirmed
    served(pair)


@pytest.mark.parametrize('name, value', [
    ('OWNER, GROUP', "'no such user', 'root'"), ('RELOAD', "['no such program']"),
    ('RELOAD', "['sleep', '600']"), ('DIRECTORY', "'/proc/no/such'")])
def test_what_cannot_be_done_for_the_service_fails_no_hook_and_is_tried_again(pair, name, value):
    yours = pair.unit_directory(ZERO) / 'charm/reactive/yours.py'
    before = yours.read_text()
    changed = re.sub('^{} = .*'.format(name), name + ' = ' + value, before, flags=re.M)
    yours.write_text(changed.replace('SECONDS = 60', 'SECONDS = 1'))
    assert act(pair, ZERO, 'renew')[0] == 'completed'
    pair.settle()
    look(pair, ZERO)
    assert pair.status(ZERO)[1].startswith('for the service to read its certificate; ')
    yours.write_text(before)
    look(pair, ZERO, ZERO)
    assert all(run.committed for run in pair.runs)
    served(pair)
