"""The part of Juju's command line that jubilant 1.14 sends in tests of a charm.

The environment variable FAKEJUJU names the directory that models live in; nothing else is kept.
Hooks run as real processes, within the commands. With `status` each unit that has a hook due runs
one; with `run` and `exec` their unit runs what is due before, and then the task; `destroy-model`
runs all. The other commands only say what is wanted, as in Juju; to have it done, ask for the
status again and again. So nothing outlives a command, no two hooks overlap, and a test that fails
can be run again and fails in the same way.

Forms of arguments and output are those that jubilant writes and parses, texts those of the Juju
that JUJU_VERSION names: 2.9, 3.x or 4.x, by default 3.6.8. What is not known here is refused: with
exit code 2 if the arguments are wrong, else with 1. `fakejuju-reboot UNIT` is the double's own.
"""
import fcntl
import json
import os
import pickle
import re
import shlex
import shutil
import sys
import time
import uuid
import zipfile
from pathlib import Path
from typing import Any, Dict

import yaml

from . import charm
from .model import TASKS, NotModelled
from .runner import Juju
from .tools import (APPLICATION, LEVELS, UNIT_NAME, WORD, ToolError, failure, go_json, none_left,
                    parse, place, usage)

MARK = 'models of fakejuju, format 5\n'
# After so many failures of a hook in a row a command does not wait for the unit any longer.
FAILURES = 3
# What is on a machine: Juju removes it with its unit.
FREE, GONE = 'free', 'gone'
# The status of an application is the first of these that one of its units has.
SEVERITY = 'error', 'blocked', 'waiting', 'maintenance', 'active', 'unknown'


class Application:
    """What is kept of one application beside its Model."""

    def __init__(self, name, charm, base):
        self.name = name
        self.revision = 0
        self.charm = charm     # directory of the newest revision
        self.base = base
        self.model: Any = None
        self.dying = False


class Store:
    """One model's directory, locked as long as the command runs."""

    def __init__(self, name):
        self.name = name
        self.directory = home() / name
        self.applications = {}
        self.tasks = 0
        # Those that were added, by number: its unit, FREE or GONE.
        self.machines = []

    def __enter__(self):
        if not WORD.match(self.name) or not os.path.isdir(str(self.directory)):
            raise failure('model fakejuju:{} not found'.format(self.name))
        self.lock = open(str(self.directory / 'lock'), 'w')
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock.close()
            raise failure('another command is at work on model {}'.format(self.name))
        state = self.directory / 'state'
        if state.exists():
            self.applications, self.tasks, self.machines = pickle.loads(state.read_bytes())
        return self

    def __exit__(self, *_):
        self.lock.close()

    def save(self):
        new = self.directory / 'state.new'
        alive = {FREE}.union(*(app.model.alive() for app in self.applications.values()))
        self.machines = [unit if unit in alive else GONE for unit in self.machines]
        new.write_bytes(pickle.dumps((self.applications, self.tasks, self.machines)))
        os.replace(str(new), str(self.directory / 'state'))

    def application(self, name, text='application "{}" not found'):
        if name not in self.applications:
            raise failure(text.format(name))
        return self.applications[name]

    def unit(self, name):
        """(application, unit name) of app/0, or of app/leader."""
        app = self.applications.get(name.split('/')[0])
        if app and name.endswith('/leader'):
            elect(app.model)
            name = app.model.leader or name
        if not app or name not in app.model.alive():
            raise failure('unit "{}" not found'.format(name))
        return app, name

    def files(self, name):
        """Where the application's are; in a directory of their own, for any name is legal."""
        return self.directory / 'applications' / name

    def open(self, app):
        """The Juju that runs the application's hooks."""
        return Juju(app.charm, self.files(app.name), real=True, model=app.model)

    def bring(self, path):
        """Unpack a charm file; returns where, its metadata and its bases."""
        target = self.directory / 'charms' / uuid.uuid4().hex
        return (str(target), *charm.unpack(path, target, version_of_juju()))

    def step(self, app, juju, unit):
        """Run the unit's next hook, and keep what came of it before anything else is done."""
        run = juju.run(unit)
        juju.runs.clear()
        with open(str(self.directory / 'log'), 'a') as log:
            log.writelines(lines(run))
        if app.dying and not app.model.alive():
            del self.applications[app.name]
        self.save()
        return run

    def work(self):
        """Each unit that has a hook due runs one. Returns whether any had."""
        busy = False
        for app in list(self.applications.values()):
            elect(app.model)
            with self.open(app) as juju:
                for unit in juju.units():
                    if juju.next_hook(unit):
                        self.step(app, juju, unit)
                        busy = True
            elect(app.model)
        if busy:
            self.save()
        return busy

    def task(self, unit, queue):
        """Have the unit run what `queue(juju, unit)` queues; the Run, and its number."""
        app, unit = self.unit(unit)
        self.tasks += 2  # an operation has a number of its own before its task's
        with self.open(app) as juju:
            self.run_until(app, juju, unit, lambda run: app.model.unit(unit).started)
            queue(juju, unit)
            try:
                return self.run_until(app, juju, unit, lambda run: run and run.hook.kind in TASKS)
            except (ToolError, NotModelled):
                app.model.unit(unit).actions.clear()
                self.save()
                raise

    def run_until(self, app, juju, unit, over):
        run, failures = None, 0
        while not over(run):
            if not juju.next_hook(unit):
                raise failure('timed out waiting for results from: unit ' + unit)
            run = self.step(app, juju, unit)
            failures = 0 if run.committed or run.hook.kind in TASKS else failures + 1
            if failures == FAILURES:
                raise failure('timed out waiting for results from: unit {}, whose hook {} fails'
                              .format(unit, run.hook.name))
        return run


