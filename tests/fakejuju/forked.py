"""A quick way to run hooks: forked from a process that has the frameworks imported (20 ms a hook).

hook_server.py is that process.
"""
import atexit
import functools
import json
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

from .model import NotModelled
from .runner import Juju

# So that it finds this package, while its hooks find nothing but what is in the environment.
SERVER = 'import sys; sys.path.insert(0, sys.argv[1]); from fakejuju import hook_server; ' \
    'del sys.path[0]; hook_server.main()'


class Forkserver:
    """The process that forks hooks; one serves all models of this process."""

    @classmethod
    @functools.lru_cache(maxsize=None)
    def shared(cls):
        server = cls()
        atexit.register(server.close)
        return server

    def __init__(self):
        self.process: Any = subprocess.Popen(
            [sys.executable, '-W', 'ignore', '-c', SERVER, str(Path(__file__).parent.parent)],
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


class ForkedJuju(Juju):
    """A Juju that forks hooks; with `forked`, also if it is `real`. Then hooks that are not Python,
    and `juju exec`, are started as processes all the same.
    """

    def __init__(self, charm, directory, real=False, forked=None, **knobs):
        super().__init__(charm, directory, real, **knobs)
        self.forked = not real if forked is None else forked

    def start_hook(self, run, charm, file, output):
        another = run.hook.kind == 'exec' or self.real and not is_python(file)
        if not self.forked or self.real and another:
            return super().start_hook(run, charm, file, output)
        file = file or script_of(charm, run.hook)
        if not stat.S_IXUSR & file.stat().st_mode:
            raise PermissionError('{} is not executable'.format(file))
        server = Forkserver.shared()
        return server.start(str(file), charm, run.env, *output), server.wait

    # Files that a layer keeps in the directory `disk` if units share the charm's directory: keys,
    # say. Restoring unitdata leaves them alone.

    def disk(self, unit):
        """{file name: text}."""
        folder = self.unit_directory(unit) / 'disk'
        return {path.name: path.read_text() for path in folder.iterdir()} \
            if folder.exists() else {}

    def set_disk(self, unit, files):
        folder = self.unit_directory(unit) / 'disk'
        if folder.exists():
            shutil.rmtree(str(folder))
        for name, text in files.items():
            folder.mkdir(exist_ok=True)
            (folder / name).write_text(text)


def script_of(charm, hook):
    """The file of the charm that a `juju exec` names; a shell is a process of its own."""
    file = Path(charm, hook.name)
    if not os.path.isfile(str(file)):
        raise NotModelled('juju exec of anything but a file of the charm, in a forked hook')
    return file


def is_python(file):
    with open(str(file), 'rb') as start:
        return b'python' in start.readline()
