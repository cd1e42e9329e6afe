"""Runs openssl and easy-rsa so that each of them ends, and none asks a question."""
import os
import signal
import subprocess
from collections import namedtuple
from pathlib import Path

SECONDS = 60  # which one command may take
ENVIRONMENT = {'PATH': os.environ.get('PATH', os.defpath), 'LC_ALL': 'C'}
# The CAs and the openssl.cnf of the machine have no say.
OPENSSL = {'OPENSSL_CONF': str(Path(__file__).resolve().with_name('openssl.cnf')),
           'SSL_CERT_FILE': os.devnull, 'SSL_CERT_DIR': os.devnull}

Done = namedtuple('Done', 'code stdout stderr')


class Failure(Exception):
    """A tool did not do its work: it is missing, was killed, took too long, has no room to write.

    It says nothing about what the tool worked on, so the same may succeed later. The text is one
    line for people; `output` is what the tool printed.
    """

    def __init__(self, text, output=''):
        super().__init__(text)
        self.output = output


def run(*arguments, text='', codes=(0,), seconds=SECONDS, directory=None, **environment):
    """What the command printed, and its exit code.

    It sees no variable but `environment`, PATH and LC_ALL, and reads `text`.
    Failure if it cannot be started, takes too long, or ends with none of `codes`.
    """
    name = Path(arguments[0]).name
    # It has a session of its own, so there is no terminal to ask for a pass phrase at, and its
    # children can be ended with it. `timeout` ends it if this process is killed before.
    command = ['timeout', '--signal=KILL', str(seconds + 1), *arguments]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE if text else subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
            cwd=directory, env=dict(ENVIRONMENT, **environment), universal_newlines=True,
            errors='replace')
    except OSError as error:
        raise Failure('{} cannot be started: {}'.format(name, error.strerror))
    with process:
        try:
            stdout, stderr = process.communicate(text or None, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise Failure('{} did not end within {} s'.format(name, seconds))
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
    if process.returncode not in codes:
        raise Failure('{} {}'.format(name, ending(process.returncode)), stderr + stdout)
    return Done(process.returncode, stdout, stderr)


def ending(code):
    """What became of a command, by the exit code of `timeout`."""
    if code == 127:
        return 'is not installed'
    if code < 0 or code == 128 + signal.SIGKILL:
        return 'was killed'
    return 'ended with exit code {}'.format(code)


def openssl(*arguments, **how):
    """As `run`."""
    return run('openssl', *arguments, **dict(OPENSSL, **how))