def lines(run, level='UNSPECIFIED'):
    """The lines of a run in debug-log, in its format; those of that level and above."""
    shown = LEVELS[LEVELS.index(level):]
    messages = [(level, 'juju-log', text) for level, text in run.log]
    if run.hook.kind not in TASKS:
        messages += [('WARNING', run.hook.name, text) for text in run.stderr.splitlines()]
        if not run.committed:
            messages.append(('ERROR', run.hook.name, 'hook failed: ' + run.error))
    for level, source, text in messages:
        if level in shown:
            yield 'unit-{}: {} {} unit.{}.{} {}\n'.format(run.unit.replace(
                '/', '-'), time.strftime('%H:%M:%S'), level, run.unit, source, text)


def home():
    named = os.environ.get('FAKEJUJU')
    if not named:
        raise failure('FAKEJUJU names no directory for models')
    directory = Path(named).absolute()
    mark = directory / 'fakejuju'
    if not directory.exists() or directory.is_dir() and not any(directory.iterdir()):
        directory.mkdir(parents=True, exist_ok=True)
        mark.write_text(MARK)
    if not mark.is_file() or mark.read_text() != MARK:
        raise failure('{} is no directory of fakejuju'.format(directory))
    return directory


def elect(model):
    """The lease goes to a unit that is not leaving, if none has it."""
    alive = [name for name in model.alive() if model.unit(name).life == 'alive']
    if model.leader is None and alive:
        model.elect(alive[0])


def version_of_juju(version=None):
    version = version or os.environ.get('JUJU_VERSION') or '3.6.8'
    if not re.match(r'(2\.9|[34]\.[0-9]+)([.-][a-z0-9.-]+)?\Z', version):
        raise NotModelled('Juju ' + version)
    return version


def read(directory, name):
    """One of the charm's YAML files; {} if it has none."""
    path = Path(directory) / name
    found = yaml.safe_load(path.read_bytes()) if path.exists() else None
    return {key: value for key, value in (found or {}).items() if value is not None}


def local_file(path):
    if not path.startswith(('./', '../', '/')) or path.endswith(('.yaml', '.yml')):
        raise failure('"{}" is no path of a local charm, and fakejuju has no store'.format(path))
    if not os.path.isfile(path):
        raise failure('no charm was found at "{}"'.format(path))
    return Path(path)


FLOAT = re.compile(r'[-+]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][-+]?[0-9]+)?\Z')


