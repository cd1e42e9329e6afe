"""A charm layer that only answers the flags, and obeys the tests.

What it takes for a CSR and a certificate are PEM blocks around plain text: the interface must
not look into them. A test steers a unit by files beside the unit's state database:

* `asks`, the text of this unit's CSR (by default the unit's name and how often it asked);
* `keys`, `new`: no such text comes twice, whatever unitdata are restored to;
* `busy`, names of flags that the layer does not answer now;
* `refuses`, names of units whose requests it always refuses;
* `script.py`, run once with `tls`, the interface object; what it puts into `results` is kept;
* `early.py`, the same, but before the interface or any handler has run.

The text of its CSR stands for its key, too, and is kept in unitdata; or, where beside them there is
a directory `disk`, in the file `disk/key`. Then, as with most tools, every CSR is the same text
until the layer makes another key: for `renew`, after a refusal, or where there is none. Also in it:

* `made`, the number of the last key: no key comes twice;
* `early`: the layer asks in `install`, too.

Or by actions: `renew` asks with another CSR, `repeat` with the same; after `slow` the leader puts
what waits on a desk, until `finish` answers it; after `refuse` it refuses what is next to sign;
`reissue` is the method. The script `bin/renew-and-fail` of the charm, for `juju exec`, is `renew`
and then exits with 1: Juju commits what it wrote, unitdata are not kept.
"""
import base64
import os
import sys

from charmhelpers.core import hookenv, unitdata
from charms.reactive import clear_flag, endpoint_from_name, when, when_not

CREATE = 'create certificate signing request'
SIGN = 'sign certificate signing request'
AVAILABLE = 'signed certificate available'


def here(name):
    """Beside unitdata; else in the charm's directory."""
    return os.path.join(os.path.dirname(os.environ.get('UNIT_STATE_DB', '')), name)


def pem(label, text):
    return '-----BEGIN {0}-----\n{1}\n-----END {0}-----\n'.format(
        label, base64.b64encode(text.encode()).decode())


def text_in(block):
    return base64.b64decode(block.split('-----')[2]).decode()


def interface():
    """The object, whatever the endpoint is called; None if the charm has none."""
    for endpoint in hookenv.role_and_interface_to_relations('peers', 'tls'):
        return endpoint_from_name(endpoint)


def told(name):
    try:
        with open(here(name)) as file:
            return file.read()
    except FileNotFoundError:
        return ''


def write(name, text):
    with open(here(name), 'w') as file:
        file.write(text)


def keeps_keys():
    """Whether they are files."""
    return os.path.isdir(here('disk'))


def key():
    """The text of the CSR that the layer makes by its key, or nothing."""
    return told('disk/key') if keeps_keys() else unitdata.kv().get('asks', '')


def new_key():
    if not keeps_keys():
        return '{} {}'.format(hookenv.local_unit(), count('asked'))
    write('disk/made', str(int(told('disk/made') or 0) + 1))
    write('disk/key', '{} {}'.format(hookenv.local_unit(), told('disk/made')))
    return key()


def count(name):
    unitdata.kv().set(name, unitdata.kv().get(name, 0) + 1)
    return unitdata.kv().get(name)


def ask(tls, text):
    unitdata.kv().set('asks', text)
    tls.set_csr(pem('CERTIFICATE REQUEST', text))


def ask_anew(tls):
    text = told('asks') or new_key()
    if told('keys') == 'new':
        text += '.' + os.urandom(4).hex()
    ask(tls, text)


@when(CREATE)
def request(tls):
    if CREATE not in told('busy'):
        refusal = getattr(tls, 'get_refusal', lambda: None)()  # the original has no such method
        if keeps_keys() and key() and not refusal:
            ask(tls, key())
        else:
            ask_anew(tls)


@when(SIGN)
def sign(tls):
    # While some requests are on the desk, what else waits can wait.
    if SIGN not in told('busy') and not unitdata.kv().get('desk'):
        requests = {unit: text_in(csr) for unit, csr in tls.get_csr_map().items()}
        for unit in set(requests).intersection(told('refuses').split()):
            requests.pop(unit)
            tls.refuse_csr(unit, 'no')
        if unitdata.kv().get('refuses'):
            unitdata.kv().unset('refuses')
            for unit in requests:
                tls.refuse_csr(unit, 'no')
        elif unitdata.kv().get('slow'):
            unitdata.kv().set('desk', requests)
        else:
            answer(tls, requests)


def answer(tls, requests):
    for unit, text in requests.items():
        tls.set_cert(unit, pem('CERTIFICATE', '{} by {} #{}'.format(
            text, hookenv.local_unit(), count('signed ' + text))))


@when(AVAILABLE)
def install(tls):
    if AVAILABLE not in told('busy'):
        announced = unitdata.kv().get('announced', [])
        unitdata.kv().set('announced', announced + [text_in(tls.get_signed_cert())])
        clear_flag(AVAILABLE)


@when_not('never set: once in every hook and action')
def obey():
    obey_file('script.py')
    tls, kv = interface(), unitdata.kv()
    action = hookenv.action_name()
    if action == 'renew':
        ask_anew(tls)
    elif action == 'repeat' and key():  # it may have been forgotten since
        ask(tls, key())
    elif action == 'slow':
        kv.set('slow', True)
    elif action == 'refuse':
        kv.set('refuses', True)
    elif action == 'reissue':
        try:
            tls.reissue()
        except ValueError as error:  # this unit has just lost the leadership
            hookenv.action_fail(str(error))
    elif action == 'finish':
        kv.unset('slow')
        kv.unset('refuses')
        answer(tls, kv.get('desk', {}))
        kv.unset('desk')
    elif hookenv.hook_name() == 'install' and os.path.exists(here('disk/early')):
        ask(tls, key() or new_key())
    elif os.path.basename(sys.argv[0]) == 'renew-and-fail':
        ask_anew(tls)
        sys.exit(1)


def obey_file(name):
    script = told(name)
    if script:
        os.remove(here(name))
        results = []
        exec(script, {'tls': interface(), 'results': results,
                      'pem': pem, 'hookenv': hookenv, 'unitdata': unitdata})
        unitdata.kv().set('results', results)


hookenv.atstart(obey_file, 'early.py')
