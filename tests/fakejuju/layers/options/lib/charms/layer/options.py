"""Stands in for layer:options: what layer.yaml of the built charm says under `options`."""
import os
import sys
import types
from pathlib import Path

import yaml


def get(section=None, option=None, layer_file='layer.yaml'):
    """The options of a layer, or the value of one; {} or None where there is none.

    section: the layer's name. Without it, the options of all layers, {layer: options}.
    """
    if option and not section:
        raise ValueError('the option {} of no section'.format(option))
    path = Path(os.environ.get('JUJU_CHARM_DIR', '.'), layer_file)
    found = yaml.safe_load(path.read_text()).get('options', {})
    if section:
        found = found.get(section, {})
    return found.get(option) if option else found


class Callable(types.ModuleType):
    """`layer.options('NAME')`, an older form of `layer.options.get('NAME')`."""

    def __call__(self, section=None, layer_file='layer.yaml'):
        return get(section, layer_file=layer_file)


sys.modules[__name__].__class__ = Callable
