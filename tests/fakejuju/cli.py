"""The part of Juju's command line that jubilant 1.14 sends in tests of a charm.

The environment variable FAKEJUJU names the directory that models live in; nothing else is kept.
Hooks run as real processes, within the commands: with `status` each unit that has a hook due runs
one, with `run` and `exec` their unit runs what is due before, and the task; `destroy-model` runs
all. The other commands only say what is wanted, as in Juju, and whoever wants to see it done asks
for the status again and again. So nothing outlives a command, no two hooks overlap, and a test
that fails can be run again to fail in the same way.

Forms of arguments and output are those of Juju 3.6 as jubilant writes and parses them. What is
not known here is refused: with code 2 where the arguments are wrong, else with 1.
"""
import fcntl
import json
import os
import pickle
import re
import shutil
import stat
import sys
import time
import zipfile
from pathlib import Path
from typing import Any, Callable, Dict

import yaml

from .model import TASKS, NotModelled
from .runner import Juju
from .tools import ToolError, failure, parse, usage

VERSION = '3.6.8'
MARK = 'models of fakejuju, format 1\n'
APPLICATION = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*\Z')
# A unit's failures of one hook in a row after which a command does not wait any longer.
FAILURES = 3
# The status of an application is the first of these that one of its units has.
SEVERITY = 'error', 'blocked', 'waiting', 'maintenance', 'active', 'unknown'


class Application:
    """What is kept of one application beside its Model."""

    def __init__(self, name):
        self.name = name
        self.revision = -1
        self.charm = ''        # directory of the newest revision
        self.model = None
        self.dying = False


class Store:
    """One model's directory, locked as long as the command runs."""

    def __init__(self, name):
        self.name = name
        self.directory = home() / name
        self.applications = {}
        self.tasks = 0

    def __enter__(self):
        if not self.directory.is_dir():
            raise failure('model {} not found'.format(self.name))
        self.lock = open(str(self.directory / 'lock'), 'w')
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self.lock.close()
            raise failure('another command is at work on model {}'.format(self.name))
        state = self.directory / 'state'
        if state.exists():
            with open(str(state), 'rb') as file:
                self.applications, self.tasks = pickle.load(file)
        return self

    def __exit__(self, *_):
        self.lock.close()

    def save(self):
        new = self.directory / 'state.new'
        with open(str(new), 'wb') as file:
            pickle.dump((self.applications, self.tasks), file)
        os.replace(str(new), str(self.directory / 'state'))

    def application(self, name):
        if name not in self.applications:
            raise failure('application "{}" not found'.format(name))
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

    def open(self, app):
        """The Juju that runs the application's hooks."""
        return Juju(app.charm, self.directory / app.name, real=True, model=app.model)

    def bring(self, app, path):
        """Unpack a charm file as the application's next revision."""
        target = self.directory / 'charms' / '{}-{}'.format(app.name, app.revision + 1)
        shutil.rmtree(str(target), ignore_errors=True)  # of a command that was killed here
        unpack(path, target)
        app.revision, app.charm = app.revision + 1, str(target)

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
        """Each unit that has a hook due runs one; whether any had."""
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
            except ToolError:
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


def lines(run):
    """Of a run, for debug-log, in its form."""
    messages = [(level, 'juju-log', text) for level, text in run.log]
    if run.hook.kind not in TASKS:
        messages += [('WARNING', run.hook.name, text) for text in run.stderr.splitlines()]
        if not run.committed:
            messages.append(('ERROR', run.hook.name, 'hook failed: ' + run.error))
    for level, source, text in messages:
        yield 'unit-{}: {} {} unit.{}.{} {}\n'.format(
            run.unit.replace('/', '-'), time.strftime('%H:%M:%S'), level, run.unit, source, text)


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


def unpack(path, target):
    """A charm file is a zip archive; the modes in it matter, hooks are executable."""
    try:
        with zipfile.ZipFile(str(path)) as archive:
            names = archive.namelist()
            if 'metadata.yaml' not in names:
                raise failure('charm {}: file "metadata.yaml" not found'.format(path))
            metadata = yaml.safe_load(archive.read('metadata.yaml'))
            if not (isinstance(metadata, dict) and APPLICATION.match(str(metadata.get('name')))):
                raise failure('charm {}: metadata.yaml has no name'.format(path))
            if not metadata.get('peers'):
                raise failure('charm {}: no peer relation, and fakejuju models no other'.format(
                    path))
            for member in archive.infolist():
                file = Path(archive.extract(member, str(target)))
                mode = stat.S_IMODE(member.external_attr >> 16)
                if mode and not file.is_dir():
                    file.chmod(mode)
    except (OSError, zipfile.BadZipFile, yaml.YAMLError) as error:
        raise failure('charm {}: {}'.format(path, error))


