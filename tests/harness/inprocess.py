"""A second way to run hooks: in this process, for histories by the thousand.

It does for a hook what hook_server.py does, and undoes it afterwards. The charm's modules
are imported anew by each hook; whatever of the frameworks lives as long as a process is put back,
and unitdata are in memory: what is not flushed when the hook ends is lost, as it would be with
the process. test_random_histories.py holds it against forked hooks.

For charms that start no processes but hook tools.
"""
import contextlib
import io
import json
import os
import pickle
import subprocess
import sys
import warnings
from typing import Any, Dict, List, Tuple

from fakejuju import hook_server
from fakejuju.reactive import PASSING
from fakejuju.runner import Killed
from fakejuju.forked import ForkedJuju, script_of


class Ended(BaseException):
    """The hook ends here: no charm catches this."""


class Frameworks:
    """charms.reactive and charmhelpers as a new process has them; to be made in the hook's
    environment.
    """

    registered: List[Any] = []  # what they have run at the start and at the end of each hook

    charm = None  # the last hook's: its metadata.yaml, which takes long to parse, stays parsed

    def __init__(self, charm, values):
        hook_server.preload()
        from charmhelpers.core import hookenv, unitdata
        from charms.reactive import RelationBase, bus, trace
        if not self.registered:
            self.registered.extend(
                [each for each in calls if each[0].__module__.startswith('charms.')]
                for calls in (hookenv._atstart, hookenv._atexit))
        hookenv._atstart[:], hookenv._atexit[:] = self.registered
        for _, arguments, _ in hookenv._atstart:
            for each in arguments:
                if isinstance(each, trace.LogTracer):
                    each.__init__()  # it was made when its module was imported
        for key in list(hookenv.cache):
            if Frameworks.charm != charm or not key.startswith('["<function metadata '):
                del hookenv.cache[key]
        Frameworks.charm = charm
        hookenv._cache_config = trace._tracer = None
        bus.Handler.clear()
        RelationBase._cache.clear()
        self.unitdata = unitdata
        unitdata._KV = unitdata.Storage(':memory:')
        unitdata._KV.cursor.executemany('insert into kv (key, data) values (?, ?)', [
            (key, json.dumps(value)) for key, value in values.items()])
        unitdata._KV.flush()

    def kept(self):
        """Unitdata that outlive the process, as JSON."""
        kv, self.unitdata._KV = self.unitdata._KV, None
        kv.flush(False)
        rows = kv.cursor.execute('select key, data from kv order by key').fetchall()
        kv.close()
        return json.dumps({key: json.loads(data) for key, data in rows})


