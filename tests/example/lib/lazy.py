"""`pki` and `pki_files`, imported when something of them is first used.

They need cryptography, which takes 65 ms to import, and most hooks need none of it.
"""
import importlib


class Lazy:
    used = False  # whether this hook has used one of them

    def __init__(self, module):
        self._module = module

    def __getattr__(self, name):
        Lazy.used = True
        return getattr(importlib.import_module(self._module), name)


pki, pki_files = Lazy('pki'), Lazy('pki_files')
