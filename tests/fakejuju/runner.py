"""Runs the hooks of a model's units, forked or as real processes, and commits what they did."""
import atexit
import copy
import json
import marshal
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections import namedtuple
from pathlib import Path
from typing import Any, Dict, List

import yaml

from . import reactive, tools
from .context import CommitFailed, Context
from .model import TASKS, Hook, Model, NotModelled

Call = namedtuple('Call', 'argv stdin code stdout stderr')

DISCONNECTED = 1, '', 'ERROR connection is shut down\n'

# What is unlikely to be a test's intention: a unit that needs more hooks than this to settle.
MANY_HOOKS = 100000


class Run:
    """One run of a hook: what it did and what became of it."""

    def __init__(self, unit, hook):
        self.unit = unit
        self.hook = hook
        self.env = {}
        self.exit_code = None
        self.committed = False
        self.error = ''          # why Juju did not commit
        self.calls = []          # of hook tools, in order; a killed one has no code
        self.log = []            # (level, message) of juju-log
        self.stdout = ''
        self.stderr = ''
        self.changes = {}        # owner of a bag -> {key: (old, new)}
        self.action = None       # of an action: results, status, message, log

    def story(self):
        return '{} of {}: exit code {}, {}\n{}'.format(
            self.hook.name, self.unit, self.exit_code,
            'committed' if self.committed else self.error or 'not committed',
            self.stderr or '\n'.join(text for level, text in self.log if level == 'ERROR'))


class Killed(Exception):
    """The hook is killed at this call of a hook tool."""


class Answers:
    """Answers the hook tools of one run, and brings in its faults."""

    def __init__(self, run, context, kill_at=None, fail_at=None, on_call=None):
        self.run = run
        self.context = context
        self.kill_at = kill_at
        self.fail_at = fail_at
        self.on_call = on_call or {}
        self.names = tools.tools_of(context.model.version)
        self.count = 0

    def __call__(self, argv, stdin, directory):
        """Exit code, stdout and stderr of the tool; None if there is none of that name."""
        if argv[0] not in self.names:
            return None
        argv, stdin = with_file(argv, stdin, directory)
        if argv[0] != 'juju-log':
            self.count += 1
            if self.count in self.on_call:
                self.on_call[self.count]()
            if self.count == self.kill_at:
                self.run.calls.append(Call(argv, stdin, None, '', ''))
                raise Killed
        if self.count == self.fail_at and argv[0] != 'juju-log':
            result = DISCONNECTED
        else:
            result = tools.call(self.context, argv, stdin)
        self.run.calls.append(Call(argv, stdin, *result))
        return result


def with_file(argv, stdin, directory):
    """`--file path` as `--file -`: who looks at the call later finds no file any more."""
    if '--file' in argv[:-1]:
        at = argv.index('--file') + 1
        path = os.path.join(directory, argv[at])
        if argv[at] != '-' and os.path.isfile(path):
            with open(path, encoding='utf-8') as file:
                return argv[:at] + ['-'] + argv[at + 1:], file.read()
    return argv, stdin


class Forkserver:
    """The process of forkserver.py; one serves all models of this process."""

    _shared = None

    @classmethod
    def shared(cls):
        if cls._shared is None:
            cls._shared = cls()
            atexit.register(cls._shared.close)
        return cls._shared

    def __init__(self):
        env = dict(os.environ, PYTHONPATH=str(Path(__file__).parent.parent))
        self.process: Any = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-m', 'fakejuju.forkserver'], env=env,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, universal_newlines=True)

    def start(self, file, directory, env, stdout, stderr):
        """Start a hook; its pid."""
        request = {'file': file, 'directory': directory, 'env': env, 'stdout': stdout,
                   'stderr': stderr}
        self.process.stdin.write(json.dumps(request) + '\n')
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def wait(self):
        """The exit code of the hook that was started, as subprocess gives it."""
        return int(self.process.stdout.readline())

    def close(self):
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()


