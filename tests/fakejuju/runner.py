"""Runs the hooks of a model's units, and commits what they did."""
import copy
import errno
import json
import marshal
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import Counter, namedtuple
from pathlib import Path
from typing import Any, Dict, List, Tuple

import yaml

from . import reactive, tools
from .context import CommitFailed, Context
from .model import TASKS, Hook, Model, NotModelled

Call = namedtuple('Call', 'argv stdin code stdout stderr')

DISCONNECTED = 1, '', 'ERROR connection is shut down\n'
BASH = '/bin/bash'
# A unit that needs more hooks than this to settle is unlikely to be what a test intends.
MANY_HOOKS = 100000
LAST = 10  # hooks that are named when units do not settle
# What the model does by itself.
VERBS = 'elect', 'depose', 'remove_unit', 'kill_unit', 'forget_unit', 'next_hook'
# The unit's status before these hooks, and after them.
BEFORE = {'install': ('maintenance', 'installing charm software'),
          'stop': ('maintenance', 'stopping charm software'),
          'remove': ('maintenance', 'cleaning up prior to charm deletion')}
AFTER = {'start': ('unknown', ''), 'stop': ('maintenance', ''), 'remove': ('terminated', '')}


class Run:
    """One run of a hook: what it did and what became of it."""

    def __init__(self, unit, hook):
        self.unit = unit
        self.hook = hook
        self.env = {}
        self.exit_code = None
        self.committed = False
        self.interrupted = False  # by the end of the agent
        self.error = ''          # why Juju did not commit
        self.calls = []          # of hook tools, in order; a killed one has no code
        self.log = []            # (level, message) of juju-log
        self.stdout = ''
        self.stderr = ''
        self.changes = {}        # owner of a bag -> {key: (old, new)}; `app/0 in x:1` of a second
        self.action: Any = None  # of an action: results, status, message, log

    def task(self):
        """What Juju tells of an action or of `juju exec` that is over (JSRC C)."""
        results = dict(self.action['results'])
        results.update({name: each for name, each in (
            ('return-code', self.exit_code), ('stdout', self.stdout or None),
            ('stderr', self.stderr or None)) if each is not None})
        told = {name: self.action[name] for name in ('message', 'log') if self.action[name]}
        return dict(told, status=self.action['status'], results=results)

    def story(self):
        return '{}\n{}'.format(self, self.stderr or '\n'.join(
            text for level, text in self.log if level == 'ERROR'))

    def __str__(self):
        about = ' ({})'.format(self.hook.remote_unit) if self.hook.remote_unit else ''
        told = ['exit code {}'.format(self.exit_code),
                'committed' if self.committed else self.error or 'not committed']
        told += ['wrote {} of {}'.format(', '.join(sorted(keys)), owner)
                 for owner, keys in self.changes.items() if keys]
        return '{} of {}{}: {}'.format(self.hook.name, self.unit, about, ', '.join(told))

    def __repr__(self):
        return '<Run: {}>'.format(self)


class Killed(Exception):
    """The hook gets this signal at this call of a hook tool."""

    def __init__(self, number):
        super().__init__(number)
        self.signal = number


class Answers:
    """Answers the hook tools of one run, and brings in its faults."""

    def __init__(self, run, context, kill_at=None, fail_at=None, on_call=None, interrupted_at=None):
        self.run = run
        self.context = context
        self.signals = {kill_at: signal.SIGKILL, interrupted_at: signal.SIGTERM}
        self.fail_at = fail_at
        self.on_call = on_call or {}
        self.names = tools.tools_of(context.model.version)
        self.count = 0

    def __call__(self, argv, stdin, directory):
        """Exit code, stdout and stderr of the tool; None if there is none of that name."""
        if argv[0] not in self.names:
            return None
        try:
            argv, stdin = with_file(argv, stdin, directory)
            ''.join([*argv, stdin]).encode()
        except UnicodeError:
            raise NotModelled('text that is not UTF-8, in a call of ' + argv[0])
        if argv[0] != 'juju-log':
            self.count += 1
            if self.count in self.on_call:
                self.on_call[self.count]()
            if self.count in self.signals:
                self.run.calls.append(Call(argv, stdin, None, '', ''))
                self.run.interrupted = self.signals[self.count] == signal.SIGTERM
                raise Killed(self.signals[self.count])
        if self.count == self.fail_at and argv[0] != 'juju-log':
            result = DISCONNECTED
        else:
            result = tools.call(self.context, argv, stdin)
        self.run.calls.append(Call(argv, stdin, *result))
        return result


