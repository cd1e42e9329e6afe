"""A charm layer that uses interface:tls: the three flags, and what else a real one needs."""
import ipaddress
import json
import subprocess
import tempfile
from pathlib import Path

from charmhelpers.core import hookenv
from charms.reactive import clear_flag, endpoint_from_name, hook, when
from charms.reactive.helpers import data_changed

import pki

CA_LABEL = 'certificate-authority'


@when('create certificate signing request')
def ask(tls):
    tls.set_csr(pki.request(hookenv.local_unit()))


@when('sign certificate signing request')
def sign(tls):
    for unit, csr in tls.get_csr_map().items():
        try:
            tls.set_cert(unit, certificate_for(unit, csr))
        except pki.Fault as fault:
            hookenv.log('request of {} not signed: {}'.format(unit, fault), hookenv.ERROR)


@when('signed certificate available')
def install(tls):
    pki.install(tls.get_signed_cert())
    clear_flag('signed certificate available')


@hook('update-status')
def renew_in_time():
    if pki.ends_within(hookenv.config('certificate-days') * 86400 // 3):
        renew()


@hook('renew')  # the action
def renew():
    endpoint_from_name('certificates').set_csr(pki.request(hookenv.local_unit()))


def tell():
    """Say what this unit waits for."""
    status = ('waiting', 'for a certificate from the leader')
    if pki.end():
        status = ('active', 'certificate until ' + pki.end())
    if data_changed('status', status):
        hookenv.status_set(*status)


hookenv.atexit(tell)


def certificate_for(unit, csr):
    """The chain for that unit: its certificate, then the CA's, by which it knows its peers."""
    ca = certificate_authority()
    certificate = pki.sign(csr, unit, alternative_names(unit), hookenv.config('certificate-days'),
                           ca['certificate'], ca['key'])
    return certificate + ca['certificate']


def alternative_names(unit):
    """What the certificate of that unit may stand for: Juju's word for it, not the CSR's."""
    names = ['DNS:' + unit.replace('/', '-')]
    relation = hookenv.relation_ids('certificates')[-1]
    try:
        address = hookenv.relation_get('ingress-address', unit, relation)
        names.append('IP:{}'.format(ipaddress.ip_address(address)))
    except ValueError:
        hookenv.log('{} has no IP address for its certificate'.format(unit), hookenv.WARNING)
    return names


def certificate_authority():
    """{'certificate', 'key'}, from a secret that the application owns, and so outlives a leader.

    The first leader makes it; that and what it signs in the same hook are committed together or
    not at all.
    """
    found = subprocess.run(['secret-get', '--label', CA_LABEL, '--format', 'json'],
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, universal_newlines=True)
    if not found.returncode:
        return json.loads(found.stdout)
    if 'not found' not in found.stderr:
        raise RuntimeError('secret-get: ' + found.stderr.strip())
    certificate, key = pki.make_ca(hookenv.application_name())
    with tempfile.TemporaryDirectory() as scratch:  # not as arguments: those can be seen
        for name, text in (('certificate', certificate), ('key', key)):
            pki.write(Path(scratch, name), text)
        subprocess.run(['secret-add', '--label', CA_LABEL]
                       + ['{0}#file={1}/{0}'.format(name, scratch)
                          for name in ('certificate', 'key')], check=True)
    return {'certificate': certificate, 'key': key}
