"""Hook tools to the letter: what a running Juju 4.1 printed, and what the charm libraries read.

recorded/ has every call of a hook tool in two `juju exec` of a probe charm, one on a leader and
one on another unit, and a secret of the application as both saw it. Here the same calls are made
in `juju exec` on the double, as real processes, and code, stdout and stderr compared. What is not
compared stands in NOT_COMPARED, with its reason.
"""
import json
import re
import sys
from pathlib import Path

import pytest

from fakejuju import Context, Hook, Juju, NotModelled, tools

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('hook tools')]

RECORDED = Path(__file__).parent / 'recorded'
VERSION = '4.1-beta2.1'

CONFIG = '''
options:
  opt: {type: int, default: 5, description: x}
  s: {type: string, default: "", description: x}
  n: {type: string, description: no default}
'''

# Runs each call of a list in a shell, and writes down code, stdout and stderr.
ASK = '''
import json, subprocess, sys
answers = []
for call, file in json.load(open(sys.argv[1])):
    if file is not None:
        open(sys.argv[2], 'w').write(file)
    done = subprocess.run(['/bin/bash', '-c', call], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, universal_newlines=True)
    answers.append([done.returncode, done.stdout, done.stderr])
json.dump(answers, open(sys.argv[1], 'w'))
'''

# What the file held in each call that reads it, which the recording does not have: the least that
# gives its answers.
FILES = ['k1: 1\nk2: null\nk3: true\nk4: file\n', 'k: [1, 2]\n', '- k\n', '']

# The recording lost the quotes of these.
QUOTED = {'bad name': "'bad name'", 'hello world': "'hello world'"}

NOT_MODELLED = {
    'relation-model-get': 'relations with other models', 'state-get': 'state kept by Juju',
    'state-set': 'state kept by Juju', 'state-delete': 'state kept by Juju',
    'credential-get': 'clouds', 'opened-ports': 'ports', 'open-port': 'ports',
    'close-port': 'ports', 'juju-reboot': 'a reboot that the charm asks for'}

NOT_COMPARED = {
    'cat /tmp/envexec': 'no call of a tool: the environment, compared on its own',
    'goal-state': 'since when: times are compared by their form'}


def calls(who):
    with open(str(RECORDED / 'tools-{}.jsonl'.format(who))) as file:
        return [json.loads(line) for line in file]


def deploy(directory, app, units, relation='ring:0', version=VERSION, **knobs):
    """A model at rest, real, of a charm that does nothing; the first unit leads."""
    charm = directory / 'charm'
    charm.mkdir()
    (charm / 'metadata.yaml').write_text('{name: probe, peers: {ring: {interface: x}}}')
    (charm / 'config.yaml').write_text(CONFIG)
    juju = Juju(charm, directory / 'model', real=True, app=app, version=version, **knobs)
    juju.model.remove_relation('ring:0')
    juju.model.relation_count = int(relation.split(':')[1])
    juju.add_relation_id('ring')
    for unit in units:
        juju.add_unit(unit)
    juju.elect(units[0])
    juju.settle()
    return juju


def execute(juju, unit, command):
    juju.execute_command(unit, command)
    run = juju.run(unit)
    while run.hook.kind != 'exec':
        run = juju.run(unit)
    return run


def ask(juju, unit, asked, directory):
    """[code, stdout, stderr] of each call, all in one `juju exec`; and its Run."""
    (directory / 'ask.py').write_text(ASK)
    (directory / 'calls').write_text(json.dumps(asked))
    Path(juju.charm_directory(unit), 'tools.sh').write_text(
        '{} {d}/ask.py {d}/calls {d}/f.yaml\n'.format(sys.executable, d=directory))
    run = execute(juju, unit, 'bash ./tools.sh')
    assert run.exit_code == 0, run.stderr
    return json.loads((directory / 'calls').read_text()), run


@pytest.fixture(scope='module')
def leader(tmp_path_factory):
    directory = tmp_path_factory.mktemp('leader')
    with deploy(directory, 'probe', ['probe/0', 'probe/1']) as juju:
        juju.model.config.update(opt=8, s='xx')
        execute(juju, 'probe/0', 'status-set active; relation-set -r 0 b=1 '
                'born=ring-relation-created; relation-set -r 0 --app leader=probe/0')
        yield juju, 'probe/0', directory, '10.99.0.3'


@pytest.fixture(scope='module')
def follower(tmp_path_factory):
    directory = tmp_path_factory.mktemp('follower')
    with deploy(directory, 'r', ['r/2', 'r/0'], 'ring:3') as juju:
        execute(juju, 'r/2', 'relation-set -r 3 --app leader=r/2; '
                'secret-add --label ca key=v3 other=w')
        execute(juju, 'r/0', 'status-set active; relation-set -r 3 zz=1 '
                'born=ring-relation-created')
        yield juju, 'r/0', directory, '10.99.0.22'


