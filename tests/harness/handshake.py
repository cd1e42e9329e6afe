"""Mutual TLS over a real loopback socket, between whoever has a key and a certificate."""
import os
import socket
import ssl
import subprocess
import threading
from collections import namedtuple
from pathlib import Path

# Paths of a unit's private key, of its certificate (with chain), and of the CA that it trusts;
# and the address that its certificate has to be good for.
Party = namedtuple('Party', 'name key certificate ca address')

SECONDS = 10


def openssl(*arguments, text=''):
    """What the command prints; CalledProcessError if it does not exit with 0."""
    return subprocess.run(
        ('openssl',) + arguments, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        check=True, universal_newlines=True,
        env=dict(os.environ, OPENSSL_CONF=str(Path(__file__).parent / 'openssl.cnf'))).stdout


def context(party, purpose):
    result = ssl.create_default_context(purpose, cafile=str(party.ca))
    result.load_cert_chain(str(party.certificate), str(party.key))
    result.verify_mode = ssl.CERT_REQUIRED
    return result


def common_name(certificate):
    return next(value for rdn in certificate['subject'] for name, value in rdn
                if name == 'commonName')


def shake_hands(server, client):
    """(name the server saw, name the client saw); OSError, such as ssl.SSLError, if one refuses."""
    seen, refused = [], []

    def serve(listener):
        try:
            with listener.accept()[0] as raw:
                raw.settimeout(SECONDS)
                with context(server, ssl.Purpose.CLIENT_AUTH).wrap_socket(
                        raw, server_side=True) as connection:
                    seen.append(common_name(connection.getpeercert()))
                    connection.sendall(connection.recv(5))
        except OSError as error:  # ssl.SSLError is one
            refused.append(error)

    with socket.create_server((server.address, 0)) as listener:
        listener.settimeout(SECONDS)
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        try:
            with socket.create_connection(listener.getsockname(), SECONDS) as raw:
                with context(client, ssl.Purpose.SERVER_AUTH).wrap_socket(
                        raw, server_hostname=server.address) as connection:
                    # Under TLS 1.3 only an answer tells the client that it was accepted.
                    connection.sendall(b'hello')
                    if connection.recv(5) != b'hello':
                        raise ssl.SSLError('{} closed the connection'.format(server.name))
                    seen.append(common_name(connection.getpeercert()))
        except OSError as error:
            refused.append(error)
        thread.join()
    # Who refuses says why; the other may only see the connection end.
    refused.sort(key=lambda error: not isinstance(error, ssl.SSLCertVerificationError))
    if refused:
        raise refused[0]
    return tuple(seen)
