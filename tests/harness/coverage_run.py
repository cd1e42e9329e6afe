"""Run tests under coverage, where a release of it that can do so installs; say so where not."""
import subprocess
import sys

import tox_summary

WITHOUT = 'not measured: no coverage that measures processes which end by os._exit runs on ' \
          'Python {}.{}'


def main():
    try:
        import coverage  # noqa: F401
    except ImportError:
        said = WITHOUT.format(*sys.version_info)
        tox_summary.record(said)
        print(said)
        return 0
    for command in (['run', '-m', 'pytest'] + sys.argv[1:], ['combine', '--quiet'],
                    ['report', '--include', 'peers.py']):
        code = subprocess.run([sys.executable, '-m', 'coverage'] + command).returncode
        if code:
            return code
    return 0


if __name__ == '__main__':
    sys.exit(main())
