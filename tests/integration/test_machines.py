"""JUJU_MACHINES: where the tests of the example put units on a cloud that makes no machines.

The `juju` here is fakejuju's: it refuses units without a machine of their own beside those that
were added.
"""
import os
import subprocess
import sys
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
UNITS = 'three_units or added or leader_is_removed'


@pytest.mark.skipif(os.environ.get('JUJU') == 'real', reason='this is about the tests')
def test_each_unit_is_on_a_machine_of_its_own():
    done = subprocess.run(
        [sys.executable, '-m', 'pytest', str(TESTS / 'test_example.py'), '-k', UNITS],
        cwd=str(TESTS.parent.parent), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env=dict(os.environ, JUJU_MACHINES=' '.join(
            'ssh:ubuntu@10.0.0.{}'.format(number) for number in range(6))))
    assert ' 3 passed' in done.stdout, done.stdout
