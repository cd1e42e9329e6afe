"""interface:tls with easy-rsa, and the control flow of layer-tls: only followers ask.

The first leader makes a CA and signs for itself; other units ask through the interface. No tool,
disk or peer can fail a hook: what went wrong stands in the status, and the next hook tries again.
"""
import time
from contextlib import contextmanager
from subprocess import CalledProcessError

from charmhelpers.core import hookenv, unitdata
from charms.reactive import endpoint_from_name, hook, is_flag_set, remove_state, when

from facts import (CREATE, ENDPOINT, GOOD, REFUSAL, USED, address_of, application_bag, is_to_ask,
                   leads, name_of, recall, signs_its_own)
from leader import (CA, GONE, HERE, NONE, ca_state, end_of_ca, first, make_ca, missing, publish_ca,
                    signed)
from pki import authority, csr, identity, x509
from pki.command import Failure

AVAILABLE = 'signed certificate available'

DAY = 86400
TROUBLE = (Failure, OSError, CalledProcessError)
did, notes = [], []  # in this hook: handlers that had work; (state, text) for the status


@when(CREATE)
def ask(tls):
    """Ask for a certificate. A leader, like that of layer-tls, signs its own and never asks."""
    with attempt('get a certificate'):
        if lacks_certificate() or not leads():
            renew(tls)


@when('sign certificate signing request')
def answer(tls):
    """Sign what waits, one by one; what cannot be signed now goes on waiting."""
    did.append(answer)
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
    did.append(install)
    with attempt('install the certificate'):
        fault = identity.unfit(tls.get_signed_cert()) or x509.untimely(tls.get_signed_cert())
        if fault:
            notes.append(('waiting', 'the new certificate ' + fault))
        else:
            use(tls.get_signed_cert())
            remove_state(AVAILABLE)
            confirm(tls)


@hook('config-changed', 'update-status', 'upgrade-charm')
def look_after():
    """Restore files that were changed; ask for what cannot be restored, and in time."""
    did.append(look_after)
    with attempt('look after the certificate'):
        identity.secure()
        if leads():
            has_ca()
        own_request()
        used, tls = recall(USED), endpoint_from_name(ENDPOINT)
        if used and identity.has_key_of(used) and not identity.is_intact(used):
            use(used['chain'])
        has_come = is_flag_set(AVAILABLE)
        reason = is_hopeless(tls.get_signed_cert()) if has_come else needs_certificate()
        if reason and signs_its_own() or is_to_ask(reason):
            renew(tls)
        elif not has_come:
            confirm(tls)


# The actions.

@hook('new-ca')
def new_ca():
    """Make a CA on this leader, and have it sign every certificate anew."""
    with action('no new CA', new_ca):
        bag = bag_to_write()
        before = [] if hookenv.action_get('force') else x509.blocks(bag.get(CA, ''))
        if len(before) > 1 and ca_state(bag) != GONE:  # or nobody could drop what is trusted
            raise Failure('the CA before this one is still trusted: run drop-old-ca')
        make_ca(before)
        publish_ca(bag)
        endpoint_from_name(ENDPOINT).reissue()
        hookenv.action_set({'ca': x509.common_name(bag[CA])})


@hook('drop-old-ca')
def drop_old_ca():
    """Have no unit trust the old CA, or what it has signed."""
    with action('the old CA stays', drop_old_ca):
        bag = bag_to_write()
        if ca_state(bag) != HERE:
            raise Failure('this unit does not hold the new CA')
        if len(x509.blocks(bag.get(CA, ''))) < 2:
            raise Failure('only one CA is trusted')
        without = missing(endpoint_from_name(ENDPOINT).get_requests())
        without += [hookenv.local_unit()] if lacks_certificate() else []
        if without and not hookenv.action_get('force'):
            raise Failure('not installed by {}; force=true goes on without them'.format(
                ', '.join(without)))
        authority.forget_previous()
        publish_ca(bag)
        endpoint_from_name(ENDPOINT).reissue()


@contextmanager
def action(failing, handler):
    """Whatever goes wrong within it fails the action."""
    did.append(handler)
    try:
        yield
    except TROUBLE + (ValueError,) as trouble:
        hookenv.action_fail(one_line(log(failing, trouble)))


