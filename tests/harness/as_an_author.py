"""An example's own tests, run as its author does: in a copy, on the installed fakejuju.

`python tests/harness/as_an_author.py EXAMPLE` takes options of pytest. fakejuju is installed in a
directory of its own, which is on the path, and nothing else of this checkout; the interface lies in
`interfaces/tls`, as after `git clone`. Run by `tox -e kit`.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

import tox_summary

TESTS = Path(__file__).parent.parent


def run(example, options):
    """The exit code of pytest."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, example)
        shutil.copytree(str(TESTS / example), str(copy))
        shutil.copytree(str(TESTS.parent), str(copy / 'interfaces/tls'),
                        ignore=shutil.ignore_patterns('.*', '__pycache__'))
        installed, report = Path(scratch, 'installed'), Path(scratch, 'report.xml')
        subprocess.run(
            [sys.executable, '-m', 'pip', 'install', '--quiet', '--disable-pip-version-check',
             '--no-build-isolation', '--no-deps', '--target', str(installed),
             str(TESTS / 'fakejuju')], check=True)
        env = {name: value for name, value in os.environ.items() if name != 'CHARM'}
        code = subprocess.run(
            [sys.executable, '-m', 'pytest', 'tests', '--junit-xml', str(report), *options],
            cwd=str(copy), env=dict(env, PYTHONPATH=str(installed))).returncode
        cases = ElementTree.parse(str(report)).iter('testcase')
        tox_summary.record(['{}/{}::{}'.format(example, case.get('classname'), case.get('name'))
                            for case in cases if not len(case)], 'kit')
        return code


if __name__ == '__main__':
    sys.exit(run(sys.argv[1], sys.argv[2:]))
