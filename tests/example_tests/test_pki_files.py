"""The example's files, whatever stands in them, without Juju."""
import errno
import os
import sys
import time

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat)

from world import TESTS

sys.path.append(str(TESTS / 'example/lib'))

# After the path (E402), by which they are found.
import pki  # noqa: E402
import pki_files  # noqa: E402

pytestmark = pytest.mark.once

UNIT = 'app/0'


@pytest.fixture(scope='module')
def ca():
    return pki.make_ca('app')


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path / 'pki'


def signed(csr, ca):
    return pki.sign(csr, UNIT, ['10.0.0.1'], 90, *ca) + ca[0]


@pytest.fixture
def chain(ca):
    """In use."""
    chain = signed(pki_files.request(UNIT), ca)
    pki_files.install(chain)
    return chain


def public_key(file):
    return pki.load_key(file.read_text()).public_key()


def matches():
    """Whether no certificate stands beside a key that is not its own."""
    key = pki_files.key_in(pki_files.KEY)
    try:
        leaf, = pki.certificates(pki_files.read(pki_files.CERTIFICATE))
    except pki.Fault:
        return True
    return key is None or leaf.public_key() == key.public_key()


def test_to_ask_again_is_to_ask_the_same(ca):
    first = pki_files.request(UNIT)
    key = pki_files.KEY.read_text()
    pki_files.install(signed(first, ca))
    assert pki_files.request(UNIT) == first and pki_files.KEY.read_text() == key
    assert pki.load_request(first).public_key() == public_key(pki_files.KEY)
    assert pki.load_request(first).subject == pki.subject(UNIT)


def pem_of(key, form=PrivateFormat.PKCS8, encryption=NoEncryption()):
    return key.private_bytes(Encoding.PEM, form, encryption).decode()


def openssl_of_today():
    """What `openssl ecparam -genkey -noout` writes."""
    return pem_of(ec.generate_private_key(ec.SECP256R1()), PrivateFormat.TraditionalOpenSSL)


@pytest.mark.parametrize('make', [
    openssl_of_today, lambda: pem_of(ec.generate_private_key(ec.SECP384R1())),
    lambda: pem_of(rsa.generate_private_key(65537, 2048))])
def test_a_key_that_is_there_stays(home, make):
    home.mkdir()
    pki_files.KEY.write_text(make())
    before = pki_files.KEY.read_text()
    assert pki.load_request(pki_files.request(UNIT)).public_key() == public_key(pki_files.KEY)
    assert pki_files.KEY.read_text() == before


NONSENSE = {
    'lost': None, 'empty': b'', 'a word': b'x', 'no text': b'\xff\xfe\0',
    'a boundary': b'-----BEGIN',
    'of another kind': b'-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    'encrypted': pem_of(ec.generate_private_key(ec.SECP256R1()),
                        encryption=BestAvailableEncryption(b'x')).encode(),
    'weak': pem_of(rsa.generate_private_key(65537, 1024)).encode(),
    'cut': 'cut', 'another': 'another'}
FILES = 'key.pem', 'request.pem', 'certificate.pem', 'ca.pem'


def put(file, what, ca):
    """Have that stand there in place of what was there."""
    if what == 'cut':
        what = file.read_bytes()[:-60]
    elif what == 'another':
        other = pki.make_key()
        csr = pki.make_request(pki.load_key(other), UNIT)
        what = {'key.pem': other, 'request.pem': csr, 'ca.pem': pki.make_ca('app')[0],
                'certificate.pem': signed(csr, ca)}[file.name].encode()
    if what is None:
        file.unlink()
    else:
        file.write_bytes(what)


@pytest.mark.parametrize('what', NONSENSE.values(), ids=NONSENSE)
@pytest.mark.parametrize('name', FILES)
def test_what_is_derived_is_made_anew_where_it_does_not_fit(home, ca, chain, name, what):
    key, request = pki_files.KEY.read_text(), pki_files.REQUEST.read_text()
    put(home / name, what, ca)
    assert not pki_files.is_in_use(chain) or name in ('key.pem', 'request.pem')
    pki_files.standing()                       # fails nothing
    asked = pki_files.request(UNIT)
    assert asked == pki_files.request(UNIT)    # once is enough
    assert pki.load_request(asked).public_key() == public_key(pki_files.KEY)
    assert (pki_files.KEY.read_text() == key) == (name != 'key.pem')
    assert (asked == request) == (name in ('certificate.pem', 'ca.pem'))
    assert (pki_files.unfit(chain) is None) == (name != 'key.pem')
    if what != 'another':
        assert matches()
    again = signed(asked, ca)
    pki_files.install(again)
    assert pki_files.is_in_use(again) and pki_files.standing() and matches()


