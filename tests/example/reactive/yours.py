"""What is yours to edit: where a service finds its certificate, and how it is told to read it.

The other files of this layer can be replaced by a later version.
"""
import subprocess

from charmhelpers.core import hookenv
from charms.reactive import clear_flag, hook, set_flag, when

from placing import is_placed, place

# Such as '/etc/nginx/tls'; None if the service reads pki/ in the charm's directory, as root. There
# must be no such directory yet, since it becomes a link.
DIRECTORY = None
OWNER, GROUP = 'root', 'root'
MODES = {'key.pem': 0o640, 'certificate.pem': 0o644, 'ca.pem': 0o644}
# Such as ['systemctl', 'reload', 'nginx'].
RELOAD = None
SECONDS = 60  # that it may take


@when('tls-example.installed')
def hand_over():
    """A certificate was put in use. Until the flag is cleared, the leader is not told so."""
    try:
        if DIRECTORY:
            place(DIRECTORY, OWNER, GROUP, MODES)
        if RELOAD:
            subprocess.run(RELOAD, check=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
        clear_flag('tls-example.installed')
    except (OSError, LookupError, subprocess.SubprocessError) as error:
        hookenv.log('the service was not told of its certificate, and will be in the next hook: '
                    '{}'.format(error), hookenv.ERROR)


@hook('update-status')
def look_for_what_is_lost():
    """Put the service's files back, or where this file, brought by an upgrade, wants them now."""
    if DIRECTORY and not is_placed(DIRECTORY, OWNER, GROUP, MODES):
        set_flag('tls-example.installed')
