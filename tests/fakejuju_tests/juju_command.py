"""The command `juju` of fakejuju for tests, and charm files for it."""
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys

from fakejuju import cli
from world import METADATA, TESTS, assemble

PROBE = '{name: probe, summary: x, description: x, peers: {ring: {interface: x}}}'

CONFIG = """
options:
  opt: {type: int, default: 5, description: x}
  s: {type: string, default: "", description: x}
  n: {type: string, description: no default}
"""

ACT = """action-set out.x=1 y=2
action-log hello
test "$(action-get fail)" = True || exit 0
action-fail 'told to'
exit 3"""

MANIFEST = """
bases:
- {name: ubuntu, channel: '22.04', architectures: [amd64]}
- {name: ubuntu, channel: '24.04', architectures: [amd64]}
"""


class Command:
    """`juju` of that version on models in that directory; `inside` this process, which is quick."""

    def __init__(self, directory, version='3.6.8', where=None, inside=False):
        self.directory = directory
        self.version = version
        self.where = where
        self.inside = inside

    def of(self, version, where=None, inside=True):
        return Command(self.directory, version, where, inside)

    def __call__(self, *arguments):
        arguments, before, where = [str(each) for each in arguments], dict(os.environ), os.getcwd()
        variables = {'FAKEJUJU': str(self.directory), 'JUJU_VERSION': self.version}
        if not self.inside:
            return subprocess.run(
                [sys.executable, str(TESTS / 'fakejuju/juju')] + arguments,
                env=dict(os.environ, **variables), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                universal_newlines=True, cwd=self.where and str(self.where))
        stdout, stderr = io.StringIO(), io.StringIO()
        os.environ.update(variables)
        os.chdir(str(self.where or where))
        try:
            with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
                code = cli.main(arguments)
        finally:
            os.chdir(where)
            os.environ.clear()
            os.environ.update(before)
        return subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())

    def refused(self, *arguments):
        """The exit code, and the last line that it prints."""
        done = self(*arguments)
        assert done.stdout in ('', '{}\n')
        line = done.stderr.splitlines()[-1]
        assert line.startswith('ERROR ')
        return done.returncode, line[6:]

    def status(self, model='test'):
        return json.loads(self('status', '-m', model, '--format', 'json').stdout)

    def rest(self, model='test'):
        """Ask for the status until all units are idle; the units of its application."""
        for _ in range(50):
            app, = self.status(model)['applications'].values()
            if all(unit['juju-status']['current'] == 'idle' for unit in app['units'].values()):
                return app['units']
        raise AssertionError(app['units'])

    def files(self):
        """Everything that is kept, but for the state of units, which goes on."""
        return {path.relative_to(self.directory): path.read_bytes()
                for path in self.directory.rglob('*') if path.is_file()}


def pack(charm):
    """A charm file of that name."""
    os.replace(shutil.make_archive(str(charm), 'zip', str(charm)), str(charm) + '.charm')
    return str(charm) + '.charm'


def plain(charm, **hooks):
    """A charm file of a charm of shell scripts, as the probe's in recorded/."""
    (charm / 'hooks').mkdir(parents=True)
    (charm / 'actions').mkdir()
    for name, text in (('metadata', PROBE), ('manifest', MANIFEST), ('config', CONFIG),
                       ('actions', 'act: {description: x, params: {v: {type: string}, fail: '
                                   '{type: boolean}}}')):
        (charm / (name + '.yaml')).write_text(text)
    hooks.setdefault('install', 'status-set active')
    for path, text in [(charm / 'actions/act', ACT)] + [
            (charm / 'hooks' / name.replace('_', '-'), text) for name, text in hooks.items()]:
        path.write_text('#!/bin/sh\n' + text + '\n')
        path.chmod(0o755)
    return pack(charm)


def make(charm, **files):
    """A charm that Juju takes, but for these files: text, or None where there is none."""
    assemble(charm, metadata=dict(METADATA, description='x'))
    (charm / 'manifest.yaml').write_text(MANIFEST)
    for name, text in files.items():
        path = charm / (name + '.yaml')
        if text is None:
            path.unlink()
        else:
            path.write_text(text)
    return pack(charm)


def metadata(**keys):
    keys = dict(METADATA, **dict({'description': 'x'}, **keys))
    return json.dumps({key: value for key, value in keys.items() if value is not None})
