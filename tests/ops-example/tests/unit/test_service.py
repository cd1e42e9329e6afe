"""service.py as an author edits it: where the files go, and what is told."""
import grp
import importlib
import os
import pwd
import sys
from pathlib import Path

import pytest

import pki
import pki_files

SOURCE = (Path(__file__).parents[2] / 'src/service.py').read_text()
UNIT = 'tls-example/1'


@pytest.fixture
def service(tmp_path, monkeypatch):
    """The module with a directory of its own, and a command that leaves a line in told.log."""
    monkeypatch.chdir(tmp_path)
    command = [sys.executable, '-c', "open('told.log', 'a').write('reload\\n')"]
    owner, group = pwd.getpwuid(os.getuid()).pw_name, grp.getgrgid(os.getgid()).gr_name
    text = SOURCE
    for line, edited in (
            ('DIRECTORY: Optional[str] = None', f'DIRECTORY = {str(tmp_path / "etc")!r}'),
            ("OWNER, GROUP = 'root', 'root'", f'OWNER, GROUP = {owner!r}, {group!r}'),
            ('RELOAD: List[str] = []', f'RELOAD = {command!r}')):
        assert line in text
        text = text.replace(line, edited)
    (tmp_path / 'edited_service.py').write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    sys.modules.pop('edited_service', None)
    return importlib.import_module('edited_service')


def told():
    return Path('told.log').read_text().count('reload') if Path('told.log').exists() else 0


def are_placed(service):
    files = [Path(service.DIRECTORY, name) for name in service.MODES]
    return all(file.read_text() == (pki_files.HOME / file.name).read_text()
               and file.stat().st_mode & 0o777 == service.MODES[file.name] for file in files)


def test_it_is_told_once_of_each_change(service, sign):
    assert service.follow() == [] and told() == 0
    for number in 1, 2:
        if number == 2:
            pki_files.new_key()
        pki_files.install(sign(pki_files.request(UNIT)))
        for _ in range(3):
            assert service.follow() == [] and told() == number and are_placed(service)


def test_a_file_of_the_service_that_is_lost_comes_again(service, sign):
    pki_files.install(sign(pki_files.request(UNIT)))
    service.follow()
    Path(service.DIRECTORY, 'certificate.pem').unlink()
    assert service.follow() == [] and are_placed(service)


def test_a_key_beside_the_certificate_of_another_is_not_handed_over(service, sign):
    pki_files.install(sign(pki_files.request(UNIT)))
    service.follow()
    key = pki_files.KEY.read_text()
    pki_files.write(pki_files.KEY, pki.make_key())
    assert service.follow() == []
    assert Path(service.DIRECTORY, 'key.pem').read_text() == key


def test_what_does_not_work_is_told_and_tried_again(service, sign):
    pki_files.install(sign(pki_files.request(UNIT)))
    Path(service.DIRECTORY).mkdir()
    fault, = service.follow()
    assert fault.startswith('the service was not told of the certificate: ') and told() == 0
    Path(service.DIRECTORY).rmdir()
    assert service.follow() == [] and told() == 1 and are_placed(service)


def test_a_command_that_fails_is_told_and_tried_again(service, sign):
    command, service.RELOAD = service.RELOAD, ['false']
    pki_files.install(sign(pki_files.request(UNIT)))
    for _ in range(2):
        assert len(service.follow()) == 1
    service.RELOAD = command
    assert service.follow() == [] and told() == 1
