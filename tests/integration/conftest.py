"""What is missing ends the run with an error: that nothing was tested is no success."""
import os
import shutil
from pathlib import Path

import pytest

CHARM = Path(os.environ.get('CHARM', 'tls-example.charm')).absolute()


def pytest_configure(config):
    if not shutil.which('juju'):
        pytest.exit('there is no juju on the PATH', returncode=1)
    if not CHARM.is_file():
        pytest.exit('{} is no file; set CHARM'.format(CHARM), returncode=1)
