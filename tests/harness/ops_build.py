"""The example in ops, with what it shares with the one that is reactive.

`python tests/harness/ops_build.py DIRECTORY` puts the charm together there.
"""
import shutil
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent


def assemble(charm):
    """Put the charm together in that new directory; its path."""
    shutil.copytree(str(TESTS / 'ops-example'), str(charm),
                    ignore=shutil.ignore_patterns('__pycache__'))
    for name in ('metadata.yaml', 'config.yaml', 'copyright'):
        shutil.copy(str(TESTS / 'example' / name), str(charm))
    for name in ('pki.py', 'pki_files.py'):
        shutil.copy(str(TESTS / 'example/lib' / name), str(Path(charm) / 'src'))
    return Path(charm)


if __name__ == '__main__':
    assemble(sys.argv[1])
