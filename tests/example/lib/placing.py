"""Files for a service: its own copies of what is in pki/, with its own owner and modes."""
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import Dict

HOME = Path('pki')


def place(path: str, owner: str, group: str, modes: Dict[str, int]) -> None:
    """Put copies of the files that `modes` names in that directory. OSError, LookupError if not.

    The directory is a link to one beside it, and is swapped: a service that opens `directory/NAME`
    finds all of the old files or all of the new ones. While a file is missing, nothing is done.
    """
    directory = Path(path)
    try:
        if all((HOME / name).is_file() for name in modes) \
                and not is_placed(path, owner, group, modes):
            swap(directory, owner, group, modes)
    finally:
        remove_others(directory)


def swap(directory: Path, owner: str, group: str, modes: Dict[str, int]) -> None:
    directory.parent.mkdir(parents=True, exist_ok=True)
    home = Path(tempfile.mkdtemp(prefix=f'.{directory.name}-', dir=str(directory.parent)))
    for name, mode in modes.items():
        copy(HOME / name, home / name, owner, group, mode)
    home.chmod(0o755)
    link = home.with_name(home.name + '.link')
    link.symlink_to(home.name)
    link.replace(directory)


def remove_others(directory: Path) -> None:
    """Remove the copies of before, and those of a hook that failed or was killed."""
    made_here = re.compile(re.escape(f'.{directory.name}-') + r'[a-z0-9_]{8}(\.link)?')
    for path in directory.parent.glob('.*'):
        if made_here.fullmatch(path.name) and path.is_symlink():
            path.unlink()
        elif made_here.fullmatch(path.name) and path.resolve() != directory.resolve():
            shutil.rmtree(str(path), ignore_errors=True)


def copy(source: Path, target: Path, owner: str, group: str, mode: int) -> None:
    with open(os.open(str(target), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as file:
        file.write(source.read_bytes())
        file.flush()
        os.fsync(file.fileno())
    shutil.chown(str(target), owner, group)
    target.chmod(mode)


def is_placed(path: str, owner: str, group: str, modes: Dict[str, int]) -> bool:
    """Whether all of them are there, as they should be."""
    return all(is_copy(Path(path, name), HOME / name, owner, group, mode)
               for name, mode in modes.items())


def is_copy(path: Path, source: Path, owner: str, group: str, mode: int) -> bool:
    try:
        return path.read_bytes() == source.read_bytes() and path.stat().st_mode & 0o777 == mode \
            and (path.owner(), path.group()) == (owner, group)
    except (OSError, KeyError):
        return False
