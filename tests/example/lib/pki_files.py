"""A unit's keys and certificates in `pki/` below the charm's directory, which a refresh keeps:

    key.pem          this unit's private key; it never leaves the unit
    request.pem      the CSR for it, kept: to ask again is to ask the same
    certificate.pem  the certificate in use
    ca.pem           the CA certificates that this unit trusts
    new-key.pem      from `new_key` until its certificate is installed: the next key.pem

Each is checked against what it was made from, whenever it is used. Nothing here knows of Juju.
"""
import os
from pathlib import Path
from typing import Any, Optional

import pki

HOME = Path('pki')  # hooks and actions run in the charm's directory
KEY, NEW_KEY = HOME / 'key.pem', HOME / 'new-key.pem'
REQUEST, CERTIFICATE, CA = HOME / 'request.pem', HOME / 'certificate.pem', HOME / 'ca.pem'


def read(path: Path) -> str:
    """What stands there; '' if that is no file, or no text.

    OSError if the disk cannot tell: a key that cannot be read for a moment is not lost.
    """
    try:
        return path.read_text('utf-8')
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, ValueError):
        return ''


def write(path: Path, text: str) -> None:
    """All of the text or nothing, for nobody else to read; after a power cut, too."""
    path.parent.mkdir(mode=0o700, exist_ok=True)
    new = path.with_suffix('.new')
    new.unlink(missing_ok=True)
    with open(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    move(new, path)


def move(path: Path, target: Path) -> None:
    path.replace(target)
    directory = os.open(target.parent, os.O_RDONLY)
    os.fsync(directory)
    os.close(directory)


def tighten() -> None:
    """Have nobody else own or read the files, whatever was done to them.

    A link is removed: what it leads to is not this unit's to change, nor to trust.
    """
    for path in [HOME, *HOME.glob('*.pem')]:
        if path.is_symlink() and path != HOME:
            path.unlink()
        elif path.exists():
            os.chown(path, os.geteuid(), -1)
            path.chmod(0o700 if path == HOME else 0o600)


def key_in(path: Path) -> Any:
    """The private key in that file, or None."""
    try:
        return pki.load_key(read(path))
    except pki.Fault:
        return None


def request(unit: str) -> str:
    """This unit's CSR: the one there was, if it is for the key; otherwise another."""
    tighten()
    key = key_in(NEW_KEY) or key_in(KEY)
    if not key:
        CERTIFICATE.unlink(missing_ok=True)  # for a key that is lost
        write(KEY, pki.make_key())
        key = key_in(KEY)
    csr = request_in(REQUEST, key) or pki.make_request(key, unit)
    if read(REQUEST) != csr:
        write(REQUEST, csr)
    return csr


def request_in(path: Path, key: Any) -> Optional[str]:
    """The CSR in that file, without what stands around it; None if there is none for that key."""
    try:
        found = pki.load_request(read(path))
        return pki.pem(found) if found.public_key() == key.public_key() else None
    except pki.BadRequest:
        return None


def new_key() -> None:
    """Make `request` ask for another key; the present one stays until that has a certificate."""
    write(NEW_KEY, pki.make_key())


def key_of(chain: str) -> Optional[Path]:
    """Where this unit has the key for the chain's first certificate, or None."""
    public_key = pki.certificates(chain)[0].public_key()
    keys = [(path, key_in(path)) for path in (KEY, NEW_KEY)]
    return next((path for path, key in keys if key and key.public_key() == public_key), None)


def unfit(chain: str) -> Optional[str]:
    """Why the chain is of no use to this unit, whatever the time, or None."""
    try:
        pki.signer(chain)
        return None if key_of(chain) else 'not for the key of this unit'
    except pki.Fault as fault:
        return str(fault)


def in_use() -> str:
    """The chain that is in the files, as far as they are there."""
    return read(CERTIFICATE) + read(CA)


def is_in_use(chain: str) -> bool:
    """Whether the files hold it, and nothing else: a service may stumble over what is beside it."""
    try:
        leaf, *trusted = pki.certificates(chain)
    except pki.Fault:
        return False
    return (read(CERTIFICATE), read(CA)) == (pki.pem(leaf), pki.pem(*trusted))


def install(chain: str) -> None:
    """Put a chain in use, with its key. Fault, and nothing done, if it is unfit or untimely.

    The CAs to trust are written first: the certificate is never one that this unit would not trust.
    """
    fault = unfit(chain) or pki.untimely(chain)
    if fault:
        raise pki.Fault(fault)
    leaf, *trusted = pki.certificates(chain)
    tighten()
    write(CA, pki.pem(*trusted))
    if key_of(chain) == NEW_KEY:
        CERTIFICATE.unlink(missing_ok=True)  # it never stands beside another key
        move(NEW_KEY, KEY)
    write(CERTIFICATE, pki.pem(leaf))


def standing() -> Optional[str]:
    """By which CA the certificate in use is signed, until when, and which CAs this unit trusts.

    None if a file is missing or cannot be read.
    """
    try:
        leaf, trusted = pki.certificates(read(CERTIFICATE))[0], pki.certificates(read(CA))
    except pki.Fault:
        return None
    return 'signed by {}, trusts {}, until {}'.format(
        ca_id(leaf.issuer), ' and '.join(sorted(ca_id(ca.subject) for ca in trusted)),
        leaf.not_valid_after_utc.strftime(pki.DATE))


def ca_id(name: Any) -> str:
    """The last word of a CA's name, by which people tell one from another."""
    return ascii(name.rfc4514_string()).strip("'").rpartition(' ')[2][:64]
