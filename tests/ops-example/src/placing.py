"""Files for a service: its own copies of what is in pki/, with its own owner and modes."""
import os
import shutil
import tempfile
from pathlib import Path


def place(files, directory, owner, group, modes):
    """Have these files, {name: text}, in that directory; True if they were not all there.

    The directory is a link to one of its own beside it, which is swapped: a service that opens
    `directory/NAME` finds all of the old ones or all of the new ones.
    """
    directory = Path(directory)
    if all(is_placed(directory / name, text, owner, group, modes[name])
           for name, text in files.items()):
        return False
    before = directory.resolve() if directory.is_symlink() else None
    home = Path(tempfile.mkdtemp(prefix='.{}-'.format(directory.name), dir=str(directory.parent)))
    for name, text in files.items():
        with open(os.open(str(home / name), os.O_WRONLY | os.O_CREAT, 0o600), 'w') as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        shutil.chown(str(home / name), owner, group)
        (home / name).chmod(modes[name])
    home.chmod(0o755)
    link = home.with_name(home.name + '.link')
    link.symlink_to(home.name)
    link.replace(directory)
    if before and before.parent == home.parent:
        shutil.rmtree(str(before))
    return True


def is_placed(path, text, owner, group, mode):
    try:
        return path.read_text() == text and (path.owner(), path.group()) == (owner, group) \
            and path.stat().st_mode & 0o777 == mode
    except (OSError, KeyError, ValueError):
        return False
