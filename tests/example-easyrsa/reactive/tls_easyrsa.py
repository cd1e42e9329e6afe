"""interface:tls with easy-rsa, and the control flow of layer-tls: only followers ask.

The first leader makes a CA and signs for itself. Every other unit asks by the interface. No tool,
disk or peer can fail a hook: what went wrong stands in the status, and the next hook tries again.
"""
import hashlib
import ipaddress
import secrets
import time
from contextlib import contextmanager
from subprocess import CalledProcessError

from charmhelpers.core import hookenv, unitdata
from charms.reactive import endpoint_from_name, hook, is_flag_set, remove_state, when

from pki import authority, csr, identity, x509
from pki.command import Failure

ENDPOINT = 'certificates'
CREATE, AVAILABLE = 'create certificate signing request', 'signed certificate available'

# In the application bag, in PEM: the CA that signs. Whoever leads without its key makes no other.
CA = 'ca'
HERE, GONE, NONE = 'here', 'gone', 'none'  # where the CA's key is; None: that cannot be told now
# In unitdata: what `identity.use` returned, and the digest of the key and CSR last found good.
USED, GOOD = 'tls-easyrsa.used', 'tls-easyrsa.good'

leads = hookenv.cached(hookenv.is_leader)

DAY = 86400
TROUBLE = (Failure, OSError, CalledProcessError)
notes = []  # (state, text) for the status that this hook sets


@when(CREATE)
def ask(tls):
    """Ask for a certificate. A leader, as that of layer-tls, signs its own and never asks."""
    with attempt('get a certificate'):
        if not leads() or needs_certificate():
            renew(tls)


@when('sign certificate signing request')
def answer(tls):
    """Sign what waits, one by one; what cannot be signed now goes on waiting."""
    for unit, text in tls.get_csr_map().items() if has_ca() else ():
        with attempt('sign', unit):
            fault = csr.objection(text, name_of(unit))
            if fault:
                tls.refuse_csr(unit, fault)
            else:
                tls.set_cert(unit, signed(unit, text))


@when(AVAILABLE)
def install(tls):
    """Put the certificate in use. If it cannot be yet, the flag stays and the next hook tries."""
    with attempt('install the certificate'):
        fault = identity.unfit(tls.get_signed_cert()) or x509.untimely(tls.get_signed_cert())
        if fault:
            notes.append(('waiting', 'the new certificate ' + fault))
        else:
            use(tls.get_signed_cert())
            remove_state(AVAILABLE)


@hook('config-changed', 'update-status', 'upgrade-charm')
def look_after():
    """Restore files that were changed; ask for what cannot be restored, and in time."""
    with attempt('look after the certificate'):
        identity.secure()
        if leads():
            has_ca()
        own_request()
        used, tls = recall(USED), endpoint_from_name(ENDPOINT)
        if used and identity.has_key_of(used) and not identity.is_intact(used):
            use(used['chain'])
        if is_hopeless(tls.get_signed_cert()) if is_flag_set(AVAILABLE) else needs_certificate():
            renew(tls)


@hook('new-ca')  # the action
def new_ca():
    """Make a CA on this leader, and have it sign every certificate anew."""
    try:
        bag = application_bag() if leads() else None
        if bag is None:
            raise Failure('this unit does not lead, or cannot read the application bag')
        make_ca()
        publish_ca(bag)
        endpoint_from_name(ENDPOINT).reissue()
        hookenv.action_set({'ca': x509.common_name(bag[CA])})
    except TROUBLE + (ValueError,) as trouble:
        hookenv.action_fail(one_line('no new CA: {}'.format(trouble)))


def own_request():
    """This unit's CSR. It is examined, with its key, only if one of them has changed."""
    if recall(GOOD) != identity.digest_of_pair():
        identity.request(name_of(hookenv.local_unit()))
        unitdata.kv().set(GOOD, identity.digest_of_pair())
    return identity.kept()


def renew(tls):
    """Get another certificate: by the interface, unless this leader signs its own."""
    if not leads() or not is_flag_set(CREATE):
        tls.set_csr(own_request())
    elif has_ca():
        use(signed(hookenv.local_unit(), own_request()))


def use(chain):
    address = address_of(hookenv.local_unit())
    used = identity.use(chain)
    used['address'] = address if address and x509.is_for(chain, address) else None
    unitdata.kv().set(USED, used)


def needs_certificate():
    """Whether what is in use is lost, ends soon, or is for another key, address or CA."""
    used, address = recall(USED), address_of(hookenv.local_unit())
    return not used or not identity.is_intact(used) or not identity.has_key_of(used) \
        or identity.is_due(used) or address not in (None, used['address']) \
        or is_flag_set(CREATE) and (authority.certificate() or '') not in used['chain']


def is_hopeless(chain):
    """Whether to ask anew beside an answer that has not been installed: it never will be, or, by
    a leader whose clock is ahead, not in time."""
    if identity.unfit(chain):
        return True
    start, end = x509.dates(chain)
    return time.time() > end or needs_certificate() and start > time.time() + DAY


def has_ca():
    """Whether this leader holds the CA that signs; where the application has none, it makes it."""
    with attempt('make or find the CA'):
        bag = application_bag()
        state = ca_state(bag)
        if state == NONE:
            make_ca()
        if state in (NONE, HERE) or state == GONE and authority.restore(bag.get(CA)):
            publish_ca(bag)
            return True
    return False


