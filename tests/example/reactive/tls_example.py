"""A charm layer that uses interface:tls: the three flags, and the life of a certificate."""
import time

from charmhelpers.core import hookenv, unitdata
from charms.reactive import clear_flag, endpoint_from_name, hook, is_flag_set, set_flag, when

import authority
import options
import rest
import status
from lazy import Lazy, pki, pki_files

INSTALLED = 'tls-example.installed'  # yours.py hands over what is in pki/, and clears it
ASKED = 'tls-example.asked'  # in unitdata: why this unit asked anew, when, and how patient it is
PATIENCE = 3600  # seconds before it asks again for the same reason; from then on twice as long


@when('create certificate signing request')
def ask(tls):
    tls.set_csr(pki_files.request(hookenv.local_unit()))


@when('sign certificate signing request')
def sign(tls):
    for unit, csr in tls.get_csr_map().items():
        try:
            tls.set_cert(unit, authority.sign(
                tls, unit, csr, options.others_of(unit), options.days()))
        except pki.BadRequest as reason:
            tls.refuse_csr(unit, str(reason))
        except Exception as error:  # not the unit's fault: it goes on waiting
            status.cannot_sign(unit, error)


@when('signed certificate available')
def install(tls):
    try:
        pki_files.install(tls.get_signed_cert())
    except pki.Fault:
        return  # the status says why; the flag stays, and the next hook tries again
    clear_flag('signed certificate available')
    set_flag(INSTALLED)


@hook('config-changed', 'update-status')
def look_again():
    """Compare what was asked for, the answer and the files, and mend what does not fit."""
    tls, unit = endpoint_from_name('certificates'), hookenv.local_unit()
    if rest.is_undisturbed(tls):
        return
    status.look_for_the_ca()
    chain, asked = tls.get_signed_cert(), options.bag_of(unit).get('csr')
    if chain and not pki_files.is_in_use(chain):
        install(tls)
    if asked and asked != pki_files.request(unit):  # the key was lost, or is another
        ask(tls)
    elif asked and chain:
        ask_once(tls, reason_to_ask(unit, chain))


def reason_to_ask(unit, chain):
    """Why that certificate is no good, or not for long; None if it is good."""
    try:
        address, days, names = options.address_of(unit), options.days(), options.names()
    except pki.Fault:
        return None  # the status tells of the option
    if pki_files.unfit(chain) or pki.untimely(chain):
        return 'of no use'
    if pki.is_to_renew(chain, days):
        return 'to last {} days'.format(days)
    if address and not pki.is_for(chain, unit, [address] + names):
        return 'to be for {}'.format([address] + names)
    return None


def ask_once(tls, reason):
    """Ask if there is a reason, and this unit has not just asked for that very reason.

    Otherwise a leader whose clock is wrong would sign in each `update-status`. If its clock is
    ahead, what it signs is valid some time later: the unit waits twice as long each time, and so in
    the end long enough.
    """
    last, now = unitdata.kv().get(ASKED) or {}, time.time()
    is_again = bool(reason) and reason == last.get('reason')
    if reason and not (is_again and abs(now - last['time']) < last['patience']):
        patience = 2 * last['patience'] if is_again else PATIENCE
        unitdata.kv().set(ASKED, {'reason': reason, 'time': now, 'patience': patience})
        ask(tls)
    elif not reason:
        unitdata.kv().unset(ASKED)


@hook('secret-changed', 'secret-remove')
def forget_old_revisions():
    """Read the newest revision of the CA's secret, and remove the old one that nobody reads."""
    authority.forget_old_revisions()


def confirm(tls):
    """Tell the leader what is in use: in `update-status`, and while a change of CA waits for it."""
    chain = tls.get_signed_cert()
    if Lazy.used and chain and pki_files.is_in_use(chain) and not is_flag_set(INSTALLED) \
            and (hookenv.hook_name() == 'update-status' or len(pki.certificates(chain)) > 2):
        tls.confirm_cert()


def finish():
    tls = endpoint_from_name('certificates')
    confirm(tls)
    is_well = status.tell(tls)
    if is_well is not None:
        rest.remember(tls, is_well and hookenv.hook_name() == 'update-status')


hookenv.atexit(finish)