def parsed(option, kind, text):
    """As Go's strconv does it."""
    if kind == 'secret' or kind == 'float' and re.match('[-+]?(inf|nan|0x)', text, re.IGNORECASE):
        raise NotModelled('{} for an option of type {}'.format(text, kind))
    if kind == 'string':
        return text
    if kind == 'boolean' and text in '1 t T TRUE true True 0 f F FALSE false False'.split():
        return text[0] in '1tT'
    if kind == 'float' and FLOAT.match(text) and abs(float(text)) < float('inf'):
        return float(text)
    if kind in ('int', 'integer') and re.match(r'[-+]?[0-9]+\Z', text) \
            and -2 ** 63 <= int(text) < 2 ** 63:
        return int(text)
    raise failure('option "{}" expected {}, got "{}"'.format(option, kind, text))


def values(directory, settings, of):
    """{option: value} of key=value, in the types of config.yaml."""
    options, result = read(directory, 'config.yaml').get('options', {}), {}
    for setting in settings:
        key, given, text = setting.partition('=')
        if not given:
            raise usage('expected "key=value", got "{}"'.format(setting))
        if key not in options:
            before = 'invalid application config: ' if version_of_juju() >= '4' \
                else 'parsing settings for {}: '.format(of)
            raise failure('{}unknown option "{}"'.format(before, key))
        result[key] = parsed(key, options[key].get('type') or 'string', text)
    return result


def number(options, name):
    text = options.get('num-units', options.get('n', '1'))
    if not re.match(r'[1-9][0-9]*\Z', text):
        raise usage('--num-units must be a positive integer')
    return int(text)


def machines(store, options, units):
    """Those that --to names, one for each of the units; [] if Juju is to make them."""
    named = [name for name in options.get('to', '').split(',') if name]
    free = [str(number) for number, unit in enumerate(store.machines) if unit == FREE]
    if 'to' in options and (len(named) != units or len(set(named)) != units
                            or not set(named) <= set(free)):
        raise NotModelled('--to with anything but a machine for each unit, which was added and has '
                          'none')
    if store.machines and not named:
        raise NotModelled('units without --to beside machines that were added: where a cloud makes '
                          'no machines these wait for ever')
    return [int(name) for name in named]


def fits_a_file(name):
    """Refuse a name too long for a file: models and applications are directories of their names."""
    if len(name) > 200:
        raise NotModelled('a name of more than 200 characters')


def one(positional, what):
    if len(positional) != 1:
        raise usage('expected {}, got {}'.format(what, json.dumps(positional)))
    return positional[0]


def as_json(options):
    if options.get('format') != 'json':
        raise NotModelled('output that is not --format json')


# Commands: what they print, or an exit code and what they print. `store` is the model's.

def version(arguments):
    options, positional = parse(arguments, (), ('all',))
    none_left(positional)
    found = version_of_juju() + '-ubuntu-amd64'
    if options.get('format', 'smart') == 'smart' and not options.get('all'):
        return found
    as_json(options)
    return go_json({'version': found} if options.get('all') else found)[:-1]


def add_model(arguments):
    options, positional = parse(arguments, (), ('no-switch',))
    name = one(positional, 'a model name')
    if not WORD.match(name):
        raise failure('"{}" is not a valid name: model names may only contain lowercase letters, '
                      'digits and hyphens'.format(name))
    fits_a_file(name)
    try:
        (home() / name).mkdir()
    except FileExistsError:
        raise failure('failed to create new model: model "{}" for admin already exists '
                      '(already exists)'.format(name))
    return ''


def destroy_model(arguments):
    options, positional = parse(arguments, (), ('no-prompt', 'force', 'no-wait', 'destroy-storage'))
    with Store(one(positional, 'a model name')) as store:
        for app in list(store.applications.values()):
            remove(store, app)
        while not options.get('force') and store.applications:
            busy = store.work()
            failed = [unit.failed.name for app in store.applications.values()
                      for unit in app.model.units.values() if unit.failed]
            if failed or not busy and store.applications:
                raise failure('model {} is not gone: {} fails'.format(store.name, failed))
        shutil.rmtree(str(store.directory))
    return ''


