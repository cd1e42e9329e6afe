"""What is yours to edit: where the service finds its key and certificates, and how it is told.

The other files here are alike for every charm, and a later version may replace them.
"""
import hashlib
import logging
import subprocess
from typing import List, Optional

import pki_files
from placing import place

# Such as '/etc/nginx/tls'; None if the service reads pki/ in the charm's directory, as root. There
# must be no such directory yet, since it becomes a link.
DIRECTORY: Optional[str] = None
OWNER, GROUP = 'root', 'root'
MODES = {'key.pem': 0o640, 'certificate.pem': 0o644, 'ca.pem': 0o644}
RELOAD: List[str] = []  # such as ['systemctl', 'reload', 'nginx']

SECONDS = 60  # that it may take
TOLD = pki_files.HOME / 'told'  # what the service was told of, so that a failure is tried again

logger = logging.getLogger(__name__)


def follow() -> List[str]:
    """Bring the service what is in use, and tell it of a change. Returns what did not work."""
    if pki_files.unfit(pki_files.in_use()):
        return []
    digest = hashlib.sha256(pki_files.in_use().encode()).hexdigest()
    try:
        if DIRECTORY:
            place(DIRECTORY, OWNER, GROUP, MODES)
        if pki_files.read(TOLD) != digest:
            if RELOAD:
                subprocess.run(RELOAD, check=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
            pki_files.write(TOLD, digest)
    except (OSError, LookupError, subprocess.SubprocessError) as error:
        logger.error('the service was not told of the certificate: %s', error)
        return [f'the service was not told of the certificate: {error}']
    return []
