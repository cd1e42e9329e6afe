"""The example with an openssl command that puts out as others do, whichever is installed."""
import base64
import re
import shutil

import pytest

from charm_build import build
from fakejuju import Juju
from handshake import openssl
from world import TESTS

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('openssl')]

# The real command, behind what every machine may do to it: an openssl.cnf of its own, here one
# that makes `req` fail. For `req -verify`, whose words and exit code are another each time:
# $verdict is OK or failure, $out has what it prints besides.
WRAPPER = '''#!/bin/sh
export OPENSSL_CONF={directory}/openssl.cnf
case " $* " in
" req "*" -verify "*) ;;
*) exec {real} "$@";;
esac
cat > {directory}/in
verdict=failure
if {real} "$@" < {directory}/in 2>&1 | grep -q 'verify OK'; then verdict=OK; fi
for argument; do
    shift
    [ "$argument" = -verify ] || set -- "$@" "$argument"
done
out=$({real} "$@" < {directory}/in) || exit 1
{rule}
'''

RULES = {
    # apps/req.c of OpenSSL_1_1_1: the verdict is on stderr, and the exit code is 0. (3.0 does the
    # same with the longer words.)
    '1.1.1': 'echo "verify $verdict" >&2; echo "$out"',
    # apps/req.c of openssl-3.5 and 3.6: OK on stdout, before the rest; failure ends it with 1.
    '3.6': '''
if [ $verdict = OK ]; then
    echo 'Certificate request self-signature verify OK'; echo "$out"
else
    echo 'Warning: CSR self-signature does not match the contents' >&2
    echo 'Certificate request self-signature verify failure' >&2
    exit 1
fi'''}


@pytest.fixture(scope='module')
def built(tmp_path_factory):
    return build(TESTS / 'example', tmp_path_factory.mktemp('built') / 'charm')


def forge(csr):
    """The same with another name in it: well formed, and not signed."""
    body = base64.b64decode(''.join(csr.splitlines()[1:-1]))
    assert body.count(b'tls-example/0') == 1
    lines = re.findall('.{1,64}', base64.b64encode(
        body.replace(b'tls-example/0', b'tls-example/9')).decode())
    return '\n'.join([csr.splitlines()[0]] + lines + [csr.splitlines()[-1], ''])


@pytest.mark.parametrize('version', RULES)
def test_a_request_is_judged_by_what_each_openssl_says(version, built, tmp_path):
    bin = tmp_path / 'bin'
    bin.mkdir()
    (bin / 'openssl').write_text(WRAPPER.format(
        directory=tmp_path, real=shutil.which('openssl'), rule=RULES[version]))
    (bin / 'openssl').chmod(0o755)
    (tmp_path / 'openssl.cnf').write_text(
        '[req]\ndistinguished_name = subject\nreq_extensions = missing\n[subject]\n')
    with Juju(built, tmp_path / 'units', real=True) as juju:
        juju.path = '{}:{}'.format(bin, juju.path)
        unit = juju.add_unit()
        juju.elect(unit)
        juju.settle()
        assert juju.status(unit)[0] == 'active'
        request = juju.unit_directory(unit) / 'charm/pki/request.pem'
        weak = openssl('req', '-new', '-newkey', 'rsa:1024', '-nodes', '-keyout',
                       str(tmp_path / 'weak.pem'), '-subj', '/CN=weak')
        for bad, reason in ((forge(request.read_text()),
                             'not signed with its own key|self-signature verify failure'),
                            (weak, 'its key has 1024 bits, fewer than 2048')):
            request.write_text(bad)
            juju.action(unit, 'renew')
            juju.settle()
            status, message = juju.status(unit)
            assert status == 'blocked'
            assert re.search(reason, message)
