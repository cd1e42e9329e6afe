"""What Juju says of the application and its units, and what this unit remembers."""
import hashlib
import ipaddress
from subprocess import CalledProcessError

from charmhelpers.core import hookenv, unitdata

ENDPOINT = 'certificates'
# In unitdata: what `identity.use` returned; the digest of the key and CSR last found good; when a
# CA ends; the refusal in the status.
USED, GOOD, END, REFUSAL = ['tls-easyrsa.' + name for name in ('used', 'good', 'ca-end', 'refusal')]

leads = hookenv.cached(hookenv.is_leader)


def name_of(unit, most=63):
    """The unit's name as a label of DNS; a longer name is cut, and gets a digest."""
    app, _, number = unit.partition('/')
    room = most - len(number) - 1
    if len(app) > room:
        app = '{}-{}'.format(app[:room - 9], hashlib.sha256(app.encode()).hexdigest()[:8])
    return '{}-{}'.format(app, number)


def address_of(unit):
    """The unit's IP address, or None: there may be none, or a name, or an address with a scope."""
    text = relation_id() and hookenv.relation_get('ingress-address', unit, relation_id())
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError:
        return None
    return None if '%' in address else address


def relation_id():
    """The id of the newest relation, or None."""
    return max(hookenv.relation_ids(ENDPOINT) or (), default=None,
               key=lambda each: int(each.rpartition(':')[2]))


def application_bag():
    """The application bag; None if there is no relation, or the bag cannot be read."""
    try:
        return relation_id() and hookenv.relation_get(
            rid=relation_id(), app=hookenv.application_name())
    except CalledProcessError as error:
        hookenv.log('the application bag cannot be read: {}'.format(error), hookenv.WARNING)
        return None


def recall(key):
    return unitdata.kv().get(key)
