"""The real charm-build, offline: interface from this checkout, base layer from fakejuju/layers.

`python tests/harness/charm_build.py FILE` makes a charm file of the example.
"""
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent.parent


def build(layer, target, *options, directory=None):
    """Build that charm layer below `target`; the directory of the built charm.

    The environment variable CHARM_BUILD names the command (tox sets it). It must exit with 0,
    which includes that `charm proof` finds nothing to warn of.
    """
    with tempfile.TemporaryDirectory() as scratch:
        os.symlink(str(TESTS.parent), os.path.join(scratch, 'tls'))
        subprocess.run(
            [os.environ.get('CHARM_BUILD', 'charm-build'), '--hide-metrics',
             # Without an index a layer that is missing fails at once instead of being fetched.
             '--layer-index', 'file:///nonexistent/',
             '--build-dir', str(target), '--cache-dir', os.path.join(scratch, 'cache'),
             *options, str(layer)],
            env=dict(os.environ, CHARM_LAYERS_DIR=str(TESTS / 'fakejuju/layers'),
                     CHARM_INTERFACES_DIR=scratch),
            cwd=directory, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    built, = Path(target).iterdir()
    return built


def pack(layer, file):
    """Build that charm layer as a charm file, which is a zip archive."""
    with tempfile.TemporaryDirectory() as scratch:
        built = build(layer, Path(scratch) / 'built', '--charm-file', directory=scratch)
        shutil.move(os.path.join(scratch, built.name + '.charm'), str(file))


if __name__ == '__main__':
    pack(TESTS / 'example', sys.argv[1])