def deploy(store, arguments):
    options, positional = parse(arguments, ('num-units', 'n', 'base', 'to'), (), ('config',))
    if not positional:
        raise usage('no charm or bundle specified')
    path, units = local_file(positional[0]), number(options, 'num-units')
    on = machines(store, options, units)
    none_left(positional[2:])
    if positional[1:] and not APPLICATION.match(positional[1]):
        wrong = re.sub('[a-z0-9-]', '', positional[1])[:1]
        raise usage('invalid application name "{}", unexpected {}'.format(
            positional[1], 'uppercase character' if wrong.isupper() else
            'character ' + wrong if wrong else 'number(s) found after last hyphen'))
    try:
        unpacked, metadata, bases = store.bring(path)
    except zipfile.BadZipFile:
        raise failure('invalid charm or bundle provided at "{}"'.format(positional[0]))
    except ToolError as error:
        raise failure('attempting to deploy "{}": {}'.format(positional[0], error))
    try:
        name = positional[1] if positional[1:] else metadata['name']
        fits_a_file(name)
        base = charm.choose(bases, options.get('base'), version_of_juju())
        print('Located local charm "{0}", revision 0\nDeploying "{1}" from local charm "{0}", '
              'revision 0 on {2}/stable'.format(metadata['name'], name, base), file=sys.stderr)
        if name in store.applications:
            raise failure(
                'cannot deploy "{0}": creating application "{0}": creating IAAS application "{0}": '
                'inserting IAAS application "{0}": checking if application "{0}" exists: '
                'application already exists'.format(name) if version_of_juju() >= '4' else
                'cannot add application "{}": application already exists'.format(name))
        config = values(unpacked, options.get('config', ()), name)
    except (ToolError, NotModelled):
        shutil.rmtree(unpacked)
        raise
    app = Application(name, unpacked, base)
    shutil.rmtree(str(store.files(name)), ignore_errors=True)  # of one that is gone
    with Juju(app.charm, store.files(name), app=name, version=version_of_juju()) as juju:
        app.model = juju.model
        app.model.config.update(config)
    store.applications[name] = app
    add_units(store, app, units, on)
    return ''


def add_unit(store, arguments):
    options, positional = parse(arguments, ('num-units', 'n', 'to'))
    app = store.application(one(positional, 'an application'), 'application "{}" not found' + (
        ' (not found)' if version_of_juju() >= '4' else ''))
    if app.dying:
        raise failure('cannot add unit 1/1 to application "{}": application is dying'.format(
            app.name))
    units = number(options, 'num-units')
    add_units(store, app, units, machines(store, options, units))
    return ''


def add_units(store, app, units, on):
    with store.open(app) as juju:
        names = [juju.add_unit() for _ in range(units)]
    for machine, name in zip(on, names):
        store.machines[machine] = name


def add_machine(store, arguments):
    """One that is there already; the cloud makes none."""
    options, positional = parse(arguments)
    if len(positional) != 1 or not re.match('ssh:[^@ ]+@[^@ ]+$', positional[0]):
        raise NotModelled('add-machine without ssh:USER@HOST')
    if any(unit not in store.machines for app in store.applications.values()
           for unit in app.model.alive()):
        raise NotModelled('add-machine beside units for which the cloud made machines')
    store.machines.append(FREE)
    print('created machine {}'.format(len(store.machines) - 1), file=sys.stderr)
    return ''


def remove_unit(store, arguments):
    """Remove each unit by itself; one that cannot be removed does not hold the others back."""
    options, positional = parse(arguments, (), ('no-prompt', 'destroy-storage', 'force', 'no-wait'))
    if not positional:
        raise usage('no units specified')
    for name in positional:
        if not UNIT_NAME.match(name):
            raise usage('invalid unit name "{}"'.format(name))
    if options.get('no-wait') and not options.get('force'):
        raise usage('--no-wait without --force not valid')
    code, removed = 0, []
    for name in positional:
        try:
            store.application(name.split('/')[0], 'application {} not found')
            app, _ = store.unit(name)
        except ToolError as error:
            print('ERROR removing unit {} failed: {}'.format(name, error), file=sys.stderr)
            code = 1
            continue
        if options.get('force'):
            app.model.forget_unit(name)
        elif app.model.unit(name).life == 'alive':
            app.model.remove_unit(name)
        removed.append('will remove unit ' + name)
        store.save()
    return code, '\n'.join(removed)


