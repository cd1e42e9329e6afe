"""The package `pki` of the easy-rsa example, without a charm around it."""
import importlib
import importlib.util
import sys
from pathlib import Path

HOME = Path(__file__).parent.parent / 'example-easyrsa/lib/pki'
NAME = 'easyrsa_pki'  # another example has a `pki`
MODULES = 'command', 'files', 'x509', 'csr', 'authority', 'identity'

# Where the package of Debian and Ubuntu has it.
EASYRSA = Path('/usr/share/easy-rsa/easyrsa')


def load_pki(monkeypatch, first=None):
    """A new import of it, which finds commands in the directory `first` before all others."""
    if first:
        monkeypatch.setenv('PATH', str(first), prepend=':')
    for module in [each for each in sys.modules if each.split('.')[0] == NAME]:
        del sys.modules[module]
    spec = importlib.util.spec_from_file_location(
        NAME, str(HOME / '__init__.py'), submodule_search_locations=[str(HOME)])
    package = sys.modules[NAME] = importlib.util.module_from_spec(spec)
    for module in MODULES:
        importlib.import_module('{}.{}'.format(NAME, module))
    return package