def with_file(argv, stdin, directory):
    """`--file path` as `--file -`: the file is no longer there when somebody looks at the call
    later."""
    if '--file' in argv[:-1]:
        at = argv.index('--file') + 1
        path = os.path.join(directory, argv[at])
        if argv[at] != '-' and os.path.isfile(path):
            with open(path, encoding='utf-8') as file:
                return argv[:at] + ['-'] + argv[at + 1:], file.read()
    return argv, stdin


class Juju:
    """A model of one application, and the agents of its units.

    `charm` is the directory of a built charm, `directory` a new one for the units' files. The knobs
    are those of Model; or `model` is one that already has units, with their files in `directory`.
    Unless `real`, units share the charm's directory. Use it as a context manager, or call close().
    """

    def __init__(self, charm, directory, real=True, app=None, model=None, **knobs):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=model is not None)
        self.charm = Path(charm)
        self.real = real
        self.metadata = yaml.safe_load((self.charm / 'metadata.yaml').read_text())
        endpoints = list(self.metadata.get('peers') or ())
        self.endpoint = endpoints[0] if endpoints else None
        self.model = model or Model(app or self.metadata['name'], endpoints, **knobs)
        options = self.charm / 'config.yaml'
        found = yaml.safe_load(options.read_text()) if options.exists() else None
        for name, option in ((found or {}).get('options') or {}).items():
            self.model.config.setdefault(name, option.get('default'))
        self.runs = []
        # unit -> its unitdata when it was new and after each hook, as JSON
        self.history: Dict[str, Tuple[str, ...]] = {}
        # A short path of its own: the address of a unix socket has at most 107 bytes.
        self.scratch = Path(tempfile.mkdtemp(prefix='fakejuju-'))
        self.agent = Agent(str(self.scratch / 'socket'))
        self.path = os.pathsep.join([
            os.path.dirname(sys.executable), '/usr/local/sbin', '/usr/local/bin',
            '/usr/sbin', '/usr/bin', '/sbin', '/bin'])
        if real:
            self.path = os.pathsep.join([str(self.install_tools()), self.path])

    def copy(self, directory):
        """Another model that goes on from this one's state, the units' files included."""
        other = type(self)(self.charm, directory, self.real, model=copy.deepcopy(self.model))
        for name in self.model.units:
            shutil.copytree(str(self.unit_directory(name)), str(other.unit_directory(name)),
                            symlinks=True)
        other.runs = list(self.runs)
        other.history = dict(self.history)
        return other

    def install_tools(self):
        """An executable for each hook tool; -S and -E halve the time that Python takes to start."""
        directory = self.scratch / 'tools'
        directory.mkdir()
        python = self.scratch / 'python'  # whose path may have blanks, which no #! line can have
        python.symlink_to(sys.executable)
        source = (Path(__file__).parent / 'hook-tool').read_text()
        for name in tools.tools_of(self.model.version):
            tool = directory / name
            tool.write_text('#!{} -SE\n{}'.format(python, source))
            tool.chmod(0o755)
        return directory

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.agent.close()
        shutil.rmtree(str(self.scratch))

    # What an operator does; the model's own verbs, and the files that go with them.

    def __getattr__(self, name):
        if name in VERBS:
            return getattr(self.model, name)
        raise AttributeError(name)

    def add_unit(self, name=None):
        name = self.model.add_unit(str(self.charm), name)
        home = self.unit_directory(name)
        if home.exists():
            shutil.rmtree(str(home))  # the predecessor's, whose name is used again
        home.mkdir()
        if self.real:
            shutil.copytree(str(self.charm), str(home / 'charm'))
        self.history[name] = ('{}',)
        return name

    def refresh(self, unit, charm, force=False):
        """Have a unit move to another build of the charm: next, or when it is no longer in error.

        In error it retries once more with the old code (JSRC B5). If that succeeds, upgrade-charm
        follows. If not, the code is swapped beneath the failed hook, and upgrade-charm never runs;
        with `force`, below Juju 4, that happens at once (JSRC F8, JS 10).
        """
        agent, self.charm = self.model.unit(unit), self.set_charm(charm)
        agent.upgrade = str(charm)
        if agent.failed and force and self.model.major < 4:
            self.deploy(unit)
        else:
            agent.due.add('upgrade-charm')

    def set_charm(self, charm):
        """Change the application's peer relations to those of the charm; the Path of the charm."""
        metadata = yaml.safe_load((Path(charm) / 'metadata.yaml').read_text())
        new, old = list(metadata.get('peers') or ()), list(self.metadata.get('peers') or ())
        if new != old:
            if self.model.major >= 4:  # JSRC F7
                gone = sorted(set(old) - set(new))
                raise ValueError('setting application "{}" charm: '.format(self.model.app) + (
                    'charm has no corresponding peer relation "{}". Please scale down to 0 units '
                    'to refresh'.format(gone[0]) if gone else
                    'one or more of the provided endpoints "{}" do not exist'.format(
                        ', '.join(['juju-info'] + sorted(new)))))
            for agent in self.model.units.values():
                for hook in (agent.failed, agent.queued, self.model.running.get(agent.name)):
                    if hook and hook.relation and hook.relation.split(':')[0] not in new:
                        raise NotModelled('a refresh without the endpoint of {}, which {} has yet '
                                          'to end'.format(hook.name, agent.name))
            # JSRC A15: at once, for a unit when it has the new code.
            for agent in self.model.units.values():
                agent.endpoints = agent.endpoints or old
            for relation in list(self.model.relations.values()):
                if relation.endpoint not in new:
                    self.model.remove_relation(relation.id)
            for endpoint in new:
                if endpoint not in old:
                    self.model.add_relation(endpoint)
            self.metadata, self.endpoint = metadata, new[0] if new else None
        return Path(charm)

    def deploy(self, unit):
        """Swap the unit's charm."""
        agent = self.model.unit(unit)
        if agent.upgrade is None:  # a retry of upgrade-charm has it already
            return
        old, agent.charm = agent.charm, agent.upgrade
        agent.upgrade = agent.endpoints = None
        agent.due.discard('upgrade-charm')
        self.model.watch_again(agent)
        if self.real:  # what the old revision brought goes, what the unit made stays
            home, new = self.unit_directory(unit) / 'charm', Path(agent.charm)
            for path in Path(old).rglob('*'):
                if path.is_file():
                    (home / path.relative_to(old)).unlink(missing_ok=True)
            for path in new.rglob('*'):
                if path.is_file():
                    target = home / path.relative_to(new)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(path), str(target))

    def action(self, unit, name, /, **params):
        """Queue an action; its Run tells the results."""
        self.model.unit(unit).actions.append(
            Hook(name, 'action', params=tuple(sorted(params.items()))))

    def execute_command(self, unit, command):
        """Queue a shell command, run with a hook's environment: `juju exec`."""
        try:
            command.encode()
        except UnicodeError:
            raise NotModelled('text that is not UTF-8, in a command of juju exec')
        self.model.unit(unit).actions.append(Hook(command, 'exec'))

    def config_changed(self, unit):
        """What `juju config` does: on an idle unit of Juju 4 config-changed runs twice (F6)."""
        agent = self.model.unit(unit)
        agent.config_again |= self.model.config_twice and self.next_hook(unit) is None
        agent.due.add('config-changed')

    def change_address(self, unit, address):
        """Juju rewrites its keys in the bag when config-changed is over (JSRC B7)."""
        self.model.addresses[unit] = address
        self.model.unit(unit).due.add('config-changed')

    def update_status(self, unit):
        self.model.unit(unit).due.add('update-status')

    def remove_application(self):
        for unit in self.units():
            self.model.remove_unit(unit)

    def restart_agent(self, unit):
        self.model.restart_agent(unit)
        agent = self.model.unit(unit)
        if agent.failed and agent.upgrade:  # as in `refresh`, where a retry fails
            self.deploy(unit)

    def reboot(self, unit):
        """Of the machine: the agent restarts, and start runs again (JSRC B6)."""
        self.restart_agent(unit)
        if self.model.unit(unit).started:
            self.model.unit(unit).due.add('start')

    def resolve(self, unit, retry=True):
        """`juju resolve`; a retry is what the unit runs next anyway (JSRC F5)."""
        if not self.model.unit(unit).failed:
            raise ValueError('unit "{}" is not in an error state'.format(unit))
        if not retry:
            self.skip(unit)

    def skip(self, unit):
        """Skip the unit's failed hook, or its next one: it counts as done, and is not run; the
        Hook.

        `juju resolve --no-retry` (JSRC A14), or a debug-hooks session that is left.
        """
        agent = self.model.unit(unit)
        failed = agent.failed and self.model.holds(agent, agent.failed)
        hook = agent.failed if failed else self.next_hook(unit)
        if hook is None or hook.kind in TASKS:
            raise ValueError('no hook is due on {}'.format(unit))
        if hook.kind == 'upgrade-charm':
            self.deploy(unit)
        self.model.begin(unit, hook)
        # In both cases its context was made, which discards what was cached of the remote unit.
        agent.cache.pop((hook.relation, hook.remote_unit), None)
        self.model.commit(unit, hook)
        self.model.end(unit)
        return hook

    def remove_relation(self, relation):
        self.model.destroy_relation(relation)

    # What the hook of one unit commits while another unit is in a hook.

    def write(self, unit, /, **settings):
        """Into the unit's own bag; '' deletes."""
        self.relation().units[unit].merge(settings, self.model.content_versions)

    def write_app(self, unit, /, **settings):
        if self.model.leader != unit:
            raise ValueError('{} does not lead'.format(unit))
        self.relation().app.merge(settings, self.model.content_versions)

    # Backups.

    def bags(self):
        """What all bags hold now, for `restore_bags`."""
        return {id_: {owner: (dict(bag.settings), bag.version)
                      for owner, bag in [*relation.units.items(), (self.model.app, relation.app)]}
                for id_, relation in self.model.relations.items()}

    def restore_bags(self, snapshot, owner=None):
        """All bags, or those of one owner, go back, with their versions: for units that have seen
        later versions they have changed. Units that came since keep their bags. (Where the
        controller was away, its agents restart, too: `restart_agent`.)
        """
        for id_, relation in self.model.relations.items():
            for name, bag in [*relation.units.items(), (self.model.app, relation.app)]:
                if owner in (None, name) and name in snapshot.get(id_, ()):
                    settings, bag.version = snapshot[id_][name]
                    bag.settings = dict(settings)

    def restore_unitdata(self, unit, hooks_ago=1):
        """Put back the unitdata that the unit had that many hooks ago."""
        history = self.history[unit]
        if not 0 <= hooks_ago < len(history):
            raise ValueError('{} has run {} hooks'.format(unit, len(history) - 1))
        self.set_unitdata(unit, history[-1 - hooks_ago])

    def lose_unitdata(self, unit):
        self.set_unitdata(unit, '{}')

    def set_unitdata(self, unit, text):
        self.model.unit(unit)
        reactive.restore(self.state_db(unit), json.loads(text))

    def unitdata_text(self, unit):
        return json.dumps(self.kv(unit), sort_keys=True)

    def add_relation_id(self, endpoint):
        return self.model.add_relation(endpoint)

    # What can be looked at.

    def units(self):
        return self.model.alive()

    def unit_directory(self, unit):
        return self.directory / unit.replace('/', '-')

    def relation(self, id_=None):
        """By id; without one, the newest of the first endpoint in metadata.yaml."""
        if id_ is None:
            id_ = [each.id for each in self.model.relations.values()
                   if each.endpoint == self.endpoint][-1]
        return self.model.relations[id_]

    def bag(self, unit, relation=None):
        bag = self.relation(relation).units.get(unit)
        return dict(bag.settings) if bag else {}

    def app_bag(self, relation=None):
        return dict(self.relation(relation).app.settings)

    def state_db(self, unit):
        home = self.unit_directory(unit)
        return home / 'charm/.unit-state.db' if self.real else home / 'state.db'

    def kv(self, unit):
        return reactive.kv(self.state_db(unit))

    def flags(self, unit):
        return reactive.flags(self.kv(unit))

    def status(self, unit):
        return self.model.unit(unit).status

    # Hooks.

    def run(self, unit, **faults):
        """Run the unit's next hook, perhaps with a fault.

        kill_at: the process is killed at its n-th call of a hook tool (juju-log not counted),
        before it is answered: an error. interrupted_at: the unit's agent stops there, with
        SIGTERM to the hook, and starts again: no error (JSRC B10). fail_at: that call fails, the
        agent having lost the controller for a moment. exit: the hook runs and is then taken to
        have exited with that code. fail_commit: the controller is away when the hook is over.
        depose_before_commit: the leadership is lost then. again: what the hook wrote is committed,
        but the agent dies before it notes that and runs the hook again (JSRC A13). on_call:
        {n: callable}, called before the n-th call.
        """
        flight = self.fly(unit, **faults)
        run = next(flight)
        next(flight, None)
        return run

    def fly(self, unit, hook=None, exit=0, fail_commit=False, depose_before_commit=False,
            again=False, **calls):
        """`run` in two steps, so that hooks of units overlap: yields the Run, and then commits.

        `hook`: that the agent has decided for earlier.
        """
        hook, agent = hook or self.next_hook(unit), self.model.unit(unit)
        if hook is None:
            raise ValueError('no hook is due on {}'.format(unit))
        run = Run(unit, hook)
        self.runs.append(run)
        if hook.kind == 'upgrade-charm':
            self.deploy(unit)
        file = self.hook_file(unit, hook)
        swaps = agent.upgrade and agent.failed == hook
        self.model.begin(unit, hook)
        self.set_status(unit, hook, BEFORE)
        try:
            if not file and hook.kind not in TASKS:  # counts as done; nothing is flushed (JS 3)
                run.exit_code, run.committed = 0, True
                yield run
                self.model.commit(unit, hook)
                return
            context = Context(self.model, unit, hook)
            if file or hook.kind == 'exec':
                self.execute(run, context, file, Answers(run, context, **calls))
            else:
                run.error = 'action not implemented on unit "{}"'.format(unit)
            self.history[unit] = (*self.history.get(unit, ()), self.unitdata_text(unit))
            run.log = context.log
            if run.exit_code is not None:
                run.exit_code = run.exit_code or exit
            run.action = context.action if hook.kind in TASKS else None
            yield run
            if depose_before_commit:
                self.depose()
            self.conclude(run, context, fail_commit, again)
        finally:
            self.model.end(unit)
            if run.committed:
                self.set_status(unit, hook, AFTER)
        if swaps and not run.committed:
            self.deploy(unit)

    def set_status(self, unit, hook, statuses):
        """Juju's own, around some hooks; install and start leave that of the charm (JSRC D19)."""
        agent = self.model.unit(unit)
        if hook.kind in statuses and not (agent.status_set and hook.kind in ('install', 'start')):
            agent.status = statuses[hook.kind]

    def conclude(self, run, context, fail_commit, again):
        """Commit what the hook wrote, or not, and have the agent go on."""
        unit, hook = run.unit, run.hook
        try:
            if run.error:
                raise CommitFailed(run.error)
            if (run.exit_code or run.interrupted) and hook.kind != 'exec':  # JSRC C1
                raise CommitFailed('exit code {}'.format(run.exit_code))
            if fail_commit:
                raise CommitFailed('the controller is away')
            run.changes = context.commit()
        except CommitFailed as error:
            run.error = str(error)
            if run.action:  # JSRC C3
                run.action['status'] = 'failed'
                if run.exit_code is None:  # never started
                    run.action['message'] = run.error
                elif run.exit_code and hook.kind == 'action':
                    run.action['message'] = 'exit status {}'.format(run.exit_code)
                else:
                    run.stderr += ('\n' if run.stderr else '') + run.error + '\n'
                    run.action['message'] = run.action['message'] \
                        or 'committing requested changes failed'
            if run.interrupted:
                self.interrupted(run)
            else:
                self.model.fail(unit, hook)
            return
        run.committed = True
        if again:
            run.error = 'the agent died before it had noted that'
            self.interrupted(run)
        else:
            self.model.commit(unit, hook)

    def interrupted(self, run):
        """A hook runs again, an action does not."""
        if run.action:
            run.action.update(status='failed', message='action terminated')
        self.model.requeue(run.unit, run.hook)

    def hook_file(self, unit, hook):
        """What the charm has for this hook, or None."""
        if hook.kind == 'exec':
            return None
        charm = Path(self.charm_directory(unit))
        if (charm / 'dispatch').exists():  # then it runs all of them, JUJU_DISPATCH_PATH says which
            return charm / 'dispatch'
        file = charm / ('actions' if hook.kind == 'action' else 'hooks') / hook.name
        return file if file.exists() else None

    def charm_directory(self, unit):
        if self.real:
            return str(self.unit_directory(unit) / 'charm')
        return self.model.unit(unit).charm

    def execute(self, run, context, file, answers):
        home, charm = self.unit_directory(run.unit), self.charm_directory(run.unit)
        run.env = context.environment(charm, self.agent.address, self.path,
                                      None if self.real else str(self.state_db(run.unit)))
        output = [str(home / name) for name in ('stdout', 'stderr')]
        try:
            pid, wait = self.start_hook(run, charm, file, output)
        except OSError as error:  # that file is no executable: a hook that fails, in Go's words
            number = error.errno or errno.EACCES
            run.error = ('exec: "{}": {}' if number == errno.EACCES else 'fork/exec {}: {}').format(
                file or BASH, os.strerror(number).lower())
            return
        self.agent.serve(answers, lambda number: os.killpg(pid, number))
        run.exit_code = wait()
        self.agent.end()
        run.stdout, run.stderr = (Path(path).read_text(errors='replace') for path in output)

    def start_hook(self, run, charm, file, output):
        """Start the hook in a process group of its own, so that all of it can be killed.

        Its id, and what waits for its exit code.
        """
        command = [str(file)]
        if run.hook.kind == 'exec':
            # As Juju does: a command is of any length, an argument is not.
            script = self.scratch / 'script.sh'
            script.write_text(run.hook.name, encoding='utf-8')
            command = [BASH, str(script)]
        with open(output[0], 'wb') as stdout, open(output[1], 'wb') as stderr:
            process = subprocess.Popen(command, cwd=charm, env=run.env, stdout=stdout,
                                       stderr=stderr, stdin=subprocess.DEVNULL,
                                       start_new_session=True)
        return process.pid, process.wait

    def settle(self, units=None, limit=MANY_HOOKS):
        """Run hooks, one per unit in turn, until none is due; their Runs.

        A hook that fails is tried again; the third failure in a row raises, and so does a unit that
        would have to run more than `limit` hooks.
        """
        __tracebackhide__ = True  # of pytest: what failed is the hook
        runs: List[Run] = []
        failures: Dict[str, int] = {}
        counts: Dict[str, int] = Counter()
        while True:
            busy = [unit for unit in self.units()
                    if (units is None or unit in units) and self.next_hook(unit)]
            if not busy:
                return runs
            for unit in busy:
                if not self.next_hook(unit):
                    continue
                if counts[unit] == limit:
                    raise AssertionError(restless(unit, limit, runs))
                run = self.run(unit)
                runs.append(run)
                counts[unit] += 1
                failures[unit] = 0 if run.committed else failures.get(unit, 0) + 1
                if failures[unit] == 3:
                    raise AssertionError(run.story())