def remove_application(store, arguments):
    options, positional = parse(arguments, (), ('no-prompt', 'destroy-storage'))
    if not positional:
        raise usage('no application specified')
    for app in [store.application(name, 'removing application {0} failed: application "{0}" not '
                                        'found') for name in positional]:
        remove(store, app)
    return '\n'.join('will remove application ' + name for name in positional)


def resolve(store, arguments):
    options, positional = parse(arguments, (), ('no-retry', 'all'))
    if options.get('all') and positional:
        raise usage('specifying unit names(s) with --all not supported')
    if not options.get('all') and not positional:
        raise usage('no unit specified')
    for name in positional:
        if not UNIT_NAME.match(name):
            raise usage('unit name "{}" not valid'.format(name))
    units = [store.unit(name) for name in positional] or [
        (app, name) for app in store.applications.values() for name in app.model.alive()
        if app.model.unit(name).failed]
    for app, name in units:
        if not app.model.unit(name).failed:
            raise failure('resolving unit: checking unit "{}" status: unit is not in error state'
                          .format(name) if version_of_juju() >= '4'
                          else 'unit "{}" is not in an error state'.format(name))
        with store.open(app) as juju:
            juju.resolve(name, retry=not options.get('no-retry'))
    return ''


def reboot(store, arguments):
    """Not Juju's: the machine of a unit starts again (JSRC B6)."""
    app, unit = store.unit(one(arguments, 'a unit'))
    with store.open(app) as juju:
        juju.reboot(unit)
    return ''


def remove(store, app):
    app.dying = True
    for unit in app.model.alive():
        if app.model.unit(unit).life == 'alive':
            app.model.remove_unit(unit)
    if not app.model.alive():
        store.applications.pop(app.name, None)  # it may be named twice


def refresh(store, arguments):
    options, positional = parse(arguments, ('path',), ('force', 'force-base', 'force-units'),
                                ('config',))
    app = store.application(one(positional, 'an application'), (
        '"{}" deploy incomplete, please try refresh again in a little bit.'
        if version_of_juju() >= '4' else 'application "{}" not found'))
    if 'path' not in options:
        raise NotModelled('refresh without --path: it has no store')
    if not os.path.isfile(options['path']):
        raise failure('"{}": file does not exist'.format(options['path']))
    try:
        new, metadata, bases = store.bring(Path(options['path']))
    except zipfile.BadZipFile:
        raise failure('zip: not a valid zip file')
    try:
        name = read(app.charm, 'metadata.yaml')['name']
        if metadata['name'] != name:
            raise failure('cannot refresh "{}" to "{}"'.format(name, metadata['name']))
        if app.base not in bases and not options.get('force-base'):
            raise failure('cannot upgrade application "{}" to charm "local:{}-{}": base "{}" not '
                          'supported by charm, the charm supported bases are: {}'.format(
                              app.name, name, app.revision + 1, app.base, ', '.join(bases)))
        config = values(new, options.get('config', ()), app.name)
        with store.open(app) as juju:
            for unit in juju.units():
                juju.refresh(unit, new, force=options.get('force-units', False))
    except (ToolError, NotModelled, ValueError) as error:
        shutil.rmtree(new)
        raise failure(str(error)) if isinstance(error, ValueError) else error
    app.revision += 1
    app.model.config.update(config)
    app.charm = new
    return ''


def config(store, arguments):
    options, positional = parse(arguments, ('reset',))
    if not positional:
        raise usage('no application name specified')
    app = store.application(positional[0], 'application {} not found (not found)'
                            if version_of_juju() >= '4' else 'application "{}" not found')
    settings, defined = positional[1:], read(app.charm, 'config.yaml').get('options', {})
    if not settings and 'reset' not in options:
        as_json(options)
        return go_json({
            'application': app.name, 'charm': read(app.charm, 'metadata.yaml')['name'],
            'application-config': {'trust': {
                'default': False, 'source': 'default', 'type': 'bool', 'value': False,
                'description': 'Does this application have access to trusted credentials'}},
            'settings': {name: setting(app, name, option)
                         for name, option in defined.items()}})[:-1]
    if len(settings) == 1 and '=' not in settings[0] and 'reset' not in options:
        if settings[0] not in defined:
            raise failure('key "{}" not found in "{}" application config or charm settings.'.format(
                settings[0], app.name))
        value = app.model.config.get(settings[0])
        return value if isinstance(value, str) else '' if value is None else go_json(value)[:-1]
    changes = values(app.charm, settings, app.name)
    for name in [name for name in options.get('reset', '').split(',') if name]:
        if name not in defined:
            raise failure('parsing settings for {}: unknown option "{}"'.format(app.name, name))
        changes[name] = defined[name].get('default')
    if any(app.model.config.get(name) != value for name, value in changes.items()):
        app.model.config.update(changes)
        with store.open(app) as juju:
            for unit in juju.units():
                juju.config_changed(unit)
    return ''


