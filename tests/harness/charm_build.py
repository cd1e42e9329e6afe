"""The real charm-build, offline: interface from this checkout, base layer from fakejuju/layers.

`python tests/harness/charm_build.py FILE` makes a charm file of the example.
"""
import os
import shutil
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path.append(str(TESTS))

import fakejuju.build  # noqa: E402 - the line above makes it importable


def build(layer, target, *options, directory=None):
    """Build that charm layer below `target`; the directory of the built charm.

    The environment variable CHARM_BUILD names the command (tox sets it). It must exit with 0,
    which includes that `charm proof` finds nothing to warn of.
    """
    with tempfile.TemporaryDirectory() as scratch:
        os.symlink(str(TESTS.parent), os.path.join(scratch, 'tls'))
        return fakejuju.build.build(layer, target, *options, interfaces=scratch, codes=(0,),
                                    cwd=directory)


def pack(layer, file):
    """Build that charm layer as a charm file, which is a zip archive."""
    with tempfile.TemporaryDirectory() as scratch:
        built = build(layer, Path(scratch) / 'built', '--charm-file', directory=scratch)
        shutil.move(os.path.join(scratch, built.name + '.charm'), str(file))


if __name__ == '__main__':
    pack(TESTS / 'example', sys.argv[1])
