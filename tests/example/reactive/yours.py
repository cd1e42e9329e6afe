"""What is yours to edit: where a service finds its certificate, and how it is told to read it.

The other files of this layer can be replaced by a later version.
"""
import subprocess

from charmhelpers.core import hookenv
from charms.reactive import clear_flag, hook, set_flag, when

from placing import place

# Such as '/etc/nginx/tls'; None if the service reads pki/ in the charm's directory, as root. There
# must be no such directory yet, since it becomes a link.
DIRECTORY = None
OWNER, GROUP = 'root', 'root'
MODES = {'key.pem': 0o640, 'certificate.pem': 0o644, 'ca.pem': 0o644}
# Such as ['systemctl', 'reload', 'nginx'].
RELOAD = None


@when('tls-example.installed')
def hand_over():
    """A certificate was put in use. Until the flag is cleared, the leader is not told so."""
    if DIRECTORY:
        place(DIRECTORY, OWNER, GROUP, MODES)
    if RELOAD and subprocess.call(RELOAD):
        hookenv.log('{} failed; the next hook tries again'.format(RELOAD), hookenv.ERROR)
    else:
        clear_flag('tls-example.installed')


@hook('update-status')
def look_for_what_is_lost():
    """Put the service's files back, or where this file, brought by an upgrade, wants them now."""
    if DIRECTORY and place(DIRECTORY, OWNER, GROUP, MODES):
        set_flag('tls-example.installed')