def setting(app, name, option):
    value, default = app.model.config.get(name), option.get('default')
    source = 'unset' if value is None else 'default' if value == default else 'user'
    return {key: each for key, each in (
        ('default', default), ('description', option.get('description', '')), ('source', source),
        ('type', option.get('type', 'string')), ('value', value)) if each is not None}


def debug_log(store, arguments):
    options, positional = parse(arguments, ('limit', 'n'), ('replay',))
    none_left(positional)
    log = store.directory / 'log'
    kept = log.read_text().splitlines() if log.exists() else []
    limit = options.get('limit', options.get('n', '0'))
    if not re.match(r'[0-9]+\Z', limit):
        raise usage('invalid value "{}" for option --limit'.format(limit))
    return '\n'.join(kept[-int(limit):])


class Unscheduled(Exception):
    """There is an operation, but no task in it: exit code 0 and a text (JSRC F15)."""


def receiver(store, name):
    """(application, unit) that a task is for."""
    newer, app = version_of_juju() >= '4', name.split('/')[0]
    if version_of_juju() < '3':
        raise NotModelled('run and exec of Juju 2')
    if newer:
        store.application(app, 'adding action operation: adding action operation: getting charm '
                               'UUID for application "{0}": application "{0}" not found')
    try:
        return store.unit(name)
    except ToolError as error:
        if name.endswith('/leader'):
            raise Unscheduled('could not determine leader for "{}"'.format(app))
        raise Unscheduled('{}{}'.format('linking task to unit: getting unit UUID for "{}": '.format(
            name) if newer else '', error))


def nothing_scheduled(store, error):
    store.tasks += 1
    print('Operation {} failed to schedule any tasks:\n{}'.format(store.tasks, error),
          file=sys.stderr)
    return ''


def wrong_params(action, given, closed):
    """What validation says; '' if all is right. Juju 4 accepts only parameters that it knows."""
    known, shown = action.get('params') or {}, go_json(given)[:-1]
    unknown = set(action) - {'description', 'title', 'execution-group', 'parallel', 'params',
                             'required', 'additionalProperties'}
    unknown |= set().union(*known.values()) - {'description', 'title', 'type', 'default'}
    if unknown or not isinstance(action.get('additionalProperties', True), bool):
        raise NotModelled('an action with {}'.format(
            ', '.join(sorted(unknown)) or 'another schema of additionalProperties'))
    wrong = ['(root) : "{}" property is missing and required, given {}'.format(key, shown)
             for key in action.get('required', ()) if key not in given]
    if not action.get('additionalProperties', not closed):
        wrong += ['(root) : additional property "{}" is not allowed, given {}'.format(key, shown)
                  for key in given if key not in known]
    for key, value in given.items():
        kind = known.get(key, {}).get('type')
        if kind and (not isinstance(value, charm.SCHEMA_TYPES[kind])
                     or isinstance(value, bool) and kind != 'boolean'):
            wrong.append('(root).{} : must be of type {}, given {}'.format(
                key, kind, go_json(value)[:-1]))
    return 'validation failed: ' + '; '.join(wrong) if wrong else ''


def with_defaults(action, given):
    return {**{key: each['default'] for key, each in (action.get('params') or {}).items()
               if 'default' in each}, **given}