def ca_state(bag):
    """Where the key of the CA is that signs for this application, by the application bag."""
    own = authority.certificate()
    if bag is None:
        return None
    if bag.get(CA) or own:
        return HERE if bag.get(CA) in (None, own) else GONE
    # Signed by an earlier version of this layer, which published no CA.
    signed_before = recall(USED) or any(key.endswith('_signed_certificate') for key in bag)
    return GONE if signed_before else NONE


def make_ca():
    authority.make('{} CA {}'.format(name_of(hookenv.local_unit(), 48), secrets.token_hex(4)))


def publish_ca(bag):
    """Say which CA signs here. `bag` is what charmhelpers goes on showing in this hook."""
    own = authority.certificate()
    if bag.get(CA) != own:
        hookenv.relation_set(relation_id(), {CA: own}, app=True)
        bag[CA] = own


def signed(unit, text):
    """The chain for a CSR: of the unit's names none comes from the CSR."""
    name, address = name_of(unit), address_of(unit)
    names = ['DNS:' + name] + (['IP:' + address] if address else [])
    return authority.sign(name, csr.block(text), names)


def name_of(unit, most=63):
    """As a label of DNS; of a longer name the start, and a digest of the whole."""
    app, _, number = unit.partition('/')
    room = most - len(number) - 1
    if len(app) > room:
        app = '{}-{}'.format(app[:room - 9], hashlib.sha256(app.encode()).hexdigest()[:8])
    return '{}-{}'.format(app, number)


def address_of(unit):
    """The unit's IP address, or None: there may be none, or a name, and scopes are not taken."""
    text = relation_id() and hookenv.relation_get('ingress-address', unit, relation_id())
    try:
        address = str(ipaddress.ip_address(text))
    except ValueError:
        return None
    return None if '%' in address else address


def relation_id():
    """The newest, or None."""
    return max(hookenv.relation_ids(ENDPOINT) or (), default=None,
               key=lambda each: int(each.rpartition(':')[2]))


def application_bag():
    """None if there is no relation, or it cannot be read."""
    try:
        return relation_id() and hookenv.relation_get(
            rid=relation_id(), app=hookenv.application_name())
    except CalledProcessError as error:
        hookenv.log('the application bag cannot be read: {}'.format(error), hookenv.WARNING)
        return None


def recall(key):
    return unitdata.kv().get(key)


@contextmanager
def attempt(what, unit=None):
    """What fails in it is logged and stands in the status, and the hook goes on."""
    try:
        yield
    except TROUBLE as trouble:
        text = 'cannot {}: {}'.format(what, trouble)
        notes.append(('blocked', text))
        full = '{} ({})\n{}'.format(text, unit or 'itself', getattr(trouble, 'output', ''))
        hookenv.log(full.replace('\0', '?')[:10000], hookenv.ERROR)


def one_line(text, most=250):
    """For a status or a result: without control characters, and of a length."""
    line = ' '.join(''.join(each if each.isprintable() else ' ' for each in text).split())
    return line if len(line) <= most else line[:most - 3] + '...'


def tell():
    """Set the status: the worst of what this hook met with and what now is comes first."""
    with attempt('tell all'):
        tls = endpoint_from_name(ENDPOINT)
        notes.extend(own_notes(tls))
        if leads():
            notes.extend(ca_notes())
            notes.extend(peers_notes(tls.get_requests()))
    notes.sort(key=lambda note: ('blocked', 'waiting', 'active').index(note[0]))
    texts = dict.fromkeys(one_line(text) for _, text in notes)
    hookenv.status_set(notes[0][0], one_line('; '.join(texts), 500))


hookenv.atexit(tell)


def own_notes(tls):
    used, now = recall(USED), time.time()
    if tls.get_refusal():
        yield 'blocked', 'request refused: ' + tls.get_refusal()
    if not used or not identity.is_intact(used):
        yield 'waiting', 'no certificate yet'
        return
    left, span = used['end'] - now, used['end'] - used['start']
    if left < 0:
        yield 'blocked', 'the certificate ended on {}'.format(x509.on(used['end']))
    elif identity.is_due(used):
        yield ('active' if left > span / 9 else 'blocked',
               'the certificate ends in {} days, and is to be renewed'.format(int(left // DAY)))
    else:
        yield 'active', 'certificate until ' + x509.on(used['end'])


def ca_notes():
    bag = application_bag()
    state = ca_state(bag)
    if state == GONE:
        name = x509.common_name(bag[CA]) if CA in bag else 'that signed the certificates'
        yield 'blocked', 'the key of the CA {} is not on this unit, which leads: bring back ' \
            'easy-rsa/pki from the unit that led, or run new-ca'.format(name)
    elif state == HERE:
        left = x509.dates(authority.certificate())[1] - time.time()
        if left < authority.DAYS * DAY:
            yield ('blocked' if left < authority.DAYS * DAY / 3 else 'active',
                   'the CA ends in {} days: run new-ca'.format(int(left // DAY)))


def peers_notes(requests):
    """Who waits, and who is refused and why. The leader itself may never have asked."""
    local = hookenv.local_unit()
    waiting = [unit for unit, request in requests.items() if request['state'] == 'waiting'
               or request['state'] == 'none' and unit != local]
    refused = ['{}: {}'.format(unit, request['reason']) for unit, request in requests.items()
               if request['state'] == 'refused']
    if waiting:
        yield 'active', '{} of {} wait: {}'.format(len(waiting), len(requests), ', '.join(waiting))
    if refused:
        yield 'active', 'refused: ' + '; '.join(refused)
