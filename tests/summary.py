"""The end of a default run of tox: how many tests ran, those of the promises among them.

Each environment's pytest leaves a record in tox's directory (see conftest.py), and so does
measure.py. `python tests/summary.py` reads them, and fails unless tests of every promise are
among those that passed; `--forget`, which the first environment runs, drops those of an earlier
run, so that an environment which did not start cannot pass for one that did.
"""
import json
import os
import re
import shutil
import sys
from pathlib import Path

README = Path(__file__).parent.parent / 'README.md'


def records():
    """The directory for them, or None outside of tox."""
    return Path(os.environ['TOX_WORK_DIR'], 'ran') if 'TOX_WORK_DIR' in os.environ else None


def record(**facts):
    if records():
        records().mkdir(parents=True, exist_ok=True)
        (records() / os.environ['TOX_ENV_NAME']).write_text(json.dumps(facts))


def promises(names):
    """The numbers of the promises that these tests are for."""
    return sorted({int(number) for name in names
                   for number in re.findall(r'test_promises\.py::test_p([0-9]+)_', name)})


def summary(directory):
    """(lines, whether tests of each promise ran)."""
    ran = {path.name: json.loads(path.read_text()) for path in sorted(directory.glob('*'))}
    lines = ['{}: {}'.format(name, facts['said']) for name, facts in ran.items()]
    total = sum(facts['passed'] for facts in ran.values())
    kept = {number for facts in ran.values() for number in facts['promises']}
    promised = {int(number) for number in
                re.findall(r'^- \*\*P(\d+) ', README.read_text(), re.MULTILINE)}
    without = ', '.join('P{}'.format(number) for number in sorted(promised - kept))
    if without:
        return lines + ['NOT proved: no test of {} ran'.format(without)], False
    return lines + ['{} tests passed, with some of each promise, P1 to P{}, among them'.format(
        total, max(promised))], True


def main():
    if sys.argv[1:] == ['--forget']:
        shutil.rmtree(str(records()), ignore_errors=True)
        return 0
    lines, proved = summary(records())
    print('\n'.join(lines))
    return 0 if proved else 1


if __name__ == '__main__':
    sys.exit(main())
