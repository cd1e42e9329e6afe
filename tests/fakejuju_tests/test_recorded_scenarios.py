"""The double as 4.1, held against the recording of a running Juju 4.1 (recorded/README.md)."""
import json
import os
import re
import shutil
from collections import Counter

import pytest

from fakejuju.model import Model
from forked import ForkedJuju
from world import TESTS

pytestmark = pytest.mark.once

with open(str(TESTS / 'fakejuju_tests/recorded/scenarios.jsonl'), encoding='utf-8') as file:
    COMMON, *LINES = file

# Of each application's peer relation; the ids are the recorded model's.
RELATIONS = {'probe': 'ring:0', 'q': 'ring:1', 'bad-series2': 'ring:2', 'r': 'ring:3',
             's': 'ring:4'}

# What the recording has masked, a machine of the double has otherwise, or goal-state tells of other
# units: that changes between hooks, and becomes unknown when a machine is down.
MASKS = [(r'("(?!{unit}")[a-z0-9-]+/[0-9]+":{{"status":)"[^"]*"', r'\1"<status>"'),
         (r'"since":"[^"]*"', '"since":"<time>"'),
         (r'"mac-address":"[^"]*","interface-name":"[^"]*"',
          '"mac-address":"<mac>","interface-name":"<interface>"'),
         (r'"cidr":"[^"]*"', '"cidr":"<cidr>"')]

# Environment variables that have to be there, with another value.
NOT_COMPARED = {
    'CHARM_DIR': 'a path', 'JUJU_CHARM_DIR': 'a path', 'JUJU_AGENT_SOCKET_ADDRESS': 'a path',
    'PATH': 'forked hooks have no tools on it',
    'JUJU_MACHINE_ID': 'the double has a machine for each unit',
    'JUJU_MODEL_NAME': 'the operator chooses it', 'JUJU_MODEL_UUID': 'random',
    'JUJU_API_ADDRESSES': "the controller's", 'JUJU_CONTEXT_ID': 'random',
    'JUJU_ACTION_UUID': 'counted by the model', 'JUJU_ACTION_TAG': 'counted by the model',
    'JUJU_SECRET_ID': 'random, and masked', 'JUJU_SECRET_LABEL': 'masked',
    'JUJU_SECRET_REVISION': 'not noted'}


def read(text, unit):
    """A line of the file, or what is common to all of them, for this unit."""
    app = unit.split('/')[0]
    return json.loads(text.replace('<unit>', unit).replace('<app>', app)
                      .replace('<id>', RELATIONS.get(app, '')))


class Recorded(ForkedJuju):
    """Forked hooks, but `juju exec` runs the shell, with the tools on its PATH."""

    def execute(self, run, context, file, answers):
        path, self.forked = self.path, run.hook.kind != 'exec'
        if not self.forked:
            self.path = os.pathsep.join([str(self.scratch / 'tools'), path])
        super().execute(run, context, file, answers)
        self.path, self.forked = path, True

    def charm_directory(self, unit):
        return self.model.unit(unit).charm


