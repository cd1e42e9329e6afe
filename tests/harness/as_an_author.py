"""An example's own tests, run as its author does: in a copy, on the installed fakejuju.

`python tests/harness/as_an_author.py EXAMPLE` takes options of pytest. Nothing of this checkout is
on the path, and the interface lies in `interfaces/tls`, as after `git clone`. Run by `tox -e kit`.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent.parent


def run(example, options):
    """The exit code of pytest."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, example)
        shutil.copytree(str(TESTS / example), str(copy))
        shutil.copytree(str(TESTS.parent), str(copy / 'interfaces/tls'),
                        ignore=shutil.ignore_patterns('.*', '__pycache__'))
        env = {name: value for name, value in os.environ.items()
               if name not in ('PYTHONPATH', 'CHARM')}
        return subprocess.run([sys.executable, '-m', 'pytest', 'tests', *options],
                              cwd=str(copy), env=env).returncode


if __name__ == '__main__':
    sys.exit(run(sys.argv[1], sys.argv[2:]))
