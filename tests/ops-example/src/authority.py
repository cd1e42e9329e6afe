"""The certificate authority (CA), in a secret that the application owns and that outlives a leader.

    certificate, key                 the CA that signs
    other-certificate, other-key     while the CA is changed: the next to sign, which units trust
    other-certificate                then: the one before, which units still trust

Every unit of the application can read the secret, and only the leader can write it.
"""
import functools
import hashlib
import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Dict, Iterator, List, Optional

import ops

import pki

LABEL = 'certificate-authority'


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
            shutil.rmtree(memory() / self.name, ignore_errors=True)  # of a hook that was killed

    def _follow(self, event: ops.SecretChangedEvent) -> None:
        """Read the newest revision. When all units have, Juju tells the leader to remove the
        older."""
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
        """What the secret holds; empty if there is none."""
        return self.secret.get_content(refresh=True) if self.secret else {}

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

    def make(self, trusted: str = '') -> None:
        """Make the CA that signs. `trusted`: the certificate of a lost CA, which stays trusted."""
        certificate, key = pki.make_ca(self.app.name)
        self.keep({'certificate': certificate, 'key': key}, trusted)

    def make_next(self) -> None:
        certificate, key = pki.make_ca(self.app.name)
        self.keep(self.content, certificate, key)

    def switch(self) -> None:
        """Have the next CA sign; the one before is still trusted."""
        ca = self.content
        self.keep({'certificate': ca['other-certificate'], 'key': ca['other-key']},
                  ca['certificate'])

    def drop_other(self) -> None:
        self.keep(self.content)

    def keep(self, ca: Dict[str, str], other: str = '', other_key: str = '') -> None:
        content = {'certificate': ca['certificate'], 'key': ca['key']}
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

    def sign(self, csr: str, unit: str, names: List[str], days: int) -> str:
        """The chain for that unit: its certificate, and then those of the CAs to trust.

        pki.BadRequest if the CSR is not one to sign; any other exception is no fault of the CSR.
        """
        if not self.content:
            raise NoAuthority('the secret with the CA is gone; the action new-ca makes another')
        ca = self.content
        return pki.sign(csr, unit, names, days, ca['certificate'], ca['key']) \
            + ca['certificate'] + ca.get('other-certificate', '')
