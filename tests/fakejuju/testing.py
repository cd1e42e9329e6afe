"""For tests of a charm: one application on the double, driven in the words of jubilant.

The pytest fixture `juju` is a `Deployment` (plugin.py). Most methods only say what is wanted.
`settle` runs hooks until none is due; `update_status`, `run` and `exec` run their hook, action or
command.
"""
import dataclasses
import shlex
import shutil
import tempfile
from collections import namedtuple
from pathlib import Path
from typing import Any, Dict, List

from . import charm as charm_files
from . import cli
from .faults import FAULTS, WITH_NUMBER, calls, met
from .forked import ForkedJuju
from .model import TASKS, NotModelled
from .runner import Run
from .tools import ToolError
from .usable import Unusable, expect_harmless, open_charm

__all__ = ['Deployment', 'NotModelled', 'Status', 'Task', 'TaskError', 'Unusable']

# How many hooks a unit may run in one `settle`. From nothing to served, units of the example run 12
# each if they are three, and 33 if they are ten.
LIMIT = 200
# The status of a unit's workload, as in `juju status`.
Status = namedtuple('Status', 'current message')


@dataclasses.dataclass(frozen=True)
class Task:
    """The result of an action or of `exec`, as in jubilant."""

    status: str
    results: Dict[str, Any] = dataclasses.field(default_factory=dict)
    return_code: int = 0
    stdout: str = ''
    stderr: str = ''
    message: str = ''
    log: List[str] = dataclasses.field(default_factory=list)

    @property
    def success(self):
        return self.status == 'completed' and self.return_code == 0

    def __str__(self):
        told = ['{}: {}'.format(name.replace('_', ' '), value) for name, value in (
            ('message', self.message), ('results', self.results), ('log', self.log),
            ('stdout', self.stdout), ('stderr', self.stderr)) if value]
        return '\n'.join(['{}, return code {}'.format(self.status, self.return_code)] + told)


class TaskError(Exception):
    """An action or `exec` failed; `task` says how."""

    def __init__(self, task):
        super().__init__(task)
        self.task = task


class Fault:
    """A fault for the next hook of that name, on that unit or on any."""

    def __init__(self, hook, unit, kind, number):
        self.hook, self.unit, self.kind, self.number = hook, unit, kind, number

    def __str__(self):
        return '{}{} at {} of {}'.format(
            self.kind, '={}'.format(self.number) if self.kind in WITH_NUMBER else '', self.hook,
            self.unit or 'any unit')


