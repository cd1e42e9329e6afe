"""Writes files so that a process which is killed, or a full disk, leaves nothing half written."""
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path


def read(path):
    """The text of a file; '' where there is none.

    OSError if the disk cannot tell: a key that cannot be read for a moment is not lost.
    """
    try:
        return path.read_text(errors='replace')
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        return ''


def write(path, text):
    """Put all of the text there, or nothing, for this user alone."""
    new = path.with_name('.' + path.name + '.new')
    with open(os.open(str(new), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), 'w') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    sync(path.parent)


@contextmanager
def scratch(path):
    """A new, empty directory beside `path`, removed at the end.

    What a killed process has left of its own is removed, too.
    """
    path.parent.mkdir(mode=0o700, exist_ok=True)
    prefix, current = '.{}-'.format(path.name), path.resolve()
    for each in path.parent.glob(prefix + '*'):
        if each.resolve() != current:
            remove(each)
    new = Path(tempfile.mkdtemp(prefix=prefix, dir=str(path.parent)))  # mode 0700
    try:
        yield new
    finally:
        if new.resolve() != path.resolve():
            remove(new)


@contextmanager
def replacing(link):
    """A new directory to fill, to which `link` leads afterwards; if that fails, `link` stays.

    Files that belong together so change together, whoever reads them by the link.
    """
    old = link.resolve()
    with scratch(link) as new:
        yield new
        for path in new.rglob('*'):
            sync(path)
        sync(new)
        pointer = Path(str(new) + '.link')
        pointer.symlink_to(new.name)
        if link.is_dir() and not link.is_symlink():  # made by an earlier version of this layer
            old = Path(str(new) + '.old')
            link.rename(old)
            old = old.resolve()
        pointer.replace(link)
        sync(link.parent)
    if old.parent == link.parent.resolve() and old.name.startswith('.'):
        remove(old)


def remove(path):
    """Remove `path`, whatever it is, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(str(path), ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def sync(path):
    """Have a file, or a directory's list of names, reach the disk."""
    descriptor = os.open(str(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def close_to_others(*paths):
    """Set the owner and modes again that keep other users out.

    A link to a file is removed: what it leads to is not this unit's to change, nor to trust.
    """
    for path in paths:
        if path.is_symlink() and not path.is_dir():
            path.unlink()
        elif path.exists():
            os.chown(str(path), os.geteuid(), -1)
            path.chmod(0o700 if path.is_dir() else 0o600)
