"""How a leader signs with the `openssl` command, 1.1.1 to 3.6, in a charm that uses no library.

`ca.pem` and `ca.key` are the CA's, in the directory of the hook. What raises here is no reason to
refuse a CSR, except NotForUnit: log it, and the request goes on waiting for the next hook. Nothing
here rejects a weak key (see example-easyrsa/lib/pki/csr.py), or keeps an end within that of the CA.
"""
import ipaddress
import os
import secrets
import subprocess
import tempfile

EXTENSIONS = """basicConstraints = critical, CA:FALSE
extendedKeyUsage = serverAuth, clientAuth
subjectKeyIdentifier = hash
authorityKeyIdentifier = keyid
subjectAltName = DNS:{}, IP:{}
"""


class NotForUnit(Exception):
    """The subject of a CSR is not the unit's name."""


def openssl(*arguments, text):
    """What it prints. It ends in a minute, asks nobody, and no openssl.cnf has a say."""
    return subprocess.run(
        ('openssl',) + arguments, input=text, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        check=True, timeout=60, universal_newlines=True, start_new_session=True,
        env={'PATH': os.environ['PATH'], 'OPENSSL_CONF': os.devnull}).stdout


def sign(csr, name, address):
    """The certificate for a CSR whose subject is CN=`name`, with both as its only names."""
    with tempfile.NamedTemporaryFile('w') as file:
        file.write(EXTENSIONS.format(name, ipaddress.ip_address(address)))
        file.flush()
        certificate = openssl(
            'x509', '-req', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-passin', 'pass:',
            '-set_serial', str(secrets.randbits(158)), '-days', '90', '-extfile', file.name,
            text=csr)
    if openssl('x509', '-noout', '-subject', '-nameopt', 'RFC2253',
               text=certificate) != 'subject=CN={}\n'.format(name):
        raise NotForUnit('the subject is not CN=' + name)
    return certificate
