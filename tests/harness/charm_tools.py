"""Put charm-tools into an environment of its own, unless it is there.

charm-build wants other versions of what charms.reactive needs. `python tests/harness/charm_tools.py
DIRECTORY REQUIREMENT...`; pip is that of the environment which runs this.
"""
import shutil
import subprocess
import sys
import venv
from pathlib import Path


def make(directory, requirements):
    done = directory / 'done'
    what = ' '.join([sys.version, *requirements])
    if done.exists() and done.read_text() == what:
        return
    shutil.rmtree(str(directory), ignore_errors=True)
    venv.create(str(directory), symlinks=True)
    subprocess.run(
        [sys.executable, '-m', 'pip', '--python', str(directory), 'install', '--quiet',
         '--disable-pip-version-check', '--no-compile', *requirements], check=True)
    done.write_text(what)


if __name__ == '__main__':
    make(Path(sys.argv[1]), sys.argv[2:])
