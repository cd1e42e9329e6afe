"""The CA, in a secret that the application owns: only the leader writes it; it outlives the leader.

In the secret are `certificate` and `key` of the CA that signs. During a change of CA there is
`other-certificate`, which the units are to trust, too; if `other-key` is there, that CA signs next.
Every function here is for the leader.
"""
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from charmhelpers.core import hookenv

from lazy import pki

LABEL = 'certificate-authority'
READ = 'authority.read'  # in the cache, which lasts for a hook


def memory():
    """The directory in memory from which Juju reads the secret's values, so that no disk has them.

    Its name is made from the charm's directory, which is this unit's alone even where models share
    a machine.
    """
    name = 'ca-' + hashlib.sha256(os.getcwd().encode()).hexdigest()[:16]
    return Path('/run' if os.path.ismount('/run') else '/dev/shm', name)


def forget():
    """Remove what a hook that was killed has left there."""
    place = memory()
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(str(place))
    elif place.is_symlink() or place.exists():
        place.unlink()


hookenv.atstart(forget)


def read():
    """What is in the secret; {} if there is none. Fault if Juju does not say."""
    if READ not in hookenv.cache:
        done = run('secret-get', '--label', LABEL, '--refresh', '--format', 'json')
        if not done.returncode:
            hookenv.cache[READ] = json.loads(done.stdout)
        elif 'label "{}" not found'.format(LABEL) in done.stderr:
            hookenv.cache[READ] = {}
        else:
            hookenv.cache[READ] = pki.Fault('secret-get: ' + done.stderr)
    if isinstance(hookenv.cache[READ], Exception):
        raise hookenv.cache[READ]
    return hookenv.cache[READ]


def current(tls):
    """What is in the secret; the first leader makes it.

    The new secret and what is signed in the same hook are committed together or not at all.
    """
    if not read():
        if any(request['certificate'] for request in tls.get_requests().values()):
            raise pki.Fault('the secret with the CA is gone; the action new-ca makes another')
        certificate, key = pki.make_ca(hookenv.application_name())
        write({'certificate': certificate, 'key': key})
    return read()


def write(ca):
    """Write `ca` to the secret, as its next revision, or to a new secret."""
    tool = ['secret-set', secret_id()] if read() else ['secret-add', '--label', LABEL]
    forget()
    memory().mkdir(mode=0o700)
    try:
        for name, text in ca.items():
            (memory() / name).write_text(text)
        # As files, since arguments can be seen.
        done = run(*tool, *['{0}#file={1}/{0}'.format(name, memory()) for name in ca])
    finally:
        forget()
    if done.returncode:
        raise pki.Fault('{}: {}'.format(tool[0], done.stderr))
    hookenv.cache[READ] = ca


def secret_id():
    """The id of the secret, by its label: the application may have other secrets."""
    done = run('secret-info-get', '--label', LABEL, '--format', 'json')
    if done.returncode:
        raise pki.Fault('secret-info-get: ' + done.stderr)
    return next(iter(json.loads(done.stdout)))


def forget_old_revisions():
    """In secret-changed and secret-remove: make Juju forget the earlier revisions of the secret.

    An old revision has the key of a CA that may be gone. Once no unit reads it any more, Juju runs
    secret-remove on the leader, and names the revision.
    """
    try:
        read()
    except pki.Fault as fault:
        hookenv.log('old revisions of the CA stay: {}'.format(fault), hookenv.WARNING)
    revision = os.environ.get('JUJU_SECRET_REVISION')
    if revision and os.environ.get('JUJU_SECRET_LABEL') == LABEL:
        run('secret-remove', os.environ['JUJU_SECRET_ID'], '--revision', revision)


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                          universal_newlines=True)
