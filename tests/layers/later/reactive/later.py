"""A charm layer whose certificates are signed elsewhere, hooks later; the README shows it."""
import hashlib
from pathlib import Path

from charmhelpers.core import hookenv
from charms.reactive import clear_flag, when


@when('sign certificate signing request')
def sign_elsewhere(tls):
    Path('queue').mkdir(exist_ok=True)
    for unit, csr in tls.get_csr_map().items():
        order = Path('queue', hashlib.sha256((unit + csr).encode()).hexdigest() + '.csr')
        signed = order.with_suffix('.pem')  # to which whoever signs moves it
        if signed.exists():
            tls.set_cert(unit, signed.read_text(), csr=csr)
            signed.unlink()  # the same CSR again is a new request
            order.unlink(missing_ok=True)
        else:
            order.write_text(csr)


@when('create certificate signing request')
def ask(tls):
    tls.set_csr(Path('request-{}.pem'.format(hookenv.local_unit().replace('/', '-'))).read_text())


@when('signed certificate available')
def install(tls):
    clear_flag('signed certificate available')
