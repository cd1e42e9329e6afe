"""The CA of the application, as its leader has it."""
import secrets

from charmhelpers.core import hookenv, unitdata

from facts import END, USED, address_of, name_of, recall, relation_id
from pki import authority, csr, x509

# In the application bag, in PEM: the CA that signs, and those before it that are still trusted. A
# leader without its key makes no other CA.
CA = 'ca'
HERE, GONE, NONE = 'here', 'gone', 'none'  # where the CA's key is; None: that cannot be told now


def ca_state(bag):
    """Where the key of the CA that signs for this application is, going by the application bag."""
    if bag is None:
        return None
    own, published = authority.certificate(), first(bag.get(CA, ''))
    if published or own:
        # If the hook that made this CA was killed, the one published last is the one before it.
        return HERE if published in ('', own, first(authority.trusted()[len(own or ''):])) else GONE
    # Signed by an earlier version of this layer, which published no CA.
    signed_before = recall(USED) or any(key.endswith('_signed_certificate') for key in bag)
    return GONE if signed_before else NONE


def first(chain):
    return ''.join(x509.blocks(chain)[:1])


def make_ca(before=()):
    name = '{} CA {}'.format(name_of(hookenv.local_unit(), 48), secrets.token_hex(4))
    authority.make(name, before)


def missing(requests):
    """The units that have not installed their answer; a leader that never asked has none."""
    local = hookenv.local_unit()
    return [unit for unit, request in requests.items() if not request['in_use']
            and (unit, request['state']) != (local, 'none')]


def end_of_ca():
    """When the CA ends. openssl is asked once."""
    own, known = authority.certificate(), recall(END) or {}
    if known.get('ca') != own:
        known = {'ca': own, 'end': x509.dates(own)[1]}
        unitdata.kv().set(END, known)
    return known['end']


def publish_ca(bag):
    """Say which CA signs here. `bag` is what charmhelpers goes on showing in this hook."""
    hookenv.relation_set(relation_id(), {CA: authority.trusted()}, app=True)
    bag[CA] = authority.trusted()


def signed(unit, text):
    """The chain for a CSR; none of the names in it comes from the CSR."""
    name, address = name_of(unit), address_of(unit)
    names = ['DNS:' + name] + (['IP:' + address] if address else [])
    return authority.sign(name, csr.block(text), names)
