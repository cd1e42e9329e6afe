"""fakejuju with a charm that knows nothing but how to call hook tools: fixtures of its tests."""
import json
import shutil

import pytest

from forked import ForkedJuju

PROBE = '''#!/usr/bin/env python3
# Calls the hook tools that the test wrote down for this unit, and keeps environment and answers.
import json, os, subprocess
name = os.path.join(os.path.dirname(os.environ['JUJU_AGENT_SOCKET_ADDRESS']),
                    os.environ['JUJU_UNIT_NAME'].replace('/', '-'))
commands = []
if os.path.exists(name + '.ask'):
    with open(name + '.ask') as file:
        commands = json.load(file)
    os.remove(name + '.ask')
answers = []
for argv in commands:
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
    answers.append([done.returncode, done.stdout, done.stderr])
with open(name + '.answer', 'w') as file:
    json.dump({'env': dict(os.environ), 'answers': answers}, file)
'''
EVENTS = ('created', 'joined', 'changed', 'departed', 'broken')


@pytest.fixture(scope='module')
def probe(tmp_path_factory):
    charm = tmp_path_factory.mktemp('probe') / 'charm'
    (charm / 'actions').mkdir(parents=True)
    (charm / 'hooks').mkdir()
    (charm / 'metadata.yaml').write_text('{name: app, peers: {peers: {interface: any}}}')
    for name in ('install', 'config-changed', 'start', 'stop', 'remove', 'update-status',
                 'upgrade-charm', 'leader-elected', 'leader-settings-changed',
                 *('peers-relation-' + event for event in EVENTS)):
        (charm / 'hooks' / name).write_text(PROBE)
        (charm / 'hooks' / name).chmod(0o755)
    shutil.copy(str(charm / 'hooks/install'), str(charm / 'actions/act'))
    return charm


class Probed(ForkedJuju):
    """fakejuju with the words of these tests."""

    def start(self, units):
        names = [self.add_unit() for _ in range(units)]
        if names:
            self.elect(names[0])
        self.settle()

    def ask(self, unit, *commands, hook=False, **fault):
        """Run hook tools in an action (or in the next hook): [code, stdout, stderr] of each."""
        self.file(unit, '.ask').write_text(json.dumps([command.split() for command in commands]))
        if not hook:
            self.action(unit, 'act')
        self.last = self.run(unit, **fault)
        assert not self.file(unit, '.ask').exists()
        return self.seen(unit)['answers'] if self.last.exit_code == 0 else None

    def seen(self, unit):
        return json.loads(self.file(unit, '.answer').read_text())

    def file(self, unit, suffix):
        return self.scratch / (unit.replace('/', '-') + suffix)

    def one(self, unit, *command, **how):
        """The answer of one hook tool, json read."""
        (code, stdout, stderr), = self.ask(unit, ' '.join(command) + ' --format json', **how)
        assert (code, stderr) == (0, ''), stderr
        return json.loads(stdout)

    def told(self, unit, since=0):
        """The hooks that the unit ran, as 'changed app/1' (relation's) or 'install'."""
        return [self.short(run.hook) for run in self.runs[since:] if run.unit == unit]

    @staticmethod
    def short(hook):
        return hook and ' '.join(filter(None, [hook.kind if hook.relation else hook.name,
                                               hook.remote_unit]))


@pytest.fixture
def with_peers(probe, tmp_path):
    """with_peers(*peers): the probe with these peer endpoints."""
    def charm(*peers):
        directory = tmp_path / '-'.join(('charm',) + peers)
        shutil.copytree(str(probe), str(directory))
        (directory / 'metadata.yaml').write_text('{name: app, peers: {%s}}' % ', '.join(
            peer + ': {interface: any}' for peer in peers))
        for peer in peers:
            for event in EVENTS:
                shutil.copy(str(probe / 'hooks/install'),
                            str(directory / 'hooks/{}-relation-{}'.format(peer, event)))
        return directory
    return charm


@pytest.fixture(scope='module')
def at_rest(probe, tmp_path_factory):
    """at_rest(units, knobs): a model of them, made once, to copy from."""
    models = {}

    def model(units, knobs):
        key = units, tuple(sorted(knobs.items()))
        if key not in models:
            models[key] = Probed(probe, tmp_path_factory.mktemp('rest') / 'model', **knobs)
            models[key].start(units)
        return models[key]

    yield model
    for each in models.values():
        each.close()


@pytest.fixture
def deploy(at_rest, tmp_path):
    """deploy(units, **knobs): a model of the probe, at rest; each call gives a new one."""
    models = []

    def deploy(units=0, **knobs):
        models.append(at_rest(units, knobs).copy(tmp_path / str(len(models))))
        return models[-1]

    yield deploy
    for model in models:
        model.close()


@pytest.fixture(params=['forked', pytest.param('real', marks=pytest.mark.slow)])
def juju(request, deploy):
    """deploy, with both ways to run hooks."""
    return lambda units=0, **knobs: deploy(units, real=request.param == 'real', **knobs)