def read(app, name):
    """One of the charm's YAML files; {} if it has none."""
    path = Path(app.charm) / name
    return yaml.safe_load(path.read_text()) or {} if path.exists() else {}


def local_file(path):
    if not path.startswith(('./', '../', '/')) or path.endswith(('.yaml', '.yml')):
        raise failure('"{}" is no path of a local charm, and fakejuju has no store'.format(path))
    if not os.path.isfile(path):
        raise failure('no charm was found at "{}"'.format(path))
    return Path(path)


KINDS: Dict[str, Callable[[str], Any]] = {
    'int': int, 'float': float, 'boolean': {'true': True, 'false': False}.__getitem__}


def values(app, settings, of='application'):
    """{option: value} of key=value, in the types of config.yaml."""
    options, result = read(app, 'config.yaml').get('options', {}), {}
    for setting in settings:
        key, given, text = setting.partition('=')
        if not given:
            raise usage('expected "key=value", got "{}"'.format(setting))
        if key not in options:
            raise failure('parsing settings for {}: unknown option "{}"'.format(of, key))
        result[key] = text
        kind = options[key].get('type', 'string')
        if kind != 'string':
            try:
                result[key] = KINDS[kind](text)
            except (ValueError, KeyError):
                raise failure('option "{}" expected {}, got "{}"'.format(key, kind, text))
    return result


def number(options, name):
    text = options.get('num-units', options.get('n', '1'))
    if not text.isdigit() or text == '0':
        raise usage('--num-units must be a positive integer, not "{}"'.format(text))
    return int(text)


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
    as_json(options)
    return json.dumps({'version': VERSION + '-ubuntu-amd64', 'git-commit': ''})


def add_model(arguments):
    options, positional = parse(arguments, (), ('no-switch',))
    name = one(positional, 'a model name')
    if not re.match(r'[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z', name):
        raise failure('"{}" is not a valid name: model names may only contain lowercase letters, '
                      'digits and hyphens'.format(name))
    try:
        (home() / name).mkdir()
    except FileExistsError:
        raise failure('failed to create new model: model "{}" for admin already exists '
                      '(already exists)'.format(name))
    return ''


def destroy_model(arguments):
    options, positional = parse(arguments, (), ('no-prompt', 'force', 'no-wait',
                                                'destroy-storage'))
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
    options, positional = parse(arguments, ('num-units', 'n'), (), ('config',))
    path, units = local_file(one(positional[:1], 'a charm file')), number(options, 'num-units')
    app = Application('deploy')
    store.bring(app, path)
    unpacked = Path(app.charm)
    try:
        name = positional[1] if positional[1:] else read(app, 'metadata.yaml')['name']
        one(positional[1:] or [name], 'an application name')
        if not APPLICATION.match(name):
            raise failure('invalid application name "{}"'.format(name))
        if name in store.applications:
            raise failure('cannot add application "{}": application already exists'.format(name))
        config = values(app, options.get('config', ()), name)
        app.name, app.charm = name, str(unpacked.with_name(name + '-0'))
        shutil.rmtree(app.charm, ignore_errors=True)  # of an application that is gone
        shutil.rmtree(str(store.directory / name), ignore_errors=True)
        unpacked.rename(app.charm)
    except ToolError:
        shutil.rmtree(str(unpacked))
        raise
    with Juju(app.charm, store.directory / name, app=name, version=VERSION) as juju:
        app.model = juju.model
        app.model.config.update(config)
    store.applications[name] = app
    add_units(store, app, units)
    return ''


def add_unit(store, arguments):
    options, positional = parse(arguments, ('num-units', 'n'))
    app = store.application(one(positional, 'an application'))
    if app.dying:
        raise failure('cannot add unit 1/1 to application "{}": application is dying'.format(
            app.name))
    add_units(store, app, number(options, 'num-units'))
    return ''


def add_units(store, app, units):
    with store.open(app) as juju:
        for _ in range(units):
            juju.add_unit()


