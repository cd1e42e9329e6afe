"""What placing.py of the example leaves beside the files of a service, without Juju."""
import getpass
import grp
import os
import sys

import pytest

from world import TESTS

sys.path.append(str(TESTS / 'example/lib'))

# After the path (E402), by which they are found.
import placing  # noqa: E402

pytestmark = pytest.mark.once

USER, GROUP = getpass.getuser(), grp.getgrgid(os.getgid()).gr_name
MODES = {'key.pem': 0o640, 'certificate.pem': 0o644}


@pytest.fixture
def home(tmp_path, monkeypatch):
    """Where the service has its directories; in pki/ there is something to place."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'pki').mkdir()
    for name in MODES:
        (tmp_path / 'pki' / name).write_text(name)
    return tmp_path / 'service'


def place(home, owner=USER, name='tls'):
    placing.place(str(home / name), owner, GROUP, MODES)


def names(home):
    """Of what stands there, with X for what differs each time."""
    return sorted(path.name[:-8] + 'X' if path.name.startswith('.') else path.name
                  for path in home.iterdir())


def test_an_owner_that_does_not_exist_yet_leaves_no_copy_of_the_key(home):
    for _ in range(3):
        with pytest.raises(LookupError):
            place(home, owner='no such user')
    assert names(home) == []
    place(home)
    assert names(home) == ['.tls-X', 'tls'] and (home / 'tls/key.pem').read_text() == 'key.pem'


def test_a_directory_that_is_not_new_stays_and_no_copy_is_left_beside_it(home):
    (home / 'tls').mkdir(parents=True)
    (home / 'tls/mine').write_text('')
    with pytest.raises(OSError, match='tls'):
        place(home)
    assert names(home) == ['tls'] and names(home / 'tls') == ['mine']


@pytest.mark.parametrize('target', ['mine', '.', '.mine-ab_c1234', '.tls-mine'])
def test_a_link_to_a_directory_that_is_not_of_here_is_replaced_and_that_one_stays(home, target):
    (home / target).mkdir(parents=True, exist_ok=True)
    (home / target / 'data').write_text('')
    (home / 'tls').symlink_to(target)
    place(home)
    assert (home / target / 'data').exists() and (home / 'tls/key.pem').exists()


def test_two_directories_side_by_side_leave_each_other_alone(home):
    for name in ('tls', 'tls-b', 'tls'):
        (home.parent / 'pki/key.pem').write_text(name)
        place(home, name=name)
        place(home, name='tls-b')
    assert names(home) == ['.tls-X', '.tls-b-X', 'tls', 'tls-b']
    assert (home / 'tls/key.pem').read_text() == (home / 'tls-b/key.pem').read_text() == 'tls'


class Killed(BaseException):
    pass


def test_of_a_hook_that_was_killed_anywhere_the_next_leaves_nothing(home):
    """At each call that changes a name, or opens a file."""
    left = None

    def audit(event, arguments):
        nonlocal left
        if left is not None and event in ('open', 'os.mkdir', 'os.chmod', 'os.symlink', 'os.rename',
                                          'os.remove', 'shutil.rmtree', 'os.rmdir'):
            left -= 1
            if left < 0:
                raise Killed  # and again at each call, so that nothing can be cleared up

    sys.addaudithook(audit)
    for kill_at in range(100):
        (home.parent / 'pki/key.pem').write_text(str(kill_at))
        left = kill_at
        try:
            place(home)
            break
        except Killed:
            left = None
            place(home)
            assert names(home) == ['.tls-X', 'tls']
            assert (home / 'tls/key.pem').read_text() == str(kill_at)
    left = None
    assert kill_at > 8
