"""The README's two commands, word for word, on Debian 11, 12, 13 and sid: `tox -e machines`.

Run it as root, with debootstrap installed; `tox -e machines -- sid 11` for some of them. Each
machine is made by debootstrap from what the README asks for, and gets a clone of this checkout.
Then it runs `tox -e openssl`; only there it finds the commands openssl and easyrsa. It is a
directory, removed when it has run: its processes and mounts are in namespaces of their own, which
end with it. What pip is told here of indexes and certificates it is told there.
"""
import argparse
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parent.parent
SUITES = {'11': 'bullseye', '12': 'bookworm', '13': 'trixie', 'sid': 'sid'}
PACKAGES = 'python3,python3-venv,git'
# What `tox -e openssl` needs, and those that the README's commands must not find until then.
MORE = 'openssl,easy-rsa'
HIDDEN = '/usr/bin/openssl', '/usr/share/easy-rsa'
OPENSSL = '.tox/start/bin/tox -e openssl'
CHECKOUT = Path('/srv/interface-tls')
# Ends all that runs in it, and its mounts, when it is killed or ends.
ALONE = ['unshare', '--mount', '--pid', '--fork', '--kill-child']
# What says to pip and to Python where packages are, and whom to trust.
TOLD = re.compile('PIP_.*|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|(?i:https?|no|all)_proxy')
FILES = ['/etc/resolv.conf', '/etc/hosts', '/etc/ssl/certs/ca-certificates.crt', '/etc/pip.conf']
PIP_HOME = ['.config/pip/pip.conf', '.pip/pip.conf']


def commands():
    """The two lines."""
    readme = (ROOT / 'README.md').read_text()
    block = re.search('^```\n(python3 .*?)^```$', readme, re.DOTALL | re.MULTILINE).group(1)
    first, second = block.splitlines()
    return first, second


def mirror():
    """Where this machine's apt has Debian from, or nothing: then debootstrap knows one."""
    if not shutil.which('apt-get'):
        return []
    sites = subprocess.run(['apt-get', 'indextargets', '--format', '$(REPO_URI)'],
                           stdout=subprocess.PIPE, universal_newlines=True).stdout.split()
    return [site for site in sites if site.endswith('/debian/')][:1]


def environment():
    told = {name: value for name, value in os.environ.items() if TOLD.fullmatch(name)}
    return dict(told, PATH='/usr/sbin:/usr/bin:/sbin:/bin', HOME='/root')


def bring(source, target):
    if source.is_dir():
        shutil.copytree(str(source), str(target), dirs_exist_ok=True)
    elif source.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_symlink():  # it would lead out of the machine
            target.unlink()
        shutil.copy(str(source), str(target))


class Machine:
    def __init__(self, name, directory, log):
        self.name = name
        self.root = directory / name
        self.log = log

    def inside(self, line, stdout=None):
        # Before glibc 2.34 a semaphore needs a tmpfs there.
        enter = 'mount -t proc proc "$0/proc" && mount -t tmpfs tmpfs "$0/dev/shm" ' \
                '&& exec chroot "$0" bash -c "cd {} && $1"'
        return subprocess.run(
            ALONE + ['sh', '-c', enter.format(CHECKOUT), str(self.root), line], env=environment(),
            stdin=subprocess.DEVNULL, stdout=stdout or self.log, stderr=subprocess.STDOUT,
            universal_newlines=True)

    def make(self):
        made = subprocess.run(
            ALONE + ['debootstrap', '--variant=minbase', '--include={},{}'.format(PACKAGES, MORE),
                     SUITES[self.name], str(self.root)] + mirror(),
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=subprocess.STDOUT)
        if made.returncode:
            raise RuntimeError('debootstrap: exit {}'.format(made.returncode))
        subprocess.run(['git', 'clone', '--quiet', '--no-hardlinks', str(ROOT),
                        str(self.root) + str(CHECKOUT)], check=True)
        named = [Path(value) for value in environment().values() if value.startswith('/')
                 and ':' not in value and value != '/root']
        for path in named + [Path(file) for file in FILES]:
            bring(path, Path(str(self.root) + str(path)))
        for file in PIP_HOME:
            bring(Path.home() / file, self.root / 'root' / file)

    def version(self, command):
        done = self.inside(command, subprocess.PIPE)
        found = re.search(r'[0-9.]+[a-z]?', done.stdout)
        if done.returncode or not found:
            raise RuntimeError('{}: exit {}, {}'.format(command, done.returncode, done.stdout))
        return found.group()

    @contextmanager
    def without_openssl(self):
        for path in HIDDEN:
            os.rename(str(self.root) + path, str(self.root) + path + '.hidden')
        yield
        for path in HIDDEN:
            os.rename(str(self.root) + path + '.hidden', str(self.root) + path)

    def outcome(self, line):
        """(whether it passed, in words)."""
        start = time.monotonic()
        code = self.inside(line).returncode
        return code == 0, 'exit {}, {:.0f} s'.format(code, time.monotonic() - start)


def remove(directory):
    """Also when what was killed has not quite ended."""
    for _ in range(100):
        shutil.rmtree(str(directory), ignore_errors=True)
        if not directory.exists():
            return
        time.sleep(0.1)
    raise RuntimeError('{} is still there'.format(directory))


def row_of(name, path):
    """(whether all passed, the cells for the table) of that machine, with its log there."""
    directory = Path(tempfile.mkdtemp(prefix='interface-tls-machine-'))
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with open(str(path), 'w') as log:
                machine = Machine(name, directory, log)
                machine.make()
                row = [machine.version('python3 --version'), machine.version('openssl version')]
                with machine.without_openssl():
                    outcomes = [machine.outcome(line) for line in commands()]
                outcomes.append(machine.outcome(OPENSSL))
        finally:
            remove(directory)
        return (all(good for good, _ in outcomes),
                row + [words for _, words in outcomes] + [told(path)])
    except (RuntimeError, OSError, subprocess.SubprocessError) as error:
        return False, [str(error)]


def told(log):
    """What the end of `tox` says was run."""
    lines = re.findall('^([0-9]+ tests passed|NOT proved.*)', log.read_text(), re.MULTILINE)
    return lines[-1] if lines else ''


def main():
    parser = argparse.ArgumentParser(prog='tox -e machines --', description=__doc__)
    parser.add_argument('names', nargs='*', metavar='MACHINE', help=' '.join(SUITES))
    parser.add_argument('--logs', type=Path, default=Path(tempfile.gettempdir()),
                        help='the directory for a log of each machine')
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(SUITES)
    if unknown:
        parser.error('no machine {}: {}'.format(*sorted(unknown), ' '.join(SUITES)))
    missing = [each for each in ('debootstrap', 'unshare', 'git') if not shutil.which(each)]
    if missing:
        parser.error('{0} is needed; on Debian: apt-get install {0}'.format(*missing).replace(
            'install unshare', 'install util-linux'))
    if os.geteuid():
        parser.error('only root can make a machine')
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # and so clean up

    console = Console(width=None if sys.stdout.isatty() else 110, highlight=False)
    table = Table('machine', 'Python', 'OpenSSL', 'demo', 'tox', 'tox -e openssl', 'tests')
    passed = True
    for name in arguments.names or SUITES:
        path = arguments.logs / 'machine-{}.log'.format(name)
        console.print('Debian {}, told in {}'.format(name, path), soft_wrap=True)
        good, row = row_of(name, path)
        passed = passed and good
        table.add_row('Debian ' + name, *row)
    console.print(table)
    return 0 if passed else 1


if __name__ == '__main__':
    sys.exit(main())
