"""What the demo and the tests need and pip cannot bring, told in one line before they start.

`python tests/harness/prerequisites.py ARGUMENTS` then runs Python with the arguments; this is how
tox calls pip. Also a Python that is too old has to understand this file.
"""
import os
import shutil
import sys


def missing(version=sys.version_info):
    """The first thing that is not there, in a line, or None."""
    if version < (3, 8):
        return 'Python 3.8 or later is needed, this is {}.{}'.format(*version)
    if not shutil.which('openssl'):
        return 'the command openssl is needed; on Debian: apt-get install openssl'
    try:
        import ensurepip  # noqa: F401, Debian has it in a package of its own
    except ImportError:
        return 'python -m venv is needed; on Debian: apt-get install python{}.{}-venv'.format(
            *version)
    return None


if __name__ == '__main__':
    if missing():
        sys.exit(missing())
    if sys.argv[1:]:
        os.execv(sys.executable, [sys.executable] + sys.argv[1:])