def normal(text, address):
    """Without what differs from machine to machine and from call to call."""
    for old, new in ((address, '<address>'), ('10.99.0.0/24', '127.0.0.0/8'), ('host0', 'lo'),
                     ('"<mac>"', '""'), ('<mac>', '""'), ('/tmp/', '')):
        text = text.replace(old, new)
    text = re.sub('secret://[^/]*/[0-9a-v]{20}', '<secret>', text)
    text = re.sub('^[0-9a-v]{19}[0g]$', '<id>', text)
    text = re.sub(r'since: \d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ', 'since: <time>', text)
    return re.sub(r'^\S+: line 1: ', '', text)  # of a shell, which has a name of its own


@pytest.mark.parametrize('who', ['leader', 'follower'])
def test_every_call_is_answered_as_a_running_juju_answered_it(who, request):
    juju, unit, directory, address = request.getfixturevalue(who)
    files, asked, wanted = iter(FILES), [], []
    for each in calls(who):
        call, name = each['call'], each['call'].split()[0]
        if name in NOT_MODELLED or name in ('cat', 'goal-state'):
            continue
        for lost, quoted in QUOTED.items():
            call = call.replace(lost, quoted)
        asked.append([call.replace('/tmp/', str(directory) + '/'),
                      next(files) if 'f.yaml' in call else None])
        wanted.append((each['call'], each['code'], normal(each['stdout'], address),
                       normal(each['stderr'], address)))
    assert next(files, None) is None and len(asked) > 95
    answers, _ = ask(juju, unit, asked, directory)
    mine = juju.model.address(unit)
    found = [(call, code, normal(re.sub('\n$', '', stdout), mine),
              normal(stderr.replace(str(directory) + '/', ''), mine))
             for (call, *_), (code, stdout, stderr) in zip(wanted, answers)]
    assert found == wanted


@pytest.mark.parametrize('who', ['leader', 'follower'])
def test_what_it_does_not_model_it_refuses_by_name(who, request):
    juju, unit, *_ = request.getfixturevalue(who)
    left = [each['call'] for each in calls(who) if each['call'].split()[0] in NOT_MODELLED]
    assert {call.split()[0] for call in left} == set(NOT_MODELLED)
    for call in left:
        context = Context(juju.model, unit, Hook('true', 'exec'))
        with pytest.raises(NotModelled, match=call.split()[0]):
            tools.call(context, call.split())


def dialogue():
    """[unit, commands, code, stdout, stderr] of each step recorded in secrets.txt."""
    steps = re.split(r'^--- (r/\d): ', (RECORDED / 'secrets.txt').read_text(), flags=re.M)[1:]
    for unit, text in zip(steps[::2], steps[1::2]):
        lines = text.splitlines(True)
        command = lines.pop(0)
        while command.count('"') % 2:
            command += lines.pop(0)
        at, = [number for number, line in enumerate(lines) if line.startswith('code=')]
        yield (unit, command.rstrip('\n'), int(lines[at][5:]), ''.join(lines[:at]),
               ''.join(line for line in lines[at + 1:] if not line.startswith('ID=')))


def test_a_secret_goes_through_its_life_as_on_a_running_juju(tmp_path):
    """Ids are made anew, and the name of the host that was read as a file is what it was there."""
    (tmp_path / 'hostname').write_text('m21\n')
    ids = {}
    with deploy(tmp_path, 'r', ['r/0', 'r/2']) as juju:
        for unit, command, *wanted in dialogue():
            for old, new in list(ids.items()) + [('/etc/hostname', str(tmp_path / 'hostname'))]:
                command = command.replace(old, new)
            run = execute(juju, unit, command)
            stdout = run.stdout
            made = re.search(r'secret://[^/]*/(\S{20})', stdout)
            if made:
                ids[re.search(r'secret://<uuid>/(\S{20})', wanted[1]).group(1)] = made.group(1)
            for old, new in ids.items():
                stdout = stdout.replace(new, old)
                run.stderr = run.stderr.replace(new, old)
            stdout = re.sub('secret://[^/]*/', 'secret://<uuid>/', stdout)
            found = [run.exit_code, stdout, run.stderr]
            if 'secret-ids' in command:  # a map of Go has no order
                found[1], wanted[1] = (sorted(text.split()) for text in (found[1], wanted[1]))
            assert found == wanted, command
    assert len(ids) == 2
