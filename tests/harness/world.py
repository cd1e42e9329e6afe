"""The interface in a model: what the tests of the promises build, ask and look at."""
import base64
import copy
import hashlib
import json
import shutil
from pathlib import Path

from forked import ForkedJuju

TESTS = Path(__file__).parent.parent
ROOT = TESTS.parent
SHIPPED = ('peers.py', 'interface.yaml', 'README.md', 'copyright')

CREATE = 'create certificate signing request'
SIGN = 'sign certificate signing request'
AVAILABLE = 'signed certificate available'

METADATA = {
    'name': 'tls',
    'summary': 'A layer that only answers the flags.',
    'peers': {'certificates': {'interface': 'tls'}},
}


def pem(label, text):
    return '-----BEGIN {0}-----\n{1}\n-----END {0}-----\n'.format(
        label, base64.b64encode(text.encode()).decode())


def text_in(block):
    """The text that `pem` put a block around."""
    return base64.b64decode(block.split('-----')[2]).decode()


def id_of(number, csr):
    """The id of a request, as the wire has it."""
    return '{}-{}'.format(number, hashlib.sha256(csr.encode()).hexdigest())


def request(text):
    return pem('CERTIFICATE REQUEST', text)


def certificate(text):
    return pem('CERTIFICATE', text)


# What layer:basic's hooks do; of its own it does nothing, so all calls are the interface's.
HOOK = '''#!/usr/bin/env python3
import platform
import sys

if not hasattr(platform, 'linux_distribution'):
    # charmhelpers 1.2.1 refuses to be imported on Debian; it asks this function first, which
    # Python 3.8 has removed.
    platform.linux_distribution = lambda: ('Ubuntu', '', '')

sys.path.append('lib')

from charms.reactive import main

main()
'''


def assemble(charm, peers=ROOT / 'peers.py', layer=TESTS / 'layers/answers', metadata=METADATA):
    """Put a charm together as `charm build` does (test_end_to_end.py runs the real one)."""
    shutil.copytree(str(layer), str(charm), dirs_exist_ok=True)
    (charm / 'metadata.yaml').write_text(json.dumps(metadata))
    interface = charm / 'hooks/relations/tls'
    interface.mkdir(parents=True)
    (interface / '__init__.py').touch()
    shutil.copy(str(peers), str(interface / 'peers.py'))
    names = ['install', 'config-changed', 'leader-elected', 'leader-settings-changed', 'start',
             'stop', 'update-status', 'upgrade-charm']
    for endpoint in metadata['peers']:
        names += [endpoint + '-relation-' + kind
                  for kind in ('created', 'joined', 'changed', 'departed', 'broken')]
    (charm / 'actions').mkdir(exist_ok=True)
    actions = ['act', 'renew', 'repeat', 'slow', 'finish', 'refuse', 'reissue']
    (charm / 'bin').mkdir()
    for path in [charm / 'hooks' / name for name in names] \
            + [charm / 'actions' / name for name in actions] + [charm / 'bin/renew-and-fail']:
        if not path.exists():  # else the layer's own
            path.write_text(HOOK)
            path.chmod(0o755)
    return charm


