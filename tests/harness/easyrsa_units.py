"""Units of the easy-rsa example, on the double: what stands on their disks, and tools that fail."""
import shutil
import tempfile
import time

from easyrsa_package import EASYRSA
from forked import ForkedJuju
from openssl_command import command, new_request, openssl

APP = 'tls-easyrsa'
INSTALLED = shutil.which('easyrsa') or EASYRSA.exists() and str(EASYRSA)

# Of `openssl ca`, for a CA that signs itself.
CONFIG = '''
[ca]
default_ca = files
[files]
database = {0}/index
serial = {0}/serial
new_certs_dir = {0}
default_md = sha256
policy = names
[names]
commonName = supplied
[ext]
basicConstraints = critical,CA:TRUE
subjectKeyIdentifier = hash
'''


class Units:
    """A model of them; the leader is the first, unless told."""

    def __init__(self, juju, directory):
        self.juju, self.directory = juju, directory
        self.bin = directory / 'bin'
        self.bin.mkdir(parents=True)
        juju.path = '{}:{}'.format(self.bin, juju.path)

    @classmethod
    def deploy(cls, built, directory, count, **knobs):
        units = cls(ForkedJuju(built, directory / 'model', real=True, forked=True, **knobs),
                    directory)
        for _ in range(count):
            units.juju.add_unit()
        if count:
            units.juju.elect(units.name(0))
            units.juju.settle()
        return units

    def copy(self, directory):
        juju = self.juju.copy(directory / 'model')
        juju.forked = True
        return Units(juju, directory)

    def name(self, number):
        return '{}/{}'.format(self.juju.model.app, number)

    def home(self, unit):
        return self.juju.unit_directory(unit) / 'charm'

    def files(self, unit):
        """(key, certificate, CA) that the unit uses."""
        return [(self.home(unit) / 'pki' / name).read_text()
                for name in ('key.pem', 'certificate.pem', 'ca.pem')]

    def status(self, unit):
        return ': '.join(self.juju.status(unit))

    def update_status(self, *units):
        """Of these units, or of all; then all that follows."""
        for unit in units or self.juju.units():
            self.juju.update_status(unit)
        self.juju.settle()

    def break_tool(self, name, script):
        """Have a shell script stand in for that tool, everywhere."""
        command(self.bin, name, script)

    def repair(self):
        for file in self.bin.iterdir():
            file.unlink()

    def asked(self, unit):
        """How often that unit has asked."""
        return int(self.juju.bag(unit).get('csr_number', 0))

    def action(self, unit, name, force=False):
        """What Juju tells of it when it is over."""
        self.juju.action(unit, name, force=force)
        run = next(run for run in iter(lambda: self.juju.run(unit), None) if run.action)
        print(run.story())  # shown if the test fails
        return run.task()

    def lose_ca(self, unit):
        link = self.home(unit) / 'easy-rsa/pki'
        shutil.rmtree(str(link.resolve()))
        link.unlink()

    def carry_ca(self, unit, other):
        """Copy it as a person would; the certificate."""
        source, target = [self.home(each) / 'easy-rsa/pki' for each in (unit, other)]
        shutil.copytree(str(source), str(target))
        return self.ca_on(other)

    def replace_ca(self, start, end):
        """Have the CA's certificate last from and to so many seconds from now."""
        leader = self.juju.model.leader
        certificate = self.home(leader) / 'easy-rsa/pki/ca.crt'
        key = certificate.parent / 'private/ca.key'
        work = certificate.parent / 'replacing'
        work.mkdir()
        for name, text in (('index', ''), ('serial', '01\n'), ('config', CONFIG)):
            (work / name).write_text(text.format(work))
        (work / 'csr').write_text(new_request(key.read_text(), '/CN=a CA'))
        certificate.write_text(openssl(
            'ca', '-selfsign', '-batch', '-notext', '-config', str(work / 'config'),
            '-extensions', 'ext', '-in', str(work / 'csr'), '-keyfile', str(key),
            '-startdate', moment(start), '-enddate', moment(end)))
        shutil.rmtree(str(work))
        self.juju.write_app(leader, ca=certificate.read_text())

    def ca_on(self, unit):
        """The certificate of the CA that this unit holds, or None."""
        file = self.home(unit) / 'easy-rsa/pki/ca.crt'
        return file.read_text() if file.exists() else None

    def expect_served(self, *units):
        """Every unit (or these) is active, with a certificate for its key, of the CA it trusts."""
        for unit in units or self.juju.units():
            assert self.juju.status(unit)[0] == 'active', self.status(unit)
            expect_fitting(*self.files(unit))
        assert len({self.files(unit)[2] for unit in units or self.juju.units()}) == 1

    def expect_no_failed_hook(self):
        assert [run.story() for run in self.juju.runs if run.exit_code] == []

    def sign(self, unit, start, end, leader=0):
        """A chain for that unit's request, by the CA of the leader, from and to these seconds."""
        home = self.home(self.name(leader)) / 'easy-rsa/pki'
        work = self.directory / 'signing'
        work.mkdir(exist_ok=True)
        (work / 'csr').write_text(self.juju.bag(unit)['csr'])
        (work / 'index').write_text('')
        (work / 'serial').write_text('{:032X}\n'.format(time.time_ns()))
        (work / 'config').write_text(
            '[ca]\ndefault_ca = files\n[files]\ndatabase = {0}/index\nserial = {0}/serial\n'
            'new_certs_dir = {0}\ndefault_md = sha256\npolicy = names\n[names]\n'
            'commonName = supplied\n[ext]\nsubjectAltName = IP:{1}\n'.format(
                work, self.juju.model.address(unit)))
        return openssl(
            'ca', '-batch', '-notext', '-config', str(work / 'config'), '-extensions', 'ext',
            '-in', str(work / 'csr'), '-cert', str(home / 'ca.crt'),
            '-keyfile', str(home / 'private/ca.key'), '-startdate', moment(start),
            '-enddate', moment(end)) + (home / 'ca.crt').read_text()

    def answer(self, unit, chain):
        """Have that stand in the application bag as the answer to the unit's request."""
        self.juju.write_app(self.juju.model.leader, **{unit + '_signed_certificate': chain})
        self.juju.settle()


def spoil(file, content):
    """Have that stand in the file, or, where it is None, no file there."""
    file.unlink()
    if content is not None:
        file.write_bytes(content)


def moment(seconds):
    return time.strftime('%Y%m%d%H%M%SZ', time.gmtime(time.time() + seconds))


def expect_fitting(key, certificate, ca):
    """The three belong together."""
    assert openssl('pkey', '-pubout', text=key) == openssl(
        'x509', '-noout', '-pubkey', text=certificate)
    with tempfile.NamedTemporaryFile('w') as file:
        file.write(ca)
        file.flush()
        openssl('verify', '-no_check_time', '-CAfile', file.name, text=certificate)
