"""The real charm-build, offline: interface from this checkout, base layer from tests/layers."""
import os
import subprocess
import tempfile
from pathlib import Path

TESTS = Path(__file__).parent


def build(layer, target):
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
             str(layer)],
            env=dict(os.environ, CHARM_LAYERS_DIR=str(TESTS / 'layers'),
                     CHARM_INTERFACES_DIR=scratch),
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=True)
    built, = Path(target).iterdir()
    return built