def bag_to_write():
    bag = application_bag() if leads() else None
    if bag is None:
        raise Failure('this unit does not lead, or cannot read the application bag')
    return bag


# This unit's certificate.

def own_request():
    """This unit's CSR. It is examined, with its key, only if one of them has changed."""
    if recall(GOOD) != identity.digest_of_pair():
        identity.request(name_of(hookenv.local_unit()))
        unitdata.kv().set(GOOD, identity.digest_of_pair())
    return identity.kept()


def renew(tls):
    """Get another certificate: by the interface, unless this leader signs its own."""
    did.append(renew)
    if not signs_its_own():
        tls.set_csr(own_request())
    elif has_ca():
        use(signed(hookenv.local_unit(), own_request()))


def use(chain):
    address = address_of(hookenv.local_unit())
    used = identity.use(chain)
    used['address'] = address if address and x509.is_for(chain, address) else None
    unitdata.kv().set(USED, used)


def confirm(tls):
    """Tell the leader, if it waits for this in a change of CA, that the certificate is in use."""
    used = recall(USED)
    if used and used['chain'] == tls.get_signed_cert() and len(x509.blocks(used['chain'])) > 2:
        tls.confirm_cert()


def lacks_certificate():
    """Whether none is in use, or, on a leader that signs its own, one of another CA."""
    used = recall(USED)
    return not used or is_flag_set(CREATE) and not used['chain'].endswith(authority.chain())


def needs_certificate():
    """What is wrong with the one in use, None if nothing: the key is part of it."""
    used, address = recall(USED), address_of(hookenv.local_unit())
    if lacks_certificate() or not identity.is_intact(used) or not identity.has_key_of(used):
        return 'lost for ' + identity.digest_of_pair()
    if identity.is_due(used):
        return 'ends soon'
    return None if address in (None, used['address']) else 'not for ' + address


def is_hopeless(chain):
    """Why to ask again though there is an answer, which is not installed: it never can be, or,
    if the leader's clock is ahead, not in time. None if it can be."""
    if identity.unfit(chain):
        return 'unfit for ' + identity.digest_of_pair()
    start, end = x509.dates(chain)
    if time.time() > end or needs_certificate() and start > time.time() + DAY:
        return 'untimely'
    return None


# The leader.

def has_ca():
    """Whether this leader holds the CA that signs; where the application has none, it makes it."""
    with attempt('make or find the CA'):
        bag = application_bag()
        state = ca_state(bag)
        if state == NONE:
            make_ca()
        if state in (NONE, HERE) or state == GONE and authority.restore(first(bag.get(CA, ''))):
            if first(bag.get(CA, '')) != authority.certificate():
                if CA in bag:
                    endpoint_from_name(ENDPOINT).reissue()
                publish_ca(bag)
            return True
    return False


# What people are told.

@contextmanager
def attempt(what, unit=None):
    """What fails in it is logged and stands in the status, and the hook goes on."""
    try:
        yield
    except TROUBLE as trouble:
        notes.append(('blocked', log('cannot ' + what, trouble, unit)))


def log(what, trouble, unit=None):
    """What went wrong, for people; the log has what a tool printed, too."""
    text = '{}: {}'.format(what, trouble)
    full = '{} ({})\n{}'.format(text, unit or 'itself', getattr(trouble, 'output', ''))
    hookenv.log(full.replace('\0', '?')[:10000], hookenv.ERROR)
    return text


def one_line(text, most=250):
    """For a status or a result: without control characters, and of a length."""
    line = ' '.join(''.join(each if each.isprintable() else ' ' for each in text).split())
    return line if len(line) <= most else line[:most - 3] + '...'


def tell():
    """Set the status, if this hook had work or the leader has refused: the worst comes first."""
    tls = endpoint_from_name(ENDPOINT)
    if not did and not notes and tls.get_refusal() == recall(REFUSAL):
        return
    unitdata.kv().set(REFUSAL, tls.get_refusal())
    with attempt('tell all'):
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
        left = end_of_ca() - time.time()
        if len(x509.blocks(bag.get(CA, ''))) > 1:
            yield 'active', 'the CA before this one is still trusted: run drop-old-ca'
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