@pytest.mark.parametrize('names', [FILES[:2], FILES[2:], FILES[1:], FILES[::2], FILES],
                         ids=' '.join)
def test_of_several_files_that_are_lost_likewise(home, ca, chain, names):
    for name in names:
        (home / name).unlink()
    again = signed(pki_files.request(UNIT), ca)
    pki_files.install(again)
    assert pki_files.is_in_use(again) and matches()


def test_a_new_key_comes_into_use_with_its_certificate(ca, chain):
    key, request = pki_files.KEY.read_text(), pki_files.request(UNIT)
    pki_files.new_key()
    asked = pki_files.request(UNIT)
    assert asked == pki_files.request(UNIT) != request
    assert pki_files.KEY.read_text() == key and pki_files.is_in_use(chain) and matches()
    again = signed(asked, ca)
    assert pki_files.unfit(again) is pki_files.unfit(chain) is None
    pki_files.install(again)
    assert pki_files.is_in_use(again) and matches() and pki_files.unfit(chain)
    assert pki_files.KEY.read_text() != key and not pki_files.NEW_KEY.exists()
    assert pki_files.request(UNIT) == asked


def test_what_is_answered_for_the_old_key_is_still_taken(ca, chain):
    pki_files.new_key()
    renewed = signed(pki_files.REQUEST.read_text(), ca)
    pki_files.install(renewed)
    assert pki_files.is_in_use(renewed) and pki_files.NEW_KEY.exists() and matches()


class Killed(BaseException):
    pass


def test_a_swap_that_is_interrupted_anywhere_is_finished_by_the_next_try(ca, chain):
    """At each change of a name in the directory."""
    def audit(event, arguments):
        nonlocal left
        if left is not None and event in ('os.rename', 'os.remove'):
            assert matches()
            left -= 1
            if left < 0:
                left = None
                raise Killed

    left = None
    sys.addaudithook(audit)
    for kill_at in range(20):
        pki_files.new_key()
        again = signed(pki_files.request(UNIT), ca)
        left = kill_at
        try:
            pki_files.install(again)
            break
        except Killed:
            assert matches()
            pki_files.install(again)
            assert pki_files.is_in_use(again) and matches()
    left = None
    assert kill_at > 4


def test_nobody_else_can_read_the_files_whatever_was_done_to_their_modes(home, ca, chain):
    home.chmod(0o755)
    for name in FILES:
        (home / name).chmod(0o644)
    pki_files.request(UNIT)
    assert home.stat().st_mode & 0o777 == 0o700
    assert {(home / name).stat().st_mode & 0o777 for name in FILES} == {0o600}
    mask = os.umask(0)
    try:
        for file in list(home.iterdir()):
            file.unlink()
        home.rmdir()
        pki_files.install(signed(pki_files.request(UNIT), ca))
    finally:
        os.umask(mask)
    assert home.stat().st_mode & 0o777 == 0o700
    assert {file.stat().st_mode & 0o777 for file in home.iterdir()} == {0o600}


def test_whoever_owns_a_file_from_then_on_it_is_this_user(home, ca, chain):
    chowned = set()
    sys.addaudithook(lambda event, arguments: chowned.add((str(arguments[0]), arguments[1]))
                     if event == 'os.chown' else None)
    pki_files.request(UNIT)
    assert chowned == {(name, os.geteuid()) for name in (
        'pki', *('pki/' + name for name in FILES))}
    if os.geteuid() == 0:
        for path in [home, *home.iterdir()]:
            os.chown(str(path), 1, 1)
        pki_files.request(UNIT)
        assert {path.stat().st_uid for path in [home, *home.iterdir()]} == {0}


def test_a_link_is_removed_and_what_it_leads_to_stays_as_it_is(home, ca, chain):
    elsewhere = home.parent / 'elsewhere'
    elsewhere.write_text(pki.make_key())
    elsewhere.chmod(0o644)
    before = elsewhere.read_text()
    for name in ('other.pem', 'key.pem'):
        (home / name).unlink(missing_ok=True)
        (home / name).symlink_to(elsewhere)
        assert pki.load_request(pki_files.request(UNIT)).public_key() == public_key(pki_files.KEY)
        assert pki_files.KEY.read_text() != before == elsewhere.read_text()
        assert elsewhere.stat().st_mode & 0o777 == 0o644 and not (home / name).is_symlink()


