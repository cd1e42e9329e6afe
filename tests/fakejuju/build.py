"""charm-build without a network: the stand-ins for layer:basic and layer:options are in `layers`.

That is the directory for CHARM_LAYERS_DIR; `fakejuju layers` prints it.
"""
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import yaml

LAYERS = Path(__file__).parent / 'layers'
# charm-build ends with the code of `charm proof`: 100 for warnings, 200 for errors. Both times the
# charm is built.
BUILT = 0, 100, 200


class BuildFailed(Exception):
    """charm-build made no charm; the text is its own."""


def build(layer, target, *options, interfaces=None, wheelhouse=False, codes=BUILT, cwd=None):
    """Build the charm layer in the directory `layer`; returns the built charm's directory, below
    `target`.

    interfaces: a directory with a directory for each interface layer; by default that of
    CHARM_INTERFACES_DIR, or `interfaces` beside layer.yaml. Charm layers other than basic and
    options are taken from CHARM_LAYERS_DIR, or from `layers` beside layer.yaml. Nothing is fetched:
    a wheelhouse.txt, whose packages the stand-in would not install, is left out unless
    `wheelhouse`. The command is what CHARM_BUILD names, or charm-build; it has to exit with one of
    `codes`.
    """
    layer = Path(layer).absolute()
    command = os.environ.get('CHARM_BUILD', 'charm-build')
    if not shutil.which(command):
        raise BuildFailed('no command {}: install charm-tools in a virtual environment of its own '
                          'and set CHARM_BUILD to the charm-build in it'.format(command))
    with tempfile.TemporaryDirectory() as scratch:
        interfaces = interfaces or directory_of('CHARM_INTERFACES_DIR', layer) or scratch
        layers = together(Path(scratch, 'layers'), LAYERS, directory_of('CHARM_LAYERS_DIR', layer))
        done = subprocess.run(
            [command, '--hide-metrics',
             # Without an index a layer that is missing fails at once instead of being fetched.
             '--layer-index', 'file:///nonexistent/',
             '--build-dir', str(target), '--cache-dir', os.path.join(scratch, 'cache'), *options,
             str(layer if wheelhouse else offline(layer, Path(scratch, layer.name)))],
            env=dict(os.environ, CHARM_LAYERS_DIR=str(layers),
                     CHARM_INTERFACES_DIR=str(interfaces)), cwd=cwd,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, universal_newlines=True)
    if done.returncode not in codes:
        raise BuildFailed('{} {}: exit code {}\n{}'.format(
            command, layer, done.returncode, done.stdout))
    name = yaml.safe_load((layer / 'metadata.yaml').read_text())['name']
    return Path(target, name)


def directory_of(variable, layer):
    """The directory that CHARM_LAYERS_DIR or CHARM_INTERFACES_DIR names, else `layers` or
    `interfaces` beside layer.yaml, else None.
    """
    beside = layer / variable.split('_')[1].lower()
    found = os.environ.get(variable) or (beside if beside.is_dir() else None)
    return found and Path(found).absolute()


def together(directory, first, second):
    """A directory with the layers of both; where both have a name, the layer in `first`."""
    directory.mkdir()
    for source in (first, second) if second else (first,):
        for layer in source.iterdir():
            if layer.is_dir() and not (directory / layer.name).exists():
                (directory / layer.name).symlink_to(offline(layer, directory / ('.' + layer.name)))
    return directory


def offline(layer, copy):
    """The layer, or where it has a wheelhouse.txt a copy without it."""
    if not (layer / 'wheelhouse.txt').exists():
        return layer
    left_out = {'wheelhouse.txt', '.git', '.tox', *(yaml.safe_load(
        (layer / 'layer.yaml').read_text()) or {}).get('exclude', ())}
    shutil.copytree(str(layer), str(copy), ignore=lambda directory, names: (
        left_out & set(names) if Path(directory) == layer else ()))
    return copy