class InProcessJuju(ForkedJuju):
    """A Juju that starts no process, and can go back to a state that it had."""

    def __init__(self, charm, directory, real=False, **knobs):
        super().__init__(charm, directory, real, **knobs)
        self.files: Dict[Any, Any] = {}      # hook -> what the charm has for it
        self.unitdata: Dict[str, str] = {}   # unit -> JSON
        self.disks: Dict[str, str] = {}      # the same, of the files in `disk`
        self.disk_history: Dict[str, Tuple[str, ...]] = {}  # as `history`

    def copy(self, directory):
        other = super().copy(directory)
        other.unitdata, other.disks = dict(self.unitdata), dict(self.disks)
        other.disk_history = dict(self.disk_history)
        return other

    def save(self):
        return pickle.dumps(self.model, -1), dict(self.unitdata), dict(self.history), \
            dict(self.disks), dict(self.disk_history)

    def load(self, state):
        self.model = pickle.loads(state[0])
        self.unitdata, self.history = dict(state[1]), dict(state[2])
        self.disks, self.disk_history = dict(state[3]), dict(state[4])

    def add_unit(self, name=None):
        name = super().add_unit(name)
        self.unitdata[name] = '{}'
        self.set_disk(name, {})
        self.disk_history[name] = (self.disks[name],)
        return name

    def disk(self, unit):
        return json.loads(self.disks[unit])

    def set_disk(self, unit, files):
        self.disks[unit] = json.dumps(files, sort_keys=True)

    def laid_out(self, unit):
        """What is in the directory itself: that of the last hook of that unit in this process."""
        return json.dumps(super().disk(unit), sort_keys=True)

    def restore_disk(self, unit, hooks_ago):
        """Unitdata, and the files with them."""
        self.restore_unitdata(unit, hooks_ago)
        self.disks[unit] = self.disk_history[unit][-1 - hooks_ago]

    def fly(self, unit, *arguments, **named):
        flight = super().fly(unit, *arguments, **named)
        for run in flight:
            past = self.disk_history[unit] + (self.disks[unit],)
            self.disk_history[unit] = past[:len(self.history[unit])]  # no hook file, no history
            yield run

    def kv(self, unit):
        return {key: value for key, value in json.loads(self.unitdata[unit]).items()
                if not key.startswith(PASSING)}

    def unitdata_text(self, unit):
        return json.dumps(self.kv(unit), sort_keys=True)

    def set_unitdata(self, unit, text):
        self.unitdata[unit] = text

    def hook_file(self, unit, hook):
        key = self.charm_directory(unit), hook.kind == 'action', hook.name
        if key not in self.files:
            self.files[key] = super().hook_file(unit, hook)
        return self.files[key]

    def execute(self, run, context, file, answers):
        charm = self.charm_directory(run.unit)
        file = file or script_of(charm, run.hook)
        run.env = context.environment(charm, self.agent.address, self.path,
                                      str(self.state_db(run.unit)))
        problem = []

        def ask(argv, stdin):
            try:
                return answers(argv, stdin, os.getcwd())
            except Exception as error:
                problem.append(error)
                raise Ended()

        if self.laid_out(run.unit) != self.disks[run.unit]:
            super().set_disk(run.unit, self.disk(run.unit))
        with as_a_process(charm, run.env, str(file)) as (stdout, stderr):
            frameworks = Frameworks(charm, json.loads(self.unitdata[run.unit]))
            hook_server.answer_hook_tools(
                ask, lambda fd, text: (stdout, stderr)[fd - 1].write(text))
            run.exit_code = hook_server.exit_code_of(str(file))
            self.unitdata[run.unit] = frameworks.kept()
        self.disks[run.unit] = self.laid_out(run.unit)  # also of a hook that was killed
        run.stdout, run.stderr = stdout.getvalue(), stderr.getvalue()
        if problem and not isinstance(problem[0], Killed):
            raise problem[0]
        if problem:
            run.exit_code = -problem[0].signal


@contextlib.contextmanager
def as_a_process(directory, env, file):
    """What a process has of its own; (stdout, stderr)."""
    before = dict(os.environ), os.getcwd(), list(sys.path), sys.argv, subprocess.run, \
        subprocess.call, sys.dont_write_bytecode
    stdout, stderr = io.StringIO(), io.StringIO()
    try:
        become(env)
        os.chdir(directory)
        sys.argv, sys.dont_write_bytecode = [file], False
        for name, module in list(sys.modules.items()):
            # A package without __init__.py holds nothing, and looks itself at where it is.
            if name.split('.')[0] in ('reactive', 'relations') and module.__file__:
                del sys.modules[name]
        with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr), \
                warnings.catch_warnings():
            warnings.simplefilter('ignore')
            yield stdout, stderr
    finally:
        become(before[0])
        os.chdir(before[1])
        sys.path[:] = before[2]
        sys.argv, sys.dont_write_bytecode = before[3], before[6]
        vars(subprocess).update(run=before[4], call=before[5])


def become(env):
    """Have that environment; what is the same is not set again, which takes time."""
    for name in set(os.environ) - set(env):
        del os.environ[name]
    os.environ.update({name: value for name, value in env.items()
                       if os.environ.get(name) != value})
