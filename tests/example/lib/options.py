"""What the options and Juju say about the certificates to make."""
import re

from charmhelpers.core import hookenv

from lazy import pki


def days():
    """How long a certificate lasts. Fault if the option is out of bounds."""
    found = hookenv.config('certificate-days')
    if found not in pki.DAYS:
        raise pki.Fault('certificate-days is {}, not from {} to {}'.format(
            found, pki.DAYS[0], pki.DAYS[-1]))
    return found


def names():
    """The names that each certificate has beside the unit's own. Fault if one is no name."""
    found = re.split(r'[,\s]+', hookenv.config('certificate-names') or '')
    try:
        for name in filter(None, found):
            pki.general_name(name)
    except pki.Fault as fault:
        raise pki.Fault('certificate-names: {}'.format(fault))
    return [name for name in found if name]


def bag_of(unit):
    """What stands in that unit's bag; {} if there is no relation."""
    relations = hookenv.relation_ids('certificates')
    return (relations and hookenv.relation_get(rid=relations[-1], unit=unit)) or {}


def address_of(unit):
    """The IP address of that unit, or None: it may have none, or a name, or no relation."""
    return pki.ip_address(bag_of(unit).get('ingress-address'))


def others_of(unit):
    """What a certificate of that unit stands for beside its host name.

    It comes from Juju and from whoever sets the options, and not from the CSR.
    """
    address = address_of(unit)
    if not address:
        hookenv.log('{} has no IP address for its certificate'.format(unit), hookenv.WARNING)
    return ([address] if address else []) + names()
