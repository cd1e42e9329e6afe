"""What is yours to edit: where a service finds its certificate, and how it comes to read it.

The other files of this layer can be replaced by a later version.
"""
import subprocess

from charmhelpers.core import hookenv
from charms.reactive import clear_flag, hook, set_flag, when

from placing import place

# Such as '/etc/nginx/tls'; None if the service reads pki/ in the charm's directory, as root. It has
# to be new, since it becomes a link.
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
    """The service's files, or this file came with an upgrade and names another directory."""
    if DIRECTORY and place(DIRECTORY, OWNER, GROUP, MODES):
        set_flag('tls-example.installed')
