"""The end of a default run of tox: how many tests passed, those of each promise among them.

Each run of pytest leaves a record in tox's directory (conftest.py, as_an_author.py). `python
tests/harness/tox_summary.py`, which tox runs, reads them, and fails unless tests of every promise
are among those that passed; `--forget`, which the first environment runs, drops those of an earlier
run, so that an environment which did not start cannot pass for one that did.
"""
import json
import os
import re
import shutil
import sys
from pathlib import Path

README = Path(__file__).parent.parent.parent / 'README.md'


def records():
    """The directory for them, or None outside of tox."""
    return Path(os.environ['TOX_WORK_DIR'], 'ran') if 'TOX_WORK_DIR' in os.environ else None


def record(passed, of=None):
    """The names of the tests that passed: of this environment, or of a part of it."""
    if records():
        records().mkdir(parents=True, exist_ok=True)
        (records() / (of or os.environ['TOX_ENV_NAME'])).write_text(json.dumps(passed))


def summary(directory):
    """(lines, whether tests of each promise ran)."""
    ran = {path.name: json.loads(path.read_text()) for path in sorted(directory.glob('*'))}
    passed = [name for names in ran.values() for name in names]
    proved = set(re.findall(r'::test_p(\d+)_', '\n'.join(passed)))
    promised = re.findall(r'^- \*\*P(\d+) ', README.read_text(), re.MULTILINE)
    without = ['P' + number for number in promised if number not in proved]
    ours = [name for name in passed if '/test_promises_' in name]
    twice = len(passed) - len(set(passed))
    lines = ['{} tests passed ({}), {}'.format(
        len(set(passed)), ', '.join('{} in {}'.format(len(names), name)
                                    for name, names in ran.items()),
        '{} of them twice'.format(twice) if twice else 'each once')]
    if without or not ours:
        lines.append('NOT proved: no test of {} passed'.format(
            ', '.join(without) or 'test_promises_*.py'))
    else:
        lines.append('Every promise, P{} to P{}, was covered by at least one of them'.format(
            promised[0], promised[-1]))
        lines.append('Not among them: long tests, which `tox -e slow` runs, and those of the '
                     'easy-rsa example and of the recipe for openssl, which `tox -e openssl` runs')
    return lines, not without and bool(ours)


def main():
    if not records():
        print('TOX_WORK_DIR, the directory of tox, is not set: tox runs this', file=sys.stderr)
        return 1
    if sys.argv[1:] == ['--forget']:
        shutil.rmtree(str(records()), ignore_errors=True)
        return 0
    lines, proved = summary(records())
    print('\n'.join(lines))
    return 0 if proved else 1


if __name__ == '__main__':
    sys.exit(main())
