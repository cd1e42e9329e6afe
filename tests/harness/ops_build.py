"""The example in ops, as `charmcraft pack` puts it together, without its Python packages.

`python tests/harness/ops_build.py DIRECTORY` does that there.
"""
import shutil
import sys
from pathlib import Path

import yaml

TESTS = Path(__file__).parent.parent
METADATA = ('name', 'summary', 'description', 'assumes', 'peers')
# charmcraft's is a shell script that does the same.
DISPATCH = '''#!/usr/bin/env python3
import runpy
import sys

sys.path.insert(0, 'src')
runpy.run_path('src/charm.py', run_name='__main__')
'''


def assemble(charm):
    """Put the charm together in that new directory; its path."""
    charm = Path(charm)
    shutil.copytree(str(TESTS / 'ops-example/src'), str(charm / 'src'),
                    ignore=shutil.ignore_patterns('__pycache__'))
    project = yaml.safe_load((TESTS / 'ops-example/charmcraft.yaml').read_text())
    for name, content in (('metadata', {key: project[key] for key in METADATA}),
                          ('config', project['config']), ('actions', project['actions'])):
        (charm / (name + '.yaml')).write_text(yaml.safe_dump(content))
    (charm / 'dispatch').write_text(DISPATCH)
    (charm / 'dispatch').chmod(0o755)
    return charm


if __name__ == '__main__':
    assemble(sys.argv[1])
