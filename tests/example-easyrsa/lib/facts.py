"""What Juju says of the application and its units, and what this unit remembers."""
import hashlib
import ipaddress
import time
from subprocess import CalledProcessError

from charmhelpers.core import hookenv, unitdata
from charms.reactive import is_flag_set

ENDPOINT, CREATE = 'certificates', 'create certificate signing request'
# In unitdata: what `identity.use` returned; the digest of the key and CSR last found good; when a
# CA ends; the refusal in the status; why this unit asked anew, when, and how patient it is.
USED, GOOD, END, REFUSAL, ASKED = ['tls-easyrsa.' + name for name in (
    'used', 'good', 'ca-end', 'refusal', 'asked')]

PATIENCE = 3600  # seconds before it asks again for the same reason; from then on twice as long

leads = hookenv.cached(hookenv.is_leader)


def signs_its_own():
    """Whether this unit leads and, as that of layer-tls, has never asked."""
    return leads() and is_flag_set(CREATE)


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


def is_to_ask(reason):
    """Whether there is a reason to ask, and this unit has not just asked for that very reason.

    Where a clock is wrong, the leader would else sign in each `update-status`.
    """
    last, now = recall(ASKED) or {}, time.time()
    is_again = reason == last.get('reason')
    if not reason:
        unitdata.kv().unset(ASKED)
    elif not is_again or abs(now - last['time']) >= last['patience']:
        unitdata.kv().set(ASKED, {'reason': reason, 'time': now,
                                  'patience': 2 * last['patience'] if is_again else PATIENCE})
        return True
    return False