def remove_unit(store, arguments):
    options, positional = parse(arguments, ('num-units',), ('no-prompt', 'destroy-storage'))
    if options.get('num-units'):
        raise NotModelled('remove-unit --num-units, which is for Kubernetes')
    if not positional:
        raise usage('no units specified')
    for app, unit in [store.unit(name) for name in positional]:
        if app.model.unit(unit).life == 'alive':
            app.model.remove_unit(unit)
    return ''


def remove_application(store, arguments):
    options, positional = parse(arguments, (), ('no-prompt', 'destroy-storage'))
    if not positional:
        raise usage('no application specified')
    for app in [store.application(name) for name in positional]:
        remove(store, app)
    return ''


def remove(store, app):
    app.dying = True
    for unit in app.model.alive():
        if app.model.unit(unit).life == 'alive':
            app.model.remove_unit(unit)
    if not app.model.alive():
        del store.applications[app.name]


def refresh(store, arguments):
    options, positional = parse(arguments, ('path',), ('force', 'force-base', 'force-units'),
                                ('config',))
    app = store.application(one(positional, 'an application'))
    if 'path' not in options:
        raise failure('"{}" is a local charm: --path is needed'.format(app.name))
    failed = [unit.name for unit in app.model.units.values() if unit.failed]
    if failed and not options.get('force'):
        raise NotModelled('refresh beside units in error: ' + ', '.join(failed))
    old, revision = app.charm, app.revision
    store.bring(app, local_file(options['path']))
    try:
        metadata = read(app, 'metadata.yaml')
        if metadata['name'] != Path(old).name and metadata['name'] != yaml.safe_load(
                Path(old, 'metadata.yaml').read_text())['name']:
            raise failure('cannot upgrade application "{}" to charm "{}"'.format(
                app.name, metadata['name']))
        if list(metadata['peers']) != sorted({each.endpoint
                                              for each in app.model.relations.values()}):
            raise NotModelled('refresh to a charm with other peer relations')
        config = values(app, options.get('config', ()), app.name)
    except (ToolError, NotModelled):
        shutil.rmtree(app.charm)
        app.charm, app.revision = old, revision
        raise
    app.model.config.update(config)
    new, app.charm = app.charm, old
    with store.open(app) as juju:
        for unit in juju.units():
            juju.refresh(unit, new, force=options.get('force', False))
    app.charm = new
    return ''


def config(store, arguments):
    options, positional = parse(arguments, ('reset',))
    if not positional:
        raise usage('no application name specified')
    app, settings = store.application(positional[0]), positional[1:]
    defined = read(app, 'config.yaml').get('options', {})
    if not settings and 'reset' not in options:
        as_json(options)
        return json.dumps({
            'application': app.name, 'charm': read(app, 'metadata.yaml')['name'],
            'settings': {name: {
                'value': app.model.config.get(name), 'default': option.get('default'),
                'type': option.get('type', 'string'), 'description': option.get('description'),
                'source': 'default' if app.model.config.get(name) == option.get('default')
                else 'user'} for name, option in defined.items()}})
    changes = values(app, settings, app.name)
    for name in [name for name in options.get('reset', '').split(',') if name]:
        if name not in defined:
            raise failure('parsing settings for {}: unknown option "{}"'.format(app.name, name))
        changes[name] = defined[name].get('default')
    if any(app.model.config.get(name) != value for name, value in changes.items()):
        app.model.config.update(changes)
        for unit in app.model.units.values():
            unit.due.add('config-changed')
    return ''


def debug_log(store, arguments):
    options, positional = parse(arguments, ('limit', 'n'), ('replay',))
    if positional:
        raise usage('unrecognized args: {}'.format(json.dumps(positional)))
    log = store.directory / 'log'
    kept = log.read_text().splitlines() if log.exists() else []
    return '\n'.join(kept[-int(options.get('limit', options.get('n', 0))):])


def run(store, arguments):
    options, positional = parse(arguments, ('params', 'wait'))
    as_json(options)
    if len(positional) != 2:
        raise NotModelled('run with other arguments than one unit and one action')
    app, unit = store.unit(positional[0])
    name = positional[1]
    if name not in read(app, 'actions.yaml'):
        raise failure('action "{}" not defined for unit "{}". (not found)'.format(name, unit))
    given = yaml.safe_load(Path(options['params']).read_text()) if 'params' in options else {}
    schema = read(app, 'actions.yaml')[name].get('params', {})
    unknown = set(given) - set(schema)
    if unknown:
        raise NotModelled('parameters that actions.yaml does not have: ' + ', '.join(unknown))
    params = {key: each['default'] for key, each in schema.items() if 'default' in each}
    params.update(given)
    return report(store, unit, store.task(unit, lambda juju, unit: juju.action(
        unit, name, **params)))


