"""What the demo and the tests need and pip cannot bring, told in one line before they start.

`python tests/harness/prerequisites.py ARGUMENTS` then runs Python with the arguments; this is how
tox calls pip, and charm_tools.py. `--also openssl easy-rsa` looks for these, too, which some
environments need. Also a Python that is too old has to understand this file.
"""
import os
import shutil
import sys


NEEDED = 'the command {0} is needed; on Debian: apt-get install {0}'
# Debian's package puts the command of easy-rsa there.
EASYRSA = '/usr/share/easy-rsa/easyrsa'


def missing(version=sys.version_info, also=()):
    """The first thing that is not there, in a line, or None; `also` names packages of Debian."""
    if version < (3, 8):
        return 'Python 3.8 or later is needed, this is {}.{}'.format(*version)
    for package in ['git'] + list(also):
        if not shutil.which(package.replace('easy-rsa', 'easyrsa')) and not (
                package == 'easy-rsa' and os.path.exists(EASYRSA)):
            return NEEDED.format(package)
    try:
        import ensurepip  # noqa: F401, Debian has it in a package of its own
    except ImportError:
        return 'python -m venv is needed; on Debian: apt-get install python{}.{}-venv'.format(
            *version)
    return None


if __name__ == '__main__':
    also = sys.argv[2:] if sys.argv[1:2] == ['--also'] else []
    if missing(also=also):
        sys.exit(missing(also=also))
    if sys.argv[1:] and not also:
        os.execv(sys.executable, [sys.executable] + sys.argv[1:])