class Juju:
    """A model of one application, and the agents of its units.

    `charm` is the directory of a built charm, `directory` a new one for the units' files. `forked`:
    hooks of a real one are forked after all. The knobs are those of Model; or `model` is one that has units already, with their files there.
    Use it as a context manager, or call close().
    """

    def __init__(self, charm, directory, real=False, app=None, model=None, forked=None, **knobs):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=model is not None)
        self.charm = Path(charm)
        self.real = real         # each unit has the charm in a directory of its own
        self.forked = not real if forked is None else forked
        self.metadata = yaml.safe_load((self.charm / 'metadata.yaml').read_text())
        endpoints = list(self.metadata.get('peers') or ())
        self.endpoint = endpoints[0] if endpoints else None
        self.model = model or Model(app or self.metadata['name'], endpoints, **knobs)
        options = self.charm / 'config.yaml'
        if options.exists():
            for name, option in yaml.safe_load(options.read_text())['options'].items():
                self.model.config.setdefault(name, option.get('default'))
        self.runs = []
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
        other = type(self)(self.charm, directory, self.real, forked=self.forked,
                           model=copy.deepcopy(self.model))
        for name in self.model.units:
            shutil.copytree(str(self.unit_directory(name)), str(other.unit_directory(name)))
        other.runs = list(self.runs)
        return other

    def install_tools(self):
        """An executable for each hook tool; -S and -E halve the time that Python takes to start."""
        directory = self.scratch / 'tools'
        directory.mkdir()
        source = (Path(__file__).parent / 'hook-tool').read_text()
        for name in tools.tools_of(self.model.version):
            tool = directory / name
            tool.write_text('#!{} -SE\n{}'.format(sys.executable, source))
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

    def add_unit(self, name=None):
        name = self.model.add_unit(str(self.charm), name)
        home = self.unit_directory(name)
        if home.exists():
            shutil.rmtree(str(home))  # the predecessor's, whose name is used again
        home.mkdir()
        if self.real:
            shutil.copytree(str(self.charm), str(home / 'charm'))
        return name

    def refresh(self, unit, charm, force=False):
        """Bring a unit to another build of the charm; out of an error only by force (JS 10)."""
        agent = self.model.unit(unit)
        if agent.failed and not force:
            raise ValueError('unit "{}" is in an error state'.format(unit))
        endpoints = list(yaml.safe_load((Path(charm) / 'metadata.yaml').read_text())['peers'])
        if endpoints != list(self.metadata['peers']):
            raise NotModelled('a refresh that brings peer endpoints ' + ', '.join(endpoints))
        old, agent.charm = agent.charm, str(charm)
        self.charm = Path(charm)
        if self.real:  # what the old revision brought goes, what the unit made stays
            home = self.unit_directory(unit) / 'charm'
            for path in Path(old).rglob('*'):
                if path.is_file():
                    (home / path.relative_to(old)).unlink(missing_ok=True)
            for path in self.charm.rglob('*'):
                if path.is_file():
                    target = home / path.relative_to(self.charm)
                    target.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(str(path), str(target))
        if not agent.failed:
            agent.due.add('upgrade-charm')

    def action(self, unit, name, /, **params):
        """Queue an action; its Run tells the results."""
        self.model.unit(unit).actions.append(
            Hook(name, 'action', params=tuple(sorted(params.items()))))

    def execute_command(self, unit, command):
        """Queue a shell command, run with a hook's environment: `juju exec`."""
        self.model.unit(unit).actions.append(Hook(command, 'exec'))

    def config_changed(self, unit):
        self.model.unit(unit).due.add('config-changed')

    def update_status(self, unit):
        self.model.unit(unit).due.add('update-status')

    def elect(self, unit):
        self.model.elect(unit)

    def depose(self):
        self.model.depose()

    def remove_unit(self, unit):
        self.model.remove_unit(unit)

    def kill_unit(self, unit):
        self.model.kill_unit(unit)

    def forget_unit(self, unit):
        self.model.forget_unit(unit)

    def remove_application(self):
        for unit in self.units():
            self.model.remove_unit(unit)

    def restart_agent(self, unit):
        self.model.restart_agent(unit)

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

    def next_hook(self, unit):
        return self.model.next_hook(unit)

    def run(self, unit, kill_at=None, fail_at=None, exit=0, fail_commit=False,
            depose_before_commit=False, on_call=None):
        """Run the unit's next hook, perhaps with a fault.

        kill_at: the process is killed at its n-th call of a hook tool (juju-log not counted),
        before it is answered. fail_at: that call fails, the agent having lost the controller for
        a moment. exit: the hook runs and is then taken to have exited with that code.
        fail_commit: the controller is away when the hook is over. depose_before_commit: the
        leadership is lost then. on_call: {n: callable}, called before the n-th call.
        """
        hook = self.next_hook(unit)
        if hook is None:
            raise ValueError('no hook is due on {}'.format(unit))
        run = Run(unit, hook)
        self.runs.append(run)
        file = self.hook_file(unit, hook)
        if hook.kind != 'exec' and not file:  # counts as done; nothing is flushed (JS 3)
            if hook.kind == 'action':
                raise ValueError('action "{}" not defined'.format(hook.name))
            run.exit_code, run.committed = 0, True
            self.model.commit(unit, hook)
            return run
        context = Context(self.model, unit, hook)
        self.execute(run, context, file, Answers(run, context, kill_at, fail_at, on_call))
        run.log, run.exit_code = context.log, run.exit_code or exit
        run.action = context.action if hook.kind in TASKS else None
        if depose_before_commit:
            self.depose()
        try:
            if run.exit_code:
                raise CommitFailed('exit code {}'.format(run.exit_code))
            if fail_commit:
                raise CommitFailed('the controller is away')
            run.changes = context.commit()
        except CommitFailed as error:
            run.error = str(error)
            self.model.fail(unit, hook)
        else:
            run.committed = True
            self.model.commit(unit, hook)
        return run

    def hook_file(self, unit, hook):
        """What the charm has for this hook, or None."""
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
        # A hook runs in a process group of its own, so that all of it can be killed.
        if not self.forked:
            with open(output[0], 'wb') as stdout, open(output[1], 'wb') as stderr:
                command = ['/bin/bash', '-c', run.hook.name] if run.hook.kind == 'exec' \
                    else [str(file)]
                process = subprocess.Popen(command, cwd=charm, env=run.env, stdout=stdout,
                                           stderr=stderr, stdin=subprocess.DEVNULL,
                                           start_new_session=True)
            self.agent.serve(answers, lambda: os.killpg(process.pid, signal.SIGKILL))
            run.exit_code = process.wait()
        elif run.hook.kind == 'exec':
            raise NotModelled('juju exec in a forked hook')
        else:
            if not stat.S_IXUSR & file.stat().st_mode:
                raise PermissionError('{} is not executable'.format(file))
            server = Forkserver.shared()
            pid = server.start(str(file), charm, run.env, *output)
            self.agent.serve(answers, lambda: os.kill(pid, signal.SIGKILL))
            run.exit_code = server.wait()
        self.agent.end()
        run.stdout, run.stderr = (Path(path).read_text(errors='replace') for path in output)

    def settle(self, units=None):
        """One hook per unit in turn until none is due; their Runs.

        A hook that fails is tried again; the third failure in a row raises.
        """
        runs: List[Run] = []
        failures: Dict[str, int] = {}
        while True:
            busy = [unit for unit in self.units()
                    if (units is None or unit in units) and self.next_hook(unit)]
            if not busy:
                return runs
            for unit in busy:
                if not self.next_hook(unit):
                    continue
                run = self.run(unit)
                runs.append(run)
                failures[unit] = 0 if run.committed else failures.get(unit, 0) + 1
                if failures[unit] == 3:
                    raise AssertionError(run.story())
                if len(runs) > MANY_HOOKS:
                    raise AssertionError('it does not settle: ' + run.story())


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
                except Killed:
                    self.kill()
                except ConnectionError:  # the hook was killed
                    pass
                except Exception as problem:  # NotModelled, or an error in the double
                    self.problem = problem
                    self.kill()

    def close(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(self.address)
        self.thread.join()
        self.listener.close()