def run(store, arguments):
    options, positional = parse(arguments, ('params', 'wait'))
    as_json(options)
    if len(positional) < 2 or '/' not in positional[0] or '/' in positional[1]:
        raise NotModelled('run with other arguments than one unit, one action and its parameters')
    given: Dict[str, Any] = {}
    name, newer = positional[1], version_of_juju() >= '4'
    try:
        if 'params' in options:
            given = {**(charm.load(Path(options['params']).read_bytes(), 'parameters') or {})}
        for argument in positional[2:]:
            key, equals, text = argument.partition('=')
            if not equals:
                raise usage('argument "{}" must be of the form key.key.key...=value'.format(
                    argument))
            place(given, key.split('.'), charm.load(text, 'parameters'))
        json.dumps(given, sort_keys=True, allow_nan=False)
        ' '.join(given)
    except OSError as error:
        raise failure('open {}: {}'.format(options['params'], str(error.strerror).lower()))
    except (TypeError, ValueError):
        raise NotModelled('parameters that are no map of JSON')
    try:
        app, unit = receiver(store, positional[0])
        action = read(app.charm, 'actions.yaml').get(name)
        if action is None and newer:
            raise failure('action "{}" not defined for unit "{}". (not found)'.format(name, unit))
        if action is None:
            raise Unscheduled('action "{}" not defined on unit "{}"'.format(name, unit))
        wrong = wrong_params(action, given, newer)
        if wrong and not newer:
            raise Unscheduled(wrong)
    except Unscheduled as error:
        print(file=sys.stderr)
        return nothing_scheduled(store, error)
    if wrong:
        store.tasks += 2
        task: Dict[str, Any] = {
            'status': 'error', 'message': 'cannot run "{}" action: {}'.format(name, wrong)}
    else:
        params = with_defaults(action, given)
        task = store.task(unit, lambda juju, unit: juju.action(unit, name, **params)).task()
    print('Running operation {} with 1 task\n  - task {} on unit-{}\n\nWaiting for task {}...'
          .format(store.tasks - 1, store.tasks, unit.replace('/', '-'), store.tasks),
          file=sys.stderr)
    now = time.gmtime()
    for text in task.get('log', ()):
        print(time.strftime('%H:%M:%S ', now) + text, file=sys.stderr)
    if 'log' in task:
        print(file=sys.stderr)
        task['log'] = [time.strftime('%Y-%m-%d %H:%M:%S.0 +0000 UTC ', now) + text
                       for text in task['log']]
    return report(store, unit, task)


def exec_(store, arguments):
    options, positional = parse(arguments, ('unit', 'u', 'wait'))
    as_json(options)
    name = options.get('unit', options.get('u'))
    if not positional:
        raise usage('no commands specified')
    if not name:
        raise usage('You must specify a target, either through --all, --machine, --application or '
                    '--unit')
    if not (UNIT_NAME.match(name) or name.endswith('/leader')):
        raise usage('The following exec targets are not valid:\n  "{}" is not a valid unit name'
                    .format(name))
    # Several arguments are one command, quoted where a shell would take them apart.
    command = positional[0] if len(positional) == 1 else ' '.join(map(shlex.quote, positional))
    try:
        _, unit = receiver(store, name)
    except Unscheduled as error:
        return nothing_scheduled(store, error)
    return report(store, unit, store.task(unit, lambda juju, unit: juju.execute_command(
        unit, command)).task())


def report(store, unit, task):
    """A task's result; exit code 1 if its process had another than 0."""
    code = task.get('results', {}).get('return-code', 0)
    if code:
        print('ERROR the following task failed:\n - id "{}" with return code {}\n\n'
              "use 'juju show-task' to inspect the failure\n".format(store.tasks, code),
              file=sys.stderr)
    return int(bool(code)), go_json({unit: dict(task, id=str(store.tasks), unit=unit)})[:-1]


# Status.

def status(store, arguments):
    options, positional = parse(arguments)
    as_json(options)
    if positional:
        raise NotModelled('status of ' + ', '.join(positional))
    store.work()
    return json.dumps({
        'model': {'name': store.name, 'type': 'iaas', 'controller': 'fakejuju',
                  'cloud': 'localhost', 'version': version_of_juju(),
                  'model-status': {'current': 'available'}}, 'storage': {},
        'machines': {str(number): {'juju-status': {'current': 'started'},
                                   'machine-status': {'current': 'running'}}
                     for number, unit in enumerate(store.machines) if unit != GONE},
        'applications': {name: application_status(app, store.machines)
                         for name, app in store.applications.items()},
        'controller': {'timestamp': time.strftime('%H:%M:%SZ', time.gmtime())}})


