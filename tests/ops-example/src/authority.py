"""The certificate authority (CA), in a secret that the application owns and that outlives a leader.

    certificate, key                 the CA that signs; without the key, the one that is lost
    other-certificate, other-key     while the CA is changed: the next to sign, which units trust
    other-certificate                then: the one before, which units still trust

Every unit of the application can read the secret, and only the leader can write it.
"""
import functools
import hashlib
import logging
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import ops

import pki

LABEL = 'certificate-authority'
LOST = 'the secret with the CA is gone; the action new-ca makes another'

logger = logging.getLogger(__name__)


class NoAuthority(Exception):
    """Why there is no CA to sign with, and what to do."""


def memory() -> Path:
    """A directory in memory: /run if it is one, because only root can write there."""
    mounts = [line.split() for line in Path('/proc/mounts').read_text().splitlines()]
    in_memory = {path for _, path, kind, *_ in mounts if kind == 'tmpfs'}
    for path in '/run', '/dev/shm':
        if path in in_memory and os.access(path, os.W_OK):
            return Path(path)
    raise NoAuthority('neither /run nor /dev/shm is in memory, and a disk is no place for a key')


class Authority(ops.Object):
    """The CA as this hook sees it, and how it is changed. All that writes is for the leader."""

    def __init__(self, charm: ops.CharmBase):
        super().__init__(charm, 'authority')
        self.app = charm.app
        self.framework.observe(charm.on.secret_changed, self._follow)
        self.framework.observe(charm.on.secret_remove, self._remove)
        # The charm's directory is this unit's alone, even where models share a machine.
        self.name = 'ca-' + hashlib.sha256(os.getcwd().encode()).hexdigest()[:16]
        with suppress(NoAuthority):
            self._clear(memory() / self.name)  # of a hook that was killed

    @staticmethod
    def _clear(path: Path) -> None:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def _follow(self, event: ops.SecretChangedEvent) -> None:
        """Read the newest revision. When all units have, Juju tells the leader to remove the
        older."""
        with suppress(NoAuthority):  # a later one is read then
            self.content

    def _remove(self, event: ops.SecretRemoveEvent) -> None:
        """The key of an old CA leaves the controller when no unit holds that revision any more."""
        if event.secret.label == LABEL:
            event.remove_revision()

    @functools.cached_property
    def secret(self) -> Optional[ops.Secret]:
        try:
            return self.model.get_secret(label=LABEL)
        except ops.SecretNotFoundError:
            return None

    @functools.cached_property
    def content(self) -> Dict[str, str]:
        """What the secret holds; empty if there is none. NoAuthority if Juju does not say."""
        try:
            return self.secret.get_content(refresh=True) if self.secret else {}
        except ops.ModelError as error:
            logger.error('the secret with the CA cannot be read: %s', error)
            raise NoAuthority(f'the secret with the CA cannot be read: {error}') from error

    @property
    def certificate(self) -> str:
        return self.content.get('certificate', '')

    @property
    def next_certificate(self) -> str:
        """That of the CA that signs from the next `reissue` on, or ''."""
        return self.content.get('other-certificate', '') if 'other-key' in self.content else ''

    @property
    def old_certificate(self) -> str:
        """That of the CA that signed before and is still trusted, or ''."""
        return '' if 'other-key' in self.content else self.content.get('other-certificate', '')

    def make(self) -> None:
        """Make the CA that signs."""
        certificate, key = pki.make_ca(self.app.name)
        self.keep({'certificate': certificate, 'key': key})

    def make_next(self, lost: str = '') -> None:
        """Make the CA that signs next, beside the present one or the certificate of one lost."""
        certificate, key = pki.make_ca(self.app.name)
        self.keep(self.content or {'certificate': lost}, certificate, key)

    def switch(self) -> None:
        """Have the next CA sign; the one before is still trusted."""
        ca = self.content
        self.keep({'certificate': ca['other-certificate'], 'key': ca['other-key']},
                  ca['certificate'])

    def drop_other(self) -> None:
        self.keep(self.content)

    def keep(self, ca: Dict[str, str], other: str = '', other_key: str = '') -> None:
        content = {name: ca[name] for name in ('certificate', 'key') if name in ca}
        if other:
            content['other-certificate'] = other
        if other_key:
            content['other-key'] = other_key
        with self.files_in_memory():
            if self.secret:
                self.secret.set_content(content)
            else:
                self.secret = self.app.add_secret(content, label=LABEL)
        self.content = content

    @contextmanager
    def files_in_memory(self) -> Iterator[None]:
        """ops hands a secret to Juju in files, below this directory while it lasts."""
        scratch, before = memory() / self.name, tempfile.tempdir
        scratch.mkdir(mode=0o700)
        tempfile.tempdir = str(scratch)
        try:
            yield
        finally:
            tempfile.tempdir = before
            shutil.rmtree(scratch)

    def sign(self, csr: str, unit: str, names: List[str], days: int, before: str) -> str:
        """The chain for that unit: its certificate, and then those of the CAs to trust.

        Where the CA is lost, its certificate in `before`, the unit's chain, stays if it is good:
        not all units trust the next CA yet. pki.BadRequest if the CSR is not one to sign; any other
        exception is no fault of the CSR.
        """
        if not self.content:
            raise NoAuthority(LOST)
        ca = self.content
        trusted = ca['certificate'] + ca.get('other-certificate', '')
        if 'key' in ca:
            return pki.sign(csr, unit, names, days, ca['certificate'], ca['key']) + trusted
        if is_good(before, csr):
            return pki.pem(pki.certificates(before)[0]) + trusted
        return pki.sign(
            csr, unit, names, days, ca['other-certificate'], ca['other-key']) + trusted


def is_good(chain: str, csr: str) -> bool:
    """Whether that is a chain for that request, valid now. BadRequest if it is none to sign."""
    key = pki.load_request(csr).public_key()
    try:
        return pki.certificates(chain)[0].public_key() == key and not pki.untimely(chain)
    except pki.Fault:
        return False
