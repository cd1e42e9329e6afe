"""Run the tests of the promises; they have to reach every line and branch of peers.py.

Where no release of coverage installs that can measure it, they run all the same, and it says so.
"""
import os
import subprocess
import sys
from pathlib import Path

INTERFACE = Path(__file__).parent.parent / 'interface'
TESTS = [str(path) for path in sorted(INTERFACE.glob('test_promises_*.py'))] + [
    str(INTERFACE / name) for name in ('test_decisions.py', 'test_upgrade.py')]
WITHOUT = 'coverage not measured: none that measures processes which end by os._exit runs on ' \
          'Python {}.{}'


def main():
    os.environ['TESTS_OF'] = 'promises'  # as their record is called
    pytest = ['-m', 'pytest', *TESTS, *sys.argv[1:]]
    try:
        import coverage  # noqa: F401, only whether it is there
    except ImportError:
        code = subprocess.run([sys.executable, *pytest]).returncode
        print(WITHOUT.format(*sys.version_info))
        return code
    for command in (['run', *pytest], ['combine', '--quiet'], ['report', '--include', 'peers.py']):
        code = subprocess.run([sys.executable, '-m', 'coverage', *command]).returncode
        if code:
            return code
    return 0


if __name__ == '__main__':
    sys.exit(main())