def restless(unit, limit, runs):
    """A sentence on units that do not settle, and the hooks that keep coming."""
    return ('the units do not come to rest: {0} has run {1} hooks, and more are due. A handler '
            'that writes something else each time makes other hooks due for ever. If the charm '
            'needs more hooks, call settle(limit=NUMBER). The last hooks of all units:\n{2}'.format(
                unit, limit, '\n'.join('    {}'.format(run) for run in runs[-LAST:])))


class Agent:
    """Answers the hook tools of the one hook that runs, over a unix socket."""

    def __init__(self, address):
        self.address = address
        self.problem = None
        self.ready = threading.Event()
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(address)
        self.listener.listen(16)
        self.thread = threading.Thread(target=self.work, daemon=True)
        self.thread.start()

    def serve(self, answers, kill):
        """Answer this hook; `kill` ends it."""
        self.answers, self.kill = answers, kill
        self.ready.set()

    def end(self):
        """The hook is over; raise what went wrong in the double while it ran."""
        self.ready.clear()
        if self.problem:
            problem, self.problem = self.problem, None
            raise problem

    def work(self):
        """Tools of one unit are executed one at a time (JS 4.1)."""
        while True:
            connection, _ = self.listener.accept()
            with connection, connection.makefile('rb') as stream:
                received = stream.read()
                if not received:
                    return
                self.ready.wait()
                try:
                    request = marshal.loads(received)
                    if request.pop('context') != self.answers.context.id:
                        raise NotModelled('a process that outlives its hook')
                    answer = self.answers(**request)
                    connection.sendall(marshal.dumps(answer and tuple(answer)))
                except Killed as killed:
                    self.kill(killed.signal)
                except ConnectionError:  # the hook was killed
                    pass
                except Exception as problem:  # NotModelled, or an error in the double
                    self.problem = problem
                    self.kill(signal.SIGKILL)

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(self.address)
        self.thread.join()
        self.listener.close()
