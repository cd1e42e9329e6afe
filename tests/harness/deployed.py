"""The example deployed: what its units have on their disks, and what is done to them."""
from contextlib import contextmanager

from cryptography import x509

from fakejuju.forked import ForkedJuju
from handshake import Party, verify


def party(juju, unit):
    pki = juju.unit_directory(unit) / 'charm/pki'
    return Party(unit, pki / 'key.pem', pki / 'certificate.pem', pki / 'ca.pem',
                 juju.model.address(unit))


def parties(juju):
    return [party(juju, unit) for unit in juju.units()]


def served(juju):
    """Every unit is active, with a certificate for its key, of the CA that all trust."""
    assert {juju.status(unit)[0] for unit in juju.units()} == {'active'}
    assert len({each.ca.read_text() for each in parties(juju)}) == 1
    for each in parties(juju):
        verify(each)


def chain(juju, unit, name='certificate'):
    """What is in the unit's certificate.pem or ca.pem."""
    return x509.load_pem_x509_certificates(getattr(party(juju, unit), name).read_bytes())


def names(certificate):
    """Those that it is for, each as text."""
    return [str(name.value) for name in certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value]


def is_ca(certificate):
    return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca


def deploy(built, directory, units, **knobs):
    juju = ForkedJuju(built, directory, real=True, forked=True, **knobs)
    for _ in range(units):
        juju.add_unit()
    juju.elect('tls-example/0')
    juju.settle()
    return juju


def renew(juju, unit):
    """Run the action; the certificate before."""
    before = party(juju, unit).certificate.read_text()
    juju.action(unit, 'renew')
    juju.settle()
    return before


def look(juju, *units):
    """Run update-status on each, and what follows."""
    for unit in units:
        juju.update_status(unit)
        juju.settle()


def act(juju, unit, name, **params):
    """(status, what it says) of an action."""
    juju.action(unit, name, **params)
    action = juju.run(unit).action
    return action['status'], action['message'] or action['results'].get('result')


@contextmanager
def tampering():
    """Gives tamper(juju, unit, code): from then on each hook of that unit runs this first."""
    files = []

    def tamper(juju, unit, code):
        files.append(juju.unit_directory(unit) / 'charm/reactive/a_tampered.py')
        # Of another length each time: Python goes by that, and by the second, when it compiles.
        files[-1].write_text(code + '\n' * len(files))

    yield tamper
    for file in files:
        file.unlink(missing_ok=True)


def clock(days):
    """The code for a clock that is so many days ahead."""
    return 'import time\nright = time.time\ntime.time = lambda: right() + {}\n'.format(
        int(days * 86400))


ASK_WITH = '''
from pathlib import Path
from charms.reactive import endpoint_from_name, hook

@hook('ask-with')
def ask_with():
    endpoint_from_name('certificates').set_csr(Path('other.csr').read_text())
'''


def ask_with(juju, unit, csr):
    """Have the unit ask with this CSR, as a charm that makes its CSRs otherwise would."""
    charm = juju.unit_directory(unit) / 'charm'
    (charm / 'other.csr').write_text(csr)
    (charm / 'reactive/ask_with.py').write_text(ASK_WITH)
    juju.execute_command(unit, 'JUJU_HOOK_NAME=ask-with hooks/update-status')
    juju.run(unit)
    (charm / 'reactive/ask_with.py').unlink()
    juju.settle()
