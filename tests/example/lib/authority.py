"""The CA, in a secret that the application owns: only the leader writes it; it outlives the leader.

In the secret are `certificate` and `key` of the CA that signs. During a change of CA there is
`other-certificate`, which the units are to trust, too; if `other-key` is there, that CA signs next.
Without `key`, the CA that signed is lost: certificates stay as they are until the next one signs.
Every function here is for the leader.
"""
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

from charmhelpers.core import hookenv, unitdata

from lazy import pki

LABEL = 'certificate-authority'
READ = 'authority.read'  # in the cache, which lasts for a hook
GONE = 'tls-example.ca-gone'  # in unitdata: whether there was no secret when it was last looked for
LOST = 'the secret with the CA is gone; the action new-ca makes another'
MOUNTS = Path('/proc/mounts')


def memory():
    """The directory in memory from which Juju reads the secret's values, so that no disk has them.

    /run, if it is in memory, because only root can write there. Its name is made from the charm's
    directory, which is this unit's alone even where models share a machine. Fault if neither is.
    """
    name = 'ca-' + hashlib.sha256(os.getcwd().encode()).hexdigest()[:16]
    mounts = [line.split() for line in MOUNTS.read_text().splitlines()]
    in_memory = {path for _, path, kind, *_ in mounts if kind == 'tmpfs'}
    for path in '/run', '/dev/shm':
        if path in in_memory and os.access(path, os.W_OK):
            return Path(path, name)
    raise pki.Fault('neither /run nor /dev/shm is in memory, and a disk is no place for a key')


def forget():
    """Remove what a hook that was killed has left there."""
    try:
        place = memory()
    except pki.Fault:
        return
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
    unitdata.kv().set(GONE, not hookenv.cache[READ])
    return hookenv.cache[READ]


def current(tls):
    """What is in the secret; the first leader makes it.

    The new secret and what is signed in the same hook are committed together or not at all.
    """
    if not read():
        if any(request['certificate'] for request in tls.get_requests().values()):
            raise pki.Fault(LOST)
        certificate, key = pki.make_ca(hookenv.application_name())
        write({'certificate': certificate, 'key': key})
    return read()


def sign(tls, unit, csr, names, days):
    """The chain for that unit: its certificate, then those of the CAs by which it knows peers."""
    ca = current(tls)
    trusted = ca['certificate'] + ca.get('other-certificate', '')
    if 'key' in ca:
        return pki.sign(csr, unit, names, days, ca['certificate'], ca['key']) + trusted
    before = tls.get_requests()[unit]['certificate'] or ''
    if is_good(before, csr):  # until all trust the next CA
        return pki.pem(pki.certificates(before)[0]) + trusted
    return pki.sign(csr, unit, names, days, ca['other-certificate'], ca['other-key']) + trusted


def is_good(chain, csr):
    """Whether that is a chain for that request, valid now. BadRequest if it is none to sign."""
    key = pki.load_request(csr).public_key()
    try:
        return pki.certificates(chain)[0].public_key() == key and not pki.untimely(chain)
    except pki.Fault:
        return False


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
    unitdata.kv().set(GONE, False)


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