def exec_(store, arguments):
    options, positional = parse(arguments, ('unit', 'u', 'wait'))
    as_json(options)
    unit = options.get('unit', options.get('u'))
    if not unit or not positional:
        raise usage('exec needs --unit and a command')
    _, unit = store.unit(unit)
    command = ' '.join(positional)
    return report(store, unit, store.task(unit, lambda juju, unit: juju.execute_command(
        unit, command)))


def report(store, unit, run):
    """A task's result, and exit code 1 if it failed."""
    results = {'return-code': run.exit_code}
    for name, text in (('stdout', run.stdout), ('stderr', run.stderr)):
        if text:
            results[name] = text
    dotted = [key for key in run.action['results'] if '.' in key]
    if dotted:
        raise NotModelled('results that are nested: ' + ', '.join(dotted))
    results.update(run.action['results'])
    failed = run.exit_code or run.action['status'] == 'failed'
    result = {'id': str(store.tasks), 'unit': unit, 'results': results,
              'status': 'failed' if failed else 'completed'}
    if run.action['message']:
        result['message'] = run.action['message']
    if run.action['log']:
        result['log'] = run.action['log']
    print('Waiting for task {}...'.format(store.tasks), file=sys.stderr)
    if failed:
        print('ERROR the following task failed:\n - id "{}" with return code {}\n\n'
              "use 'juju show-task' to inspect the failure".format(store.tasks, run.exit_code),
              file=sys.stderr)
    return int(bool(failed)), json.dumps({unit: result})


# Status.

def status(store, arguments):
    options, positional = parse(arguments)
    as_json(options)
    if positional:
        raise NotModelled('status of ' + ', '.join(positional))
    store.work()
    return json.dumps({
        'model': {'name': store.name, 'type': 'iaas', 'controller': 'fakejuju',
                  'cloud': 'localhost', 'version': VERSION,
                  'model-status': {'current': 'available'}},
        'machines': {}, 'storage': {},
        'applications': {name: application_status(app)
                         for name, app in store.applications.items()},
        'controller': {'timestamp': time.strftime('%H:%M:%SZ', time.gmtime())}})


def application_status(app):
    units = {unit: unit_status(app, unit) for unit in app.model.alive()}
    states = [each['workload-status'] for each in units.values()]
    worst = min(states, key=lambda each: SEVERITY.index(each['current']),
                default={'current': 'unknown'})
    metadata = read(app, 'metadata.yaml')
    result = {
        'charm': 'local:{}-{}'.format(metadata['name'], app.revision), 'charm-origin': 'local',
        'charm-name': metadata['name'], 'charm-rev': app.revision, 'exposed': False,
        'application-status': worst, 'units': units,
        'relations': {endpoint: [{'related-application': app.name, 'interface': each['interface'],
                                  'scope': 'global'}]
                      for endpoint, each in metadata['peers'].items()}}
    if app.dying:
        result['life'] = 'dying'
    return result


def unit_status(app, name):
    unit = app.model.unit(name)
    current, message = unit.status
    if not unit.installed and current == 'unknown':
        current, message = 'waiting', 'installing agent'
    if unit.failed:
        current, message = 'error', 'hook failed: "{}"'.format(unit.failed.name)
    result = {
        'workload-status': {'current': current, 'message': message},
        'juju-status': {'current': 'executing' if app.model.next_hook(name) else 'idle',
                        'version': VERSION},
        'machine': name.split('/')[1], 'public-address': app.model.address(name)}
    if unit.life == 'dying':
        result['juju-status']['life'] = 'dying'
    if app.model.leader == name:
        result['leader'] = True
    return result


WITHOUT_MODEL = {'version': version, 'add-model': add_model, 'destroy-model': destroy_model}
COMMANDS = {'deploy': deploy, 'add-unit': add_unit, 'remove-unit': remove_unit,
            'remove-application': remove_application, 'refresh': refresh, 'config': config,
            'debug-log': debug_log, 'run': run, 'exec': exec_, 'status': status}
# What comes of a hook is kept as soon as it is over.
SAVE_THEMSELVES = 'debug-log', 'run', 'exec', 'status'


def main(arguments):
    try:
        code, output = execute(arguments)
    except (ToolError, NotModelled) as error:
        text = error if isinstance(error, ToolError) else 'fakejuju does not model ' + str(error)
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
        raise usage('unrecognized command: juju ' + name)
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