class Replay:
    """One application, driven through the recording."""

    def __init__(self, app, directory):
        self.app, self.directory = app, directory
        model = Model(app, [], version='4.1-beta2.1')
        model.relation_count = int(RELATIONS[app].split(':')[1])
        model.add_relation('ring')
        self.juju = Recorded(self.charm(1), directory / 'units', model=model)
        self.juju.install_tools()
        self.machines = {}
        self.answers = {}      # unit -> {call: what was recorded last}
        self.chosen = {}       # unit -> the hook that its agent has decided to run
        self.in_flight = {}
        self.hooks = Counter()
        self.scenario = ''

    def charm(self, revision):
        charm = self.directory / str(revision)
        if not charm.exists():
            shutil.copytree(str(TESTS / 'fakejuju_tests/recorded/probe'), str(charm))
        return charm

    def play(self, text):
        line = json.loads(text)
        if 'scenario' in line:
            self.at_rest()
            self.scenario = line['scenario']
        elif 'do' in line and self.concerns(line['do'].split(' ')):
            verb, *words = line['do'].split(' ')
            getattr(self, verb.replace('-', '_'))(*words)
        elif 'ends' in line and self.concerns([line['ends']]):
            self.end(line['ends'])
        elif 'hook' in line and self.concerns([line['unit']]):
            self.hook(read(text, line['unit']))

    def concerns(self, words):
        return any(word.split('/')[0] == self.app for word in words)

    def at_rest(self):
        """Nothing is due where nothing was run for a while."""
        for unit in set(self.juju.units()) - set(self.in_flight) - set(self.chosen):
            hook = self.juju.next_hook(unit)
            if not self.juju.model.unit(unit).failed:
                assert hook is None, 'scenario {:.2}: after all that was recorded of {} the ' \
                    'double has {}'.format(self.scenario, unit, self.offered(hook))

    # What was asked of Juju, or happened to it.

    def deploy(self, app, revision, to, machines):
        self.juju.charm = self.charm(revision)
        for number, machine in enumerate(machines.split(',')):
            self.add_unit('{}/{}'.format(app, number), to, machine)

    def add_unit(self, unit, to, machine):
        assert self.juju.add_unit() == unit
        self.machines[unit] = machine

    def elect(self, unit):
        self.juju.elect(unit)

    def config(self, app, setting):
        key, _, value = setting.partition('=')
        value = int(value) if key == 'opt' else value
        if self.juju.model.config[key] != value:
            self.juju.model.config[key] = value
            for unit in self.juju.units():
                self.juju.config_changed(unit)

    def config_changed(self, unit):
        """Once more than asked for (JSRC F6)."""
        self.juju.model.unit(unit).due.add('config-changed')

    def reset(self, app, setting):
        """`juju config --reset`: no config-changed followed."""
        key, _, value = setting.partition('=')
        self.juju.model.config[key] = int(value)

    def update_status(self, unit):
        self.juju.update_status(unit)

    def run(self, unit, action, *params):
        self.juju.action(unit, action, **{key: True if value == 'true' else value for key, value in
                                          (param.split('=') for param in params)})

    def exec(self, unit, *words):
        command = ' '.join(words)
        for secret in self.juju.model.secrets:
            command = command.replace('<secret>', secret)
        self.juju.execute_command(unit, command)
        assert self.juju.next_hook(unit).kind == 'exec'
        self.juju.run(unit)

    def remove_unit(self, unit, force=None):
        (self.juju.forget_unit if force else self.juju.remove_unit)(unit)

    def remove_application(self, app):
        self.juju.remove_application()

    def restart(self, unit):
        self.juju.restart_agent(unit)

    def interrupt(self, unit):
        """Its agent is killed in the middle of a hook, and starts again."""
        self.order(unit, {'revision': self.revision(unit)})
        self.juju.run(unit, interrupted_at=10)

    def reboot(self, unit):
        self.juju.reboot(unit)

    def refresh(self, name, revision):
        for unit in self.juju.units():
            if name in (unit, self.app):
                self.juju.refresh(unit, self.charm(revision))

    def refuse(self, app, endpoints, *words):
        """A refresh to a charm with these peer endpoints."""
        charm = self.directory / endpoints
        shutil.copytree(str(TESTS / 'fakejuju_tests/recorded/probe'), str(charm))
        (charm / 'metadata.yaml').write_text(json.dumps({
            'name': 'probe', 'peers': {name: {'interface': 'x'} for name in endpoints.split(',')}}))
        for unit in self.juju.units():
            with pytest.raises(ValueError, match='^{}$'.format(re.escape(' '.join(words)))):
                self.juju.refresh(unit, charm)

    def resolve(self, unit, no_retry=None):
        self.juju.resolve(unit, retry=not no_retry)

    def choose(self, unit):
        """Its agent decides by what it has been told up to here; the hook starts later."""
        self.chosen[unit] = self.juju.next_hook(unit)

    # Hooks.

    def hook(self, line):
        unit = line['unit']
        self.hooks[unit] += 1
        self.where = 'scenario {:.2}, hook {} of {} (at {} s)'.format(
            self.scenario, self.hooks[unit], unit, line['at'])
        recorded = self.answers.setdefault(unit, read(COMMON, unit)['answers'])
        recorded.update(line.get('answers', {}))
        hook = self.chosen.pop(unit) if 'chosen' in line else self.juju.next_hook(unit)
        self.same('next hook', self.wanted(line), hook and self.offered(hook))
        self.order(unit, line)
        flight = self.juju.fly(unit, hook)
        run = next(flight)
        self.same('revision of the charm', line.get('revision', 1), self.revision(unit))
        self.compare_environments(line, run)
        self.compare_answers(line, run)
        self.same('exit code', line.get('exit', 0), run.exit_code)
        self.in_flight[unit] = flight
        if not line.get('goes on'):
            self.end(unit)

    def end(self, unit):
        next(self.in_flight.pop(unit), None)

    def revision(self, unit):
        return int(os.path.basename(self.juju.model.unit(unit).charm))

    def order(self, unit, line):
        """What the probe writes and how it exits is as recorded."""
        charm = self.charm(line.get('revision', 1))
        (charm / 'orders.json').write_text(json.dumps({
            'writes': line.get('writes', ()), 'exit': line.get('exit', 0),
            'endpoints': ['ring'] if charm.name == '1' else ['ring', 'second', 'circle']}))

    @staticmethod
    def wanted(line):
        return line['hook'], line.get('relation'), line.get('remote unit', ''), \
            line.get('departing', '')

    @staticmethod
    def offered(hook):
        folder = 'actions' if hook.kind == 'action' else 'hooks'
        return '{}/{}'.format(folder, hook.name), hook.relation, hook.remote_unit, hook.departing

    def same(self, what, recorded, double):
        assert recorded == double, '{}: {}: recorded {!r}, the double has {!r}'.format(
            self.where, what, recorded, double)

    def compare_environments(self, line, run):
        folder, name = line['hook'].split('/')
        recorded = dict(read(COMMON, line['unit'])['environment'], JUJU_DISPATCH_PATH=line['hook'],
                        JUJU_HOOK_NAME=name if folder == 'hooks' else '')
        if folder == 'actions':
            recorded.update(JUJU_ACTION_NAME=name, JUJU_ACTION_UUID='', JUJU_ACTION_TAG='')
        if 'relation' in line:
            recorded.update(JUJU_RELATION='ring', JUJU_RELATION_ID=line['relation'],
                            JUJU_REMOTE_UNIT=line['remote unit'],
                            JUJU_REMOTE_APP=line['remote app'])
        if 'departing' in line:
            recorded['JUJU_DEPARTING_UNIT'] = line['departing']
        recorded.update(dict.fromkeys(line.get('secret', ())))
        double = dict(run.env)
        del double['UNIT_STATE_DB']  # the double's own, so that forked hooks can share a charm
        self.same('variables of the environment', sorted(recorded), sorted(double))
        for key in sorted(set(recorded) - set(NOT_COMPARED)):
            self.same(key, recorded[key], double[key])

    def compare_answers(self, line, run):
        recorded, given = self.answers[run.unit], {}
        for call in run.calls:
            output = [self.masked(text, run.unit) for text in (call.stdout, call.stderr)]
            answer = [call.code] + output if call.code or call.stderr else output[0]
            if call.argv[0] != 'status-set':  # the probe does not note it
                given.setdefault(' '.join(call.argv), []).append(answer)
        self.same('calls', set(), set(line.get('answers', ())) - set(given))
        for call, answers in given.items():
            alike = answers.count(answers[0]) == len(answers)
            self.same(call, recorded.get(call), answers[0] if alike else {'each': answers})

    def masked(self, text, unit):
        """As in the recording, where addresses are those of machines."""
        for each, machine in self.machines.items():
            text = re.sub(re.escape(self.juju.model.address(each)) + r'(?!\d)', '@' + machine,
                          text)
        for pattern, mask in MASKS:
            text = re.sub(pattern.format(unit=unit), mask, text)
        return text


@pytest.mark.parametrize('app', [
    pytest.param(app, marks=pytest.mark.slow if app in ('q', 's') else ())
    for app in sorted(RELATIONS)])
def test_the_double_does_what_a_running_juju_did(app, tmp_path):
    replay = Replay(app, tmp_path)
    with replay.juju:
        for line in LINES:
            replay.play(line)
        replay.at_rest()
    assert replay.hooks and not replay.in_flight and not replay.chosen
