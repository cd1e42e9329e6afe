"""Mutual TLS over a real loopback socket, between whoever has a key and a certificate."""
import ipaddress
import socket
import ssl
import threading
from collections import namedtuple
from datetime import datetime, timedelta, timezone

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from openssl_command import openssl  # noqa: F401, for those that want the command

# Paths of a unit's private key, of its certificate (with chain), and of the CA that it trusts;
# and the address that its certificate has to be good for.
Party = namedtuple('Party', 'name key certificate ca address')

SECONDS = 10


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


def verify(party):
    """ssl.SSLError unless its certificate is for its key and address, and of a CA that it trusts.

    A handshake with itself, in memory: the address may be of another machine.
    """
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = context(party, ssl.Purpose.SERVER_AUTH).wrap_bio(
        to_client, to_server, server_hostname=party.address)
    server = context(party, ssl.Purpose.CLIENT_AUTH).wrap_bio(
        to_server, to_client, server_side=True)
    ends = [client, server]
    while ends:
        for end in list(ends):
            try:
                end.do_handshake()
                ends.remove(end)
            except ssl.SSLWantReadError:
                pass


def impostor(party, directory):
    """A party with the same names and address, and a key and certificate that it made itself."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, party.name)])
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(timezone.utc)
    certificate = x509.CertificateBuilder(
        name, name, key.public_key(), x509.random_serial_number(), now - timedelta(hours=1),
        now + timedelta(days=1)).add_extension(x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address(party.address))]), False).sign(
                key, hashes.SHA256())
    files = party._replace(key=directory / 'key.pem', certificate=directory / 'certificate.pem')
    files.key.write_bytes(key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    files.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    return files