BESIDE = {
    'a block that is cut': '-----BEGIN CERTIFICATE-----\nMIIB\n',
    'a block of another kind': '-----BEGIN X-----\nAAAA\n-----END X-----\n',
    'a private key': pki.make_key(), 'many bytes': 70000 * '\n', 'a word': 'x'}


@pytest.mark.parametrize('beside', BESIDE.values(), ids=BESIDE)
@pytest.mark.parametrize('name', FILES[1:])
def test_what_stands_beside_what_belongs_there_is_removed(home, ca, chain, name, beside):
    for text in (beside + (home / name).read_text(), (home / name).read_text() + beside):
        (home / name).write_text(text)
        assert pki_files.is_in_use(chain) == (name == 'request.pem')
        asked = pki_files.request(UNIT)
        assert asked == pki_files.REQUEST.read_text() == pki.pem(pki.load_request(asked))
        pki_files.install(chain)
        assert pki_files.is_in_use(chain) and (home / name).read_text() != text


def test_a_disk_that_cannot_be_read_for_a_moment_loses_nothing(home, ca, chain):
    before = [(home / name).read_text() for name in FILES]
    is_broken = True

    def audit(event, arguments):
        if is_broken and event == 'open' and str(arguments[0]).endswith('pki/key.pem'):
            raise OSError(errno.EIO, 'Input/output error')

    sys.addaudithook(audit)
    try:
        with pytest.raises(OSError, match='Input/output error'):
            pki_files.request(UNIT)
    finally:
        is_broken = False
    pki_files.request(UNIT)
    assert [(home / name).read_text() for name in FILES] == before


def test_what_is_no_chain_for_this_unit_is_unfit(ca):
    csr = pki_files.request(UNIT)
    good = pki.sign(csr, UNIT, [], 90, *ca)
    block = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'
    assert pki_files.unfit(good + ca[0]) is None
    stranger = pki.make_request(pki.load_key(pki.make_key()), UNIT)
    for chain, told in [
            (good, 'signed by none'), (good + pki.make_ca('app')[0], 'signed by none'),
            (signed(stranger, ca), 'not for the key of this unit'), (ca[0] + ca[0], 'not for the'),
            ('', 'cannot be read'), ('x', 'cannot be read'), (block + ca[0], 'cannot be read'),
            (block + good + ca[0], 'cannot be read'), (ca[1], 'cannot be read'),
            ('\udcff', 'cannot be read')]:
        assert pki_files.unfit(chain).startswith(told)
        with pytest.raises(pki.Fault, match=told):
            pki_files.install(chain)
    assert not pki_files.CERTIFICATE.exists() and pki_files.standing() is None


@pytest.mark.parametrize('days', [-1, 91])
def test_what_is_untimely_replaces_nothing(ca, chain, monkeypatch, days):
    again, right = signed(pki_files.request(UNIT), ca), time.time
    with monkeypatch.context() as later:
        later.setattr(time, 'time', lambda: right() + days * 86400)
        with pytest.raises(pki.Fault, match='not valid'):
            pki_files.install(again)
    assert pki_files.is_in_use(chain)


def test_standing_tells_one_ca_from_another(ca, chain):
    one, other = (pki.certificates(each[0])[0].subject.rfc4514_string()[-8:]
                  for each in (ca, pki.make_ca('app')))
    end = pki.certificates(chain)[0].not_valid_after_utc.strftime('%Y-%m-%d %H:%M UTC')
    assert pki_files.standing() == f'signed by {one}, trusts {one}, until {end}'
    assert other not in pki_files.standing()


def test_a_name_of_a_ca_is_told_in_printable_characters(ca, home):
    key = pki.load_key(pki_files.request(UNIT) and pki_files.KEY.read_text())
    name = pki.subject('x \x1b[31m\n\u202e' + 'é' * 20)
    text = pki.issue(name, key.public_key(), name, ca[1], pki.now() + pki.SLOW, {})
    pki_files.CERTIFICATE.write_text(text)
    pki_files.CA.write_text(text)
    told = pki_files.standing()
    assert told.isascii() and told.isprintable() and len(told) < 200
