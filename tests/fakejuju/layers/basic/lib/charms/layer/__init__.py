"""Stands in for layer:basic: `from charms import layer` and the libraries of all layers."""
import importlib
from pathlib import Path


def import_layer_libs():
    """Import each library in lib/charms/layer, so that `layer.NAME` works for every layer NAME."""
    for path in sorted(Path('lib/charms/layer').iterdir()):
        if path.stem not in ('__init__', 'basic') and (path.suffix == '.py' or path.is_dir()) \
                and path.name != '__pycache__':
            importlib.import_module('charms.layer.' + path.stem)
