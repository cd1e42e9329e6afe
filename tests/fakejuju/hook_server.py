"""A process with the frameworks imported, from which hooks are forked.

What it does for a hook is what the kernel would do for the process of its own: the hook's
environment and nothing else, its directory, its file run as `__main__`. Hook tools that it calls by
`subprocess.run` and its like are not started as processes either; their calls go straight to the
agent's socket.
"""
import contextlib
import errno
import gc
import importlib
import io
import json
import os
import platform
import runpy
import subprocess
import sys
import sysconfig
import tempfile
import traceback
from typing import Any

from fakejuju.tools import NOT_MODELLED, TOOLS

if not hasattr(platform, 'linux_distribution'):
    # charmhelpers 1.2.1 refuses to be imported on Debian; it asks this function first, which
    # Python 3.8 has removed.
    setattr(platform, 'linux_distribution', lambda: ('Ubuntu', '', ''))

# MAX_ARG_STRLEN of Linux: bytes of one argument of a process, with the NUL that ends it.
MAX_ARGUMENT = 128 * 1024

PRELOADED = 'charms.reactive', 'ops', 'yaml', 'sqlite3', 'tempfile', 'uuid'


def preload():
    """Import what hooks will, as far as it is installed."""
    for name in PRELOADED:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name != name:
                raise


# Where modules are that no charm brings.
INSTALLED = tuple(set(sysconfig.get_paths()[name] for name in ('stdlib', 'purelib', 'platlib')))


def imported_since(before):
    """Names of modules to have ready for the next hook: installed ones, except those that may know
    of this hook.
    """
    return [name for name, module in list(sys.modules.items()) if name not in before
            and (getattr(module, '__file__', None) or '').startswith(INSTALLED)
            and not name.startswith(('charms', '__'))]


def get_ready(names):
    for name in names:
        with contextlib.suppress(Exception):  # the hook that wants it will tell
            importlib.import_module(name)
    gc.freeze()  # children would copy every page that a collection touches


def check_arguments(argv):
    """Raise the exception that starting a process with these arguments would raise."""
    for each in map(os.fsencode, argv):
        if b'\0' in each:
            raise ValueError('embedded null byte')
        if len(each) >= MAX_ARGUMENT:
            raise OSError(errno.E2BIG, os.strerror(errno.E2BIG), argv[0])


def answer_hook_tools(ask, write):
    """Route hook tools called through `subprocess` to `ask`; other commands run as usual."""
    real_run, real_call = subprocess.run, subprocess.call

    def is_tool(argv):
        name = '' if isinstance(argv, str) else os.path.basename(argv[0])  # ops has looked for it
        return name in TOOLS or name in NOT_MODELLED

    def run(argv, *args, input=None, capture_output=False, check=False, **options):
        if not is_tool(argv):
            return real_run(argv, *args, input=input, capture_output=capture_output, check=check,
                            **options)
        check_arguments(argv)
        argv = [os.path.basename(argv[0]), *argv[1:]]
        answer = ask(argv, input or '')
        if answer is None:
            raise FileNotFoundError(2, 'No such file or directory', argv[0])
        code, stdout, stderr = answer
        captured = {}
        for name, text, fd in (('stdout', stdout, 1), ('stderr', stderr, 2)):
            if capture_output or options.get(name) == subprocess.PIPE:
                as_text = options.get('universal_newlines') or options.get('text') \
                    or options.get('encoding')
                captured[name] = text if as_text else text.encode()
            elif options.get(name) != subprocess.DEVNULL:
                write(fd, text)
        if check and code:
            raise subprocess.CalledProcessError(code, argv, **{
                'output': captured.get('stdout'), 'stderr': captured.get('stderr')})
        return subprocess.CompletedProcess(argv, code, **captured)

    def call(argv, *args, **options):
        if not is_tool(argv):
            return real_call(argv, *args, **options)
        return run(argv, **options).returncode

    vars(subprocess).update(run=run, call=call)


def run_hook(request, imports):
    """In the child: become the hook; tell in the file `imports` what it imported."""
    before = set(sys.modules)
    os.setsid()
    for fd, path in ((0, os.devnull), (1, request['stdout']), (2, request['stderr'])):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(file, fd)
        os.close(file)
    sys.stdin = open(os.devnull)
    sys.stdout, sys.stderr = (io.TextIOWrapper(os.fdopen(fd, 'wb', 0), write_through=True)
                              for fd in (1, 2))
    os.environ.clear()
    os.environ.update(request['env'])
    sys.dont_write_bytecode = False  # the caller's choice, not the hook's
    os.chdir(request['directory'])
    sys.argv, sys.path[0] = [request['file']], os.path.dirname(request['file'])
    # `charms` looked for its parts when it was imported; those of the charm's layers are below lib.
    sys.modules['charms'].__path__.append('lib/charms')
    client = runpy.run_path(os.path.join(os.path.dirname(__file__), 'hook-tool'))
    answer_hook_tools(client['ask'], lambda fd, text: os.write(fd, text.encode()))
    code = exit_code_of(request['file'])
    imports.write('\n'.join(imported_since(before)))
    imports.flush()
    return code


def exit_code_of(file):
    try:
        runpy.run_path(file, run_name='__main__')
        return 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        return error.code if isinstance(error.code, int) else int(bool(error.code))
    except BaseException as error:
        below: Any = error.__traceback__
        # Of what is here no process of its own would tell.
        while below.tb_next and below.tb_frame.f_code.co_filename != file:
            below = below.tb_next
        traceback.print_exception(type(error), error, below)
        return 1


def main():
    preload()
    get_ready([])
    with tempfile.TemporaryFile('w+') as imports:
        for line in sys.stdin:
            imports.seek(0)
            imports.truncate()
            child = os.fork()
            if child == 0:
                os._exit(run_hook(json.loads(line), imports))
            print(child, flush=True)
            _, status = os.waitpid(child, 0)
            print(-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status),
                  flush=True)
            imports.seek(0)
            get_ready(imports.read().split())