class World:
    """Units of the charm made by `assemble`, with the words the promises are made in."""

    def __init__(self, charm, directory, juju=ForkedJuju, keys='', **knobs):
        """keys: where layers keep them: disk, early (and they ask in install), or unitdata."""
        self.keys = keys
        self.directory = directory
        self.juju = juju(charm, directory, **knobs)

    def copy(self, directory):
        other = copy.copy(self)
        other.directory, other.juju = directory, self.juju.copy(directory)
        return other

    def start(self, units):
        """Add that many units, the first the leader, and let it settle."""
        names = [self.add() for _ in range(units)]
        if names:
            self.juju.elect(names[0])
        self.juju.settle()
        return names

    def add(self, name=None, with_key=False):
        """A new unit; on a disk that has the key of its predecessor of that name, if asked for."""
        disk = self.juju.disk(name) if name else {}
        unit = self.juju.add_unit(name)
        if self.keys:
            files = {'made': disk.get('made', '0')}  # in this at least no key comes twice
            files.update({'early': ''} if self.keys == 'early' else {})
            files.update({'key': disk['key']} if with_key and 'key' in disk else {})
            self.juju.set_disk(unit, files)
        return unit

    def key(self, unit):
        """The text of the CSR that the layer makes by the key it has, or None."""
        return self.juju.disk(unit).get('key') if self.keys else self.juju.kv(unit).get('asks')

    def restore_disk(self, unit, hooks_ago):
        """Keys and unitdata of that unit are again as that many hooks ago."""
        made = {name: text for name, text in self.juju.disk(unit).items() if name == 'made'}
        self.juju.restore_disk(unit, hooks_ago)
        self.juju.set_disk(unit, dict(self.juju.disk(unit), **made))

    def lose_disk(self, unit):
        self.juju.lose_unitdata(unit)
        self.juju.set_disk(unit, {name: text for name, text in self.juju.disk(unit).items()
                                  if name != 'key'})

    def tell(self, unit, name, text):
        """Leave a file for the layer on that unit (see layers/answers)."""
        home = self.juju.state_db(unit).parent
        home.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)

    def do(self, unit, script, hook=False, **fault):
        """Run Python on the unit, `tls` being the interface object; the list `results` it made.

        It runs in an action (which goes before any hook that is due), or in the next hook.
        """
        self.tell(unit, 'script.py', script)
        if not hook:
            self.juju.action(unit, 'act')
        self.last = self.juju.run(unit, **fault)
        return self.juju.kv(unit).get('results')

    def ask(self, unit, text, **how):
        """set_csr with a PEM block around the text."""
        self.do(unit, 'tls.set_csr({!r})'.format(request(text)), **how)

    def answer_with(self, leader, unit, text, **how):
        """set_cert with a PEM block around the text."""
        self.do(leader, 'tls.set_cert({!r}, {!r})'.format(unit, certificate(text)), **how)

    def answer_csr(self, leader, unit, csr, text, **how):
        """set_cert with the CSR that the certificate is for."""
        self.do(leader, 'tls.set_cert({!r}, {!r}, csr={!r})'.format(
            unit, certificate(text), request(csr)), **how)

    def ask_and_show(self):
        """tls/1 asks `first`, and get_csr_map hands that out on the leader tls/0."""
        self.tell('tls/0', 'busy', SIGN)
        self.ask('tls/1', 'first')
        self.juju.settle()
        assert self.csr_map('tls/0') == {'tls/1': request('first')}

    def serve(self):
        """Have the layer of the leader tls/0 answer again, and settle."""
        self.tell('tls/0', 'busy', '')
        self.juju.update_status('tls/0')
        self.juju.settle()
        assert self.unserved() == []

    def heal(self, times=2):
        """What P15 allows: two update-status of every unit; other hooks would swallow them."""
        self.juju.settle()
        for _ in range(times):
            for unit in self.juju.units():
                self.juju.update_status(unit)
                assert self.juju.next_hook(unit).kind == 'update-status'
                self.juju.settle()

    def expect_healed(self):
        """P15: after two update-status all are served, with what they asked for, and at rest."""
        self.heal()
        assert self.unserved() == []
        for unit in self.juju.units():
            asked, got = text_in(self.juju.bag(unit)['csr']), text_in(self.certificate(unit))
            assert self.announced(unit)[-1] == got and got.startswith(asked + ' by ')
        before = [self.remembered(unit) for unit in self.juju.units()]
        number = len(self.juju.runs)
        self.heal(1)
        assert all(run.changes == {} for run in self.juju.runs[number:])
        assert [self.remembered(unit) for unit in self.juju.units()] == before
        assert all(self.flags(unit) == set() for unit in self.juju.units())
        assert all(run.exit_code == 0 for run in self.juju.runs)

    def write(self, unit, **settings):
        """Put that into the unit's own bag, as a peer gone bad would."""
        self.do(unit, 'hookenv.relation_set("certificates:0", {!r})'.format(settings))

    def write_app(self, leader, **settings):
        """Put that into the application bag."""
        self.do(leader, 'hookenv.relation_set("certificates:0", {!r}, app=True)'.format(settings))

    def refuse(self, unit='tls/1', **how):
        self.do('tls/0', 'tls.refuse_csr({!r}, "too weak")'.format(unit), **how)

    def reissue(self, *units, **how):
        self.do('tls/0', 'tls.reissue({})'.format(', '.join(map(repr, units))), **how)

    def refusal_seen_by(self, unit):
        return self.do(unit, 'results.append(tls.get_refusal())')[0]

    def remembered(self, unit):
        """Its unitdata, but for the context of the last hook."""
        kv = self.juju.kv(unit)
        if 'interface.tls' in kv:
            kv['interface.tls'] = dict(kv['interface.tls'], context=None)
        return kv

    def csr_map(self, unit, **how):
        """What get_csr_map() gives on that unit."""
        return self.do(unit, 'results.append(tls.get_csr_map())', **how)[0]

    def request_id(self, unit):
        """N-DIGEST of the request in the unit's bag."""
        bag = self.juju.bag(unit)
        return id_of(bag['csr_number'], bag['csr']) if 'csr_number' in bag else None

    def answer_id(self, unit):
        return self.juju.app_bag().get(unit + '_csr_id')

    def answer(self, unit):
        return self.juju.app_bag().get(unit + '_signed_certificate')

    def refusal(self, unit):
        return self.juju.app_bag().get(unit + '_refusal')

    def certificate(self, unit):
        """What the layer finds in unitdata."""
        return self.juju.kv(unit).get(unit + '_signed_certificate')

    def is_served(self, unit):
        """The unit has, and its layer was told of, the answer to its current request."""
        return bool(self.request_id(unit)) and self.request_id(unit) == self.answer_id(unit) \
            and self.certificate(unit) == self.answer(unit)

    def unserved(self):
        return [unit for unit in self.juju.units() if not self.is_served(unit)]

    def flags(self, unit):
        return {flag for flag in self.juju.flags(unit) if flag in (CREATE, SIGN, AVAILABLE)}

    def announced(self, unit):
        """The texts of the certificates that the layer was told of, in order."""
        return self.juju.kv(unit).get('announced', [])

    def signed(self):
        """How often the layers signed, all units together."""
        return sum(self.signed_by(unit) for unit in self.juju.units())

    def signed_by(self, unit):
        return sum(count for key, count in self.juju.kv(unit).items()
                   if key.startswith('signed '))


def at(run, tool, *arguments):
    """The number of the first call of that tool (with these arguments), as faults want it."""
    wanted = [tool, *arguments]
    numbers = [number for number, argv in enumerate(calls(run), 1)
               if set(wanted) <= set(argv) and argv[0] == tool]
    assert numbers, '{} is not among {}'.format(wanted, calls(run))
    return numbers[0]


def calls(run):
    """The hook-tool calls of a run, but for juju-log; the layer `answers` makes none."""
    return [call.argv for call in run.calls if call.argv[0] != 'juju-log']


def logged(run):
    return '\n'.join(message for _, message in run.log)