def application_status(app, machines):
    units = {unit: unit_status(app, unit, machines) for unit in app.model.alive()}
    states = [each['workload-status'] for each in units.values()]
    worst = min(states, key=lambda each: SEVERITY.index(each['current']),
                default={'current': 'unknown'})
    metadata = read(app.charm, 'metadata.yaml')
    return {
        'charm': 'local:{}-{}'.format(metadata['name'], app.revision), 'charm-origin': 'local',
        'charm-name': metadata['name'], 'charm-rev': app.revision, 'exposed': False,
        'base': dict(zip(('name', 'channel'), app.base.split('@'))),
        'life': 'dying' if app.dying else 'alive', 'application-status': worst, 'units': units,
        'relations': {endpoint: [{'related-application': app.name, 'interface': each['interface'],
                                  'scope': 'global'}]
                      for endpoint, each in metadata['peers'].items()}}


def workload(model, name):
    """(status, message) of a unit, as `juju status` shows it."""
    unit = model.unit(name)
    if unit.failed:
        return 'error', 'hook failed: "{}"'.format(unit.failed.name)
    if not unit.installed and unit.status[0] == 'unknown':
        return 'waiting', 'installing agent'
    return unit.status


def unit_status(app, name, machines):
    unit = app.model.unit(name)
    current, message = workload(app.model, name)
    result = {
        'workload-status': dict({'current': current}, **({'message': message} if message else {})),
        'juju-status': {'current': 'executing' if app.model.next_hook(name) else 'idle',
                        'version': version_of_juju()},
        'machine': str(machines.index(name)) if name in machines else name.split('/')[1],
        'public-address': app.model.address(name)}
    if unit.life == 'dying':
        result['juju-status']['life'] = 'dying'
    if app.model.leader == name:
        result['leader'] = True
    return result


WITHOUT_MODEL = {'version': version, 'add-model': add_model, 'destroy-model': destroy_model}
COMMANDS = {'add-machine': add_machine, 'deploy': deploy, 'add-unit': add_unit,
            'remove-unit': remove_unit, 'remove-application': remove_application,
            'refresh': refresh, 'config': config, 'debug-log': debug_log, 'run': run,
            'exec': exec_, 'status': status, 'resolve': resolve, 'resolved': resolve,
            'fakejuju-reboot': reboot}
# What comes of a hook is kept as soon as it is over.
SAVE_THEMSELVES = 'debug-log', 'run', 'exec', 'status', 'remove-unit'


def main(arguments):
    try:
        code, output = execute(arguments)
    except (ToolError, NotModelled) as error:
        if str(error).startswith('option provided'):  # Juju may have it
            error = NotModelled(str(error).split()[-1])
        text = error if isinstance(error, ToolError) else 'fakejuju does not model ' + str(error)
        # A client that parses the output gets {}: as JSON, or as the YAML that config prints by
        # default.
        if getattr(error, 'code', 2) == 1 and (arguments[0] == 'config' or 'json' in arguments):
            print('{}')
        print('ERROR', text, file=sys.stderr)
        return getattr(error, 'code', 1)
    if output:
        print(output)
    return code


def execute(arguments):
    name, arguments = (arguments or [''])[0], list(arguments[1:])
    if name in WITHOUT_MODEL:
        return 0, WITHOUT_MODEL[name](arguments)
    if name not in COMMANDS:
        raise NotModelled('juju ' + name)
    model = os.environ.get('JUJU_MODEL')
    if arguments[:1] in (['--model'], ['-m']) and arguments[1:]:
        model, arguments = arguments[1], arguments[2:]
    if not model:
        raise usage('No selected model: it has to be named by --model or JUJU_MODEL')
    with Store(model) as store:
        result = COMMANDS[name](store, arguments)
        if name not in SAVE_THEMSELVES:
            store.save()
    return result if isinstance(result, tuple) else (0, result)