class FaultyJuju(ForkedJuju):
    """A Juju that has faults in store, each for the next hook of its name."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.faults: List[Fault] = []
        self.unmet: List[str] = []

    def run(self, unit, **options):
        hook = self.next_hook(unit)
        fault = next((each for each in self.faults if hook and each.hook == hook.name
                      and each.unit in (None, unit)), None)
        if not fault:
            return super().run(unit, **options)
        self.faults.remove(fault)
        if fault.kind == 'skipped':
            run = Run(unit, self.skip(unit))
            run.committed = True
            self.runs.append(run)
            return run
        run = super().run(unit, **options, **FAULTS[fault.kind](self, fault.number))
        if not met(run, fault.kind, fault.number):
            self.unmet.append('{}, which ran on {} with {} calls of hook tools'.format(
                fault, unit, calls(run)))
        return run


class Deployment:
    """A model with one application; a context manager.

    directory: a new one for the units' files; by default a temporary one. processes: each hook and
    each hook tool is started as a process, as on Juju, which takes ten times as long.
    """

    def __init__(self, directory=None, processes=False):
        self._scratch = Path(tempfile.mkdtemp(prefix='fakejuju-'))
        self._directory = Path(directory or self._scratch / 'units')
        self._processes = processes
        self._double = None

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.close()
        if kind is None and self.unmet():
            raise AssertionError(self.unmet())

    def close(self):
        if self._double:
            self._double.close()
        shutil.rmtree(str(self._scratch), ignore_errors=True)

    @property
    def double(self):
        """The Juju (runner.py) behind this, for what is not offered here; RuntimeError before
        deploy."""
        if not self._double:
            raise RuntimeError('nothing is deployed: call deploy first')
        return self._double

    def is_deployed(self):
        return bool(self._double)

    @property
    def _model(self):
        return self.double.model

    # What an operator does.

    def deploy(self, charm, app=None, *, num_units=1, config=None, version=None, **knobs):
        """Deploy a built charm, a directory or a charm file; returns the names of its units.

        app: the name of the application, by default the charm's. config: options and their values.
        version: of Juju (2.9, 3.x, 4.x), by default JUJU_VERSION, or 3.6.8. knobs: those of Model
        (model.py). The first unit leads. Raises Unusable for a charm that is not there, not built,
        or cannot run here.
        """
        __tracebackhide__ = True
        if self._double:
            raise RuntimeError('{} is deployed, and a model has one application'.format(
                self._model.app))
        version = cli.version_of_juju(version)
        directory = self._open(charm, 'charm', version)
        self._double = FaultyJuju(directory, self._directory, real=True, app=app, version=version,
                                  forked=not self._processes, **knobs)
        if config:
            self._model.config.update(self._checked(config))
        return self.add_unit(num_units)

    def _open(self, charm, name, version):
        __tracebackhide__ = True
        try:
            directory = open_charm(charm, self._scratch / name, version)
        except NotModelled as error:
            raise Unusable('no charm for fakejuju at {}: it does not model {}'.format(charm, error))
        except ToolError as error:
            raise Unusable('no charm at {}: {}'.format(charm, error))
        expect_harmless(directory, charm)
        return directory

    def add_unit(self, num_units=1):
        """Add units; returns their names."""
        names = [self.double.add_unit() for _ in range(num_units)]
        cli.elect(self._model)
        return names

    def remove_unit(self, *units):
        """Have these units leave. If the leader is among them, `settle` has another unit lead."""
        for unit in units:
            self.double.remove_unit(unit)

    def refresh(self, charm):
        """Refresh every unit to another build of the charm."""
        new = self._open(charm, 'refresh-{}'.format(len(self.hooks)), self._model.version)
        for unit in self.units():
            self.double.refresh(unit, new)

    def config(self, values=None, *, reset=()):
        """Set options, or reset them to their defaults; returns all options."""
        changes = self._checked(values or {})
        defined = self._options()
        for name in [reset] if isinstance(reset, str) else reset:
            changes[name] = defined.get(name, {}).get('default')
            self._checked({name: changes[name]})
        if any(self._model.config.get(name) != value for name, value in changes.items()):
            self._model.config.update(changes)
            for unit in self.units():
                self.double.config_changed(unit)
        return dict(self._model.config)

    def _options(self):
        return cli.read(self.double.charm, 'config.yaml').get('options') or {}

    def _checked(self, values):
        options = self._options()
        for name, value in values.items():
            if name not in options:
                raise ValueError('no option {} in config.yaml, which has {}'.format(
                    name, ', '.join(sorted(options)) or 'none'))
            kind = options[name].get('type', 'string')
            if value is not None and (not isinstance(value, charm_files.TYPES[kind])
                                      or isinstance(value, bool) is not (kind == 'boolean')):
                raise ValueError('option {} is of type {}, not {!r}'.format(name, kind, value))
        return dict(values)

    def elect(self, unit):
        """Have this unit lead; the former leader learns of it when its hook is over."""
        self.double.elect(unit)

    def change_address(self, unit, address):
        """Have the unit's address change, and with it `ingress-address` in its bag."""
        self.double.change_address(unit, address)

    def write(self, unit, /, **settings):
        """Write into the unit's own bag, behind its charm's back, as a peer gone bad would; ''
        deletes.
        """
        self.double.write(unit, **settings)

    def write_app(self, **settings):
        """Write into the application bag, as a leader gone bad would; '' deletes."""
        self.double.write_app(self.leader, **settings)

    # What is run.

    def settle(self, limit=LIMIT):
        """Run hooks, one per unit in turn, until none is due; a unit that is not leaving leads.

        Returns the Runs (runner.py). A hook that fails three times in a row raises AssertionError
        with what it wrote to stderr. So does a unit that would have to run more than `limit` hooks,
        with the last hooks and what they wrote: the charm loops, or the limit is too low for it.
        """
        __tracebackhide__ = True
        runs: List[Run] = []
        while True:
            cli.elect(self._model)
            new = self.double.settle(limit=limit)
            if not new:
                return runs
            runs += new

    def due(self, unit):
        """The hook that the unit runs next, a Hook (model.py) with name, relation and remote_unit;
        None if none is due.
        """
        return self.double.next_hook(unit)

    def run_hook(self, unit):
        """Run the hook that is due on that unit, and no other; returns its Run.

        Raises ValueError if none is due.
        """
        return self.double.run(unit)

    def update_status(self, *units):
        """Run update-status on these units, or on all, one unit after the other; returns the Runs.

        A unit first runs what is due on it, because any other hook takes the place of update-status
        on Juju. What becomes due on other units waits for `settle`. Raises ValueError for a unit
        that is leaving, and AssertionError as `settle` does.
        """
        __tracebackhide__ = True
        before = len(self.double.runs)
        for unit in units or [name for name in self.units() if not self._leaves(name)]:
            if self._leaves(unit):
                raise ValueError('{} is leaving, and runs no update-status'.format(unit))
            self.double.settle([unit], LIMIT)
            self.double.update_status(unit)
            self._until(unit, lambda run: (run and run.hook.kind == 'update-status'
                                           and run.committed))
        return self.double.runs[before:]

    def _leaves(self, unit):
        return self._model.unit(unit).life != 'alive'

    def run(self, unit, action, params=None):
        """Run an action; returns its Task. Hooks that have to run before it do; other hooks wait.

        Raises ValueError for an action that the charm does not have, TaskError for one that fails
        or does not take these parameters.
        """
        __tracebackhide__ = True
        definition = cli.read(self.double.charm, 'actions.yaml').get(action)
        if definition is None:
            raise ValueError('no action {} in actions.yaml'.format(action))
        wrong = cli.wrong_params(definition, params or {}, self._model.major >= 4)
        if wrong:
            raise TaskError(Task('error', message=wrong))
        return self._task(unit, lambda: self.double.action(
            unit, action, **cli.with_defaults(definition, params or {})))

    def exec(self, command, *arguments, unit):
        """Run a shell command on the unit, with hook tools, as `juju exec` does; its Task.

        A single string is passed to the shell as it is. Raises TaskError if it fails.
        """
        __tracebackhide__ = True
        command = ' '.join([command, *map(shlex.quote, arguments)])
        return self._task(unit, lambda: self.double.execute_command(unit, command))

    def _task(self, unit, queue):
        __tracebackhide__ = True
        self._until(unit, lambda run: self._model.unit(unit).started)
        queue()
        told = self._until(unit, lambda run: run and run.hook.kind in TASKS).task()
        results = told.pop('results')
        task = Task(results=results, return_code=results.pop('return-code', 0),
                    stdout=results.pop('stdout', ''), stderr=results.pop('stderr', ''), **told)
        if not task.success:
            raise TaskError(task)
        return task

    def _until(self, unit, over):
        __tracebackhide__ = True
        run, failures = None, 0
        while not over(run):
            run = self.run_hook(unit)
            failures = 0 if run.committed or run.hook.kind in TASKS else failures + 1
            if failures == cli.FAILURES:
                raise AssertionError(run.story())
        return run

    # Faults.

    def fault(self, hook, unit=None, **what):
        """Inject a fault into the next hook (or action) of that name, on that unit or on any.

        kill=N, fail=N, interrupted=N: at its N-th call of a hook tool (juju-log does not count) the
        hook is killed; that call fails; the agent restarts. regained=N: at that call the leadership
        is lost and won again. exit=CODE: the hook counts as failed with that exit code.
        uncommitted=True: Juju cannot commit what it wrote. deposed=True: the leadership is lost
        before the commit. again=True: it is committed, and runs again. skipped=True: it is not run
        and counts as done. A test fails if a fault was not met.
        """
        (kind, number), = what.items() if len(what) == 1 else [('', 0)]
        if kind not in FAULTS or type(number) is not (int if kind in WITH_NUMBER else bool) \
                or number < 1:
            raise ValueError('no fault {}: there are {}'.format(what, ', '.join(
                kind + ('=NUMBER' if kind in WITH_NUMBER else '=True') for kind in FAULTS)))
        charm = Path(self.double.charm)
        if not (charm / 'dispatch').exists() and not any(
                (charm / folder / hook).exists() for folder in ('hooks', 'actions')):
            raise ValueError('the charm has neither a hook nor an action {}'.format(hook))
        self.double.faults.append(Fault(hook, unit and self._model.unit(unit).name, kind, number))

    def unmet(self):
        """The faults that no hook has met with so far, in words; '' if there are none."""
        if not self._double:
            return ''
        faults = ['{}: no such hook ran'.format(each) for each in self._double.faults]
        return '; '.join('fault not met: ' + each for each in self._double.unmet + faults)

    # What can be looked at.

    @property
    def leader(self):
        """The name of the unit that leads, or None."""
        return self._model.leader

    @property
    def hooks(self):
        """The Runs (runner.py) of all hooks and actions so far."""
        return list(self.double.runs)

    def units(self):
        """The names of the units that are still there."""
        return self.double.units()

    def status(self, unit):
        """The unit's workload status, (current, message)."""
        return Status(*cli.workload(self._model, unit))

    def bag(self, unit, relation=None):
        """A unit's relation data; of the first peer endpoint, unless an id (`peers:0`) is given."""
        return self.double.bag(unit, relation)

    def app_bag(self, relation=None):
        """The application's relation data, as in `bag`."""
        return self.double.app_bag(relation)

    def flags(self, unit):
        """The flags of charms.reactive that are set on the unit, a set."""
        return set(self.double.flags(unit))

    def unitdata(self, unit):
        """What `unitdata.kv()` holds on the unit, {key: value}, the flags of charms.reactive among
        it.
        """
        return self.double.kv(unit)

    def charm_directory(self, unit):
        """Where the unit's charm is, with the files that it made."""
        return Path(self.double.charm_directory(unit))

    def debug_log(self, level='DEBUG'):
        """What hooks logged at that level and above, what they wrote to stderr, and which of them
        failed.
        """
        return ''.join(line for run in self.double.runs for line in cli.lines(run, level))
