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

from fakejuju import CommitFailed, Context, Hook, Juju, NotModelled, tools

pytestmark = [pytest.mark.once, pytest.mark.xdist_group('hook tools')]

RECORDED = Path(__file__).parent / 'recorded'
VERSION = '4.1-beta2.1'

METADATA = '{name: probe, peers: {ring: {interface: x}}}'

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
    (charm / 'metadata.yaml').write_text(METADATA)
    (charm / 'config.yaml').write_text(CONFIG)
    juju = Juju(charm, directory / 'model', real=True, app=app, version=version, **knobs)
    juju.model.remove_relation('ring:0')
    juju.model.relation_count = int(relation.split(':')[1])
    juju.add_relation_id('ring')
    for unit in units:
        juju.add_unit(unit)
    juju.elect(units[0])
    juju.settle()
    for unit in units:
        execute(juju, unit, 'status-set active')
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
        execute(juju, 'probe/0', 'relation-set -r 0 b=1 born=ring-relation-created; '
                'relation-set -r 0 --app leader=probe/0')
        yield juju, 'probe/0', directory, '10.99.0.3'


@pytest.fixture(scope='module')
def follower(tmp_path_factory):
    directory = tmp_path_factory.mktemp('follower')
    with deploy(directory, 'r', ['r/2', 'r/0'], 'ring:3') as juju:
        execute(juju, 'r/2', 'relation-set -r 3 --app leader=r/2; '
                'secret-add --label ca key=v3 other=w')
        execute(juju, 'r/0', 'relation-set -r 3 zz=1 born=ring-relation-created')
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
        if name in NOT_MODELLED or name == 'cat':
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
            task = execute(juju, unit, command).task()['results']
            code, stdout, stderr = (task.get(name, '') for name in ('return-code', 'stdout',
                                                                    'stderr'))
            made = re.search(r'secret://[^/]*/(\S{20})', stdout)
            if made:
                ids[re.search(r'secret://<uuid>/(\S{20})', wanted[1]).group(1)] = made.group(1)
            for old, new in ids.items():
                stdout, stderr = stdout.replace(new, old), stderr.replace(new, old)
            found = [code, re.sub('secret://[^/]*/', 'secret://<uuid>/', stdout), stderr]
            if 'secret-ids' in command:  # a map of Go has no order
                found[1], wanted[1] = (sorted(text.split()) for text in (found[1], wanted[1]))
            assert found == wanted, command
    assert len(ids) == 2


def test_the_environment_of_exec_is_that_of_a_running_juju(leader):
    juju, unit, directory, _ = leader
    text, = [each['stdout'] for each in calls('leader') if each['call'] == 'cat /tmp/envexec']
    wanted = dict(line.split('=', 1) for line in text.splitlines())
    found = {name: value for name, value in execute(juju, unit, 'true').env.items()
             if name.startswith('JUJU_') or name == 'CHARM_DIR'}
    # Names and numbers of that machine and of that model.
    other = {name for name in wanted if re.search('_DIR|SOCKET_ADDRESS|API_ADDRESSES|UUID|TAG|'
                                                  'MODEL_NAME|CONTEXT_ID', name)}
    assert set(found) == set(wanted)
    assert {name: found[name] for name in set(found) - other} == {
        name: wanted[name] for name in set(wanted) - other}
    assert re.match('probe/0-juju-exec-[0-9a-f]{32}$', found['JUJU_CONTEXT_ID'])
    assert wanted['JUJU_CONTEXT_ID'] == 'probe/0-juju-exec-<hex32>'


@pytest.fixture
def context(tmp_path):
    """context(version, hook): a model of two units, and a hook of the first, which leads."""
    models = []

    def make(version, hook=Hook('act', 'action')):
        (tmp_path / 'charm').mkdir(exist_ok=True)
        (tmp_path / 'charm/metadata.yaml').write_text(METADATA)
        models.append(Juju(tmp_path / 'charm', tmp_path / str(len(models)), version=version))
        models[-1].elect(models[-1].add_unit())
        models[-1].add_unit()
        models[-1].settle()
        return Context(models[-1].model, 'probe/0', hook)

    yield make
    for model in models:
        model.close()


def answer(context, *argv, stdin=''):
    return tuple(tools.call(context, list(argv), stdin))


@pytest.mark.parametrize('version, call, text', [
    ('2.9.50', 'relation-get -r 0 - probe/9', 'cannot read settings for unit "probe/9" in relation '
     '"probe:ring": unit "probe/9": settings not found'),
    ('3.6.8', 'relation-get -r 0 - probe/9', 'cannot read settings for unit "probe/9" in relation '
     '"probe:ring": unit "probe/9": settings not found'),
    ('4.1.0', 'relation-get -r 0 - probe/9', 'relation unit not found'),
    ('3.6.8', 'relation-get -r 0 - other/0', 'permission denied'),
    ('4.1.0', 'relation-get -r 0 - other/0', 'relation unit not found'),
    ('3.6.8', 'secret-get --label L', 'consumer label "L" not found'),
    ('4.1.0', 'secret-get --label L', 'secret URI for consumer label "L" not found'),
])
def test_texts_differ_from_version_to_version(context, version, call, text):
    assert answer(context(version), *call.split()) == (1, '', 'ERROR {}\n'.format(text))


def test_each_version_has_its_tools():
    old, newer, newest = (set(tools.tools_of(version)) for version in (
        '2.9.50', '3.6.8', '4.1-beta2.1'))
    assert newer - old == {name for name in newer if name.startswith('secret-')} \
        | {'relation-model-get'}
    assert old <= newer and newest < newer
    assert newer - newest == {
        'leader-get', 'leader-set', 'add-metric', 'payload-register', 'payload-unregister',
        'payload-status-set', 'k8s-raw-get', 'k8s-raw-set', 'k8s-spec-get', 'k8s-spec-set',
        'pod-spec-get', 'pod-spec-set'}


def test_juju_log_has_levels_and_in_a_relation_hook_a_prefix(context):
    it = context('3.6.8')
    for call in ('juju-log -l warn one', 'juju-log --log-level=Error two words', 'juju-log three',
                 'juju-log --debug -l ERROR four', 'juju-log -l loud five'):
        assert answer(it, *call.split()) == (0, '', '')
    assert it.log == [('WARNING', 'one'), ('ERROR', 'two words'), ('INFO', 'three'),
                      ('DEBUG', 'four'), ('WARNING', 'Specified log level of "loud" is not valid'),
                      ('INFO', 'five')]
    it = context('3.6.8', Hook('ring-relation-created', 'created', 'ring:0'))
    assert answer(it, 'juju-log', 'word') == (0, '', '')
    assert it.log == [('INFO', 'ring:0: word')]
    assert answer(it, 'juju-log', '--format=json', 'word')[2] \
        == '--format flag deprecated for command "juju-log"'


@pytest.mark.parametrize('call, text', [
    ('status-set active a b', 'unrecognized args: ["b"]'),
    ('config-get a b c', 'unrecognized args: ["b" "c"]'),
    ('action-get a b', 'unrecognized args: ["b"]'),
    ('action-fail a b', 'unrecognized args: ["b"]'),
    ('action-log', 'no message specified'),
    ('unit-get', 'no setting specified'),
    ('network-get', 'no arguments specified'),
    ('network-get ring more', 'unrecognized args: ["more"]'),
    ('application-version-set', 'no version specified'),
    ('action-set a.B=1', 'key "B" must start and end with lowercase alphanumeric, and contain only '
                         'lowercase alphanumeric and hyphens'),
    ('action-set a.stderr=1', 'cannot set reserved action key "stderr"'),
    ('secret-add ab=1', 'key "ab" not valid'),
    ('secret-add key=', 'key value "key=" not valid'),
    ('secret-add key#file=none', 'reading content for secret key "key": open none: no such file or '
                                 'directory'),
    ('secret-info-get', 'require either a secret URI or label'),
    ('secret-remove', 'missing secret URI'),
    ('relation-list --relation x:y', 'invalid value "x:y" for option --relation: invalid relation '
                                     'id'),
])
def test_wrong_arguments_are_code_2(context, call, text):
    assert answer(context('3.6.8'), *call.split()) == (2, '', 'ERROR {}\n'.format(text))


def test_what_is_set_in_a_secret_and_not_modelled_is_refused(context):
    it = context('4.1.0')
    for options in (['--owner', 'unit'], ['--expire', '1h'], ['--rotate', 'daily'], []):
        with pytest.raises(NotModelled):
            answer(it, 'secret-add', *options + ['key=v' if options else 'key#base64=AA'])
    for call in ('secret-set {} --label L key=w', 'secret-remove {} --revision 1',
                 'secret-remove {} --revision x', 'secret-get {} key#base64'):
        id_ = answer(it, 'secret-add', 'key=v')[1].strip()
        with pytest.raises(NotModelled):
            answer(it, *call.format(id_).split())


def test_action_get_goes_into_maps(context):
    it = context('3.6.8', Hook('act', 'action', params=(('a', {'b': {'c': 5}}), ('n', 10 ** 6))))
    assert [answer(it, 'action-get', path)[1] for path in (
        'a', 'a.b.c', 'a.c', 'a.b.c.d', 'n')] == ['b:\n  c: 5\n', '5\n', '', '', '1e+06\n']
    assert answer(it, 'action-get', 'n', '--format=json')[1] == '1000000\n'


def test_in_juju_4_two_keys_of_the_bag_are_its_own(tmp_path):
    with deploy(tmp_path, 'probe', ['probe/0']) as juju:
        run = execute(juju, 'probe/0', 'relation-set -r 0 ingress-address=mine k=v; '
                      'relation-get -r 0 ingress-address probe/0')
        assert run.stdout == 'mine\n'
        assert juju.bag('probe/0') == {'ingress-address': '127.0.1.1', 'k': 'v',
                                       'egress-subnets': '127.0.1.1/32'}
        assert execute(juju, 'probe/0', 'relation-get -r 0 ingress-address probe/0').stdout \
            == '127.0.1.1\n'


def test_below_4_config_changed_resets_the_addresses(tmp_path):
    with deploy(tmp_path, 'probe', ['probe/0'], version='3.6.8') as juju:
        for has_hook in (False, True):
            execute(juju, 'probe/0', 'relation-set -r 0 private-address=mine ingress-address=')
            if has_hook:
                hook = Path(juju.charm_directory('probe/0'), 'hooks/config-changed')
                hook.parent.mkdir()
                hook.write_text('#!/bin/sh\n')
                hook.chmod(0o755)
            juju.config_changed('probe/0')
            juju.settle()
            bag = juju.bag('probe/0')
            assert (bag['private-address'], bag.get('ingress-address')) == (
                ('127.0.1.1', '127.0.1.1') if has_hook else ('mine', None))


def test_in_juju_4_a_bag_has_at_most_16_mib(context):
    for version in ('3.6.8', '4.1.0'):
        it = context(version)
        for size, fits in ((2 ** 24 - 3, True), (2 ** 24 - 2, version < '4')):
            it.write('ring:0', True, {'key': 'v' * size})
            if fits:
                it.commit()
            else:
                with pytest.raises(CommitFailed):
                    it.commit()


def test_each_rule_of_tools_and_secrets_has_a_row_with_its_tests():
    text = (Path(tools.__file__).parent / 'RULES.md').read_text(encoding='utf-8')
    rows = re.findall(r'^\| ([DE]\d+) \|.*\| (.*) \|$', text, re.M)
    assert [number for number, _ in rows] == ['D{}'.format(n) for n in range(1, 20)] + [
        'E{}'.format(n) for n in range(1, 7)]
    for number, tests in rows:
        names = re.findall('`([a-z0-9_]+)`', tests)
        assert names and all(callable(globals().get('test_' + name)) for name in names), number


def test_a_label_clashes_in_the_tool_with_what_this_hook_made_only(tmp_path):
    """JSRC E4."""
    with deploy(tmp_path, 'probe', ['probe/0']) as juju:
        assert execute(juju, 'probe/0', 'secret-add --label L key=v').exit_code == 0
        run = execute(juju, 'probe/0', 'secret-add --label L key=v; secret-add --label L key=w')
        assert run.stdout.count('secret:') == 1
        assert run.stderr.split('\n', 1)[0] == 'ERROR secret with label "L" already exists'
        assert not run.committed and run.task()['message'] == 'committing requested changes failed'
        assert len(juju.model.secrets) == 1


def test_secret_changed_runs_on_everybody_who_has_read_an_older_revision(tmp_path):
    """JSRC E6: once for each newer revision, the leader included."""
    with deploy(tmp_path, 'probe', ['probe/0', 'probe/1', 'probe/2']) as juju:
        id_ = execute(juju, 'probe/0', 'secret-add --label L key=v').stdout.split('/')[-1].strip()
        for unit in ('probe/0', 'probe/1'):
            assert execute(juju, unit, 'secret-get --label L').stdout == 'key: v\n'
        for value in 'wx':
            execute(juju, 'probe/0', 'secret-set {} key={}'.format(id_, value))
            runs = juju.settle()
            assert [(run.unit, run.hook.name) for run in runs
                    if run.hook.name != 'secret-remove'] == [
                ('probe/0', 'secret-changed'), ('probe/1', 'secret-changed')]
        env = Context(juju.model, 'probe/1', runs[1].hook).environment('', '', '')
        assert (env['JUJU_SECRET_ID'], env['JUJU_SECRET_LABEL']) == ('secret:' + id_, 'L')
        assert execute(juju, 'probe/1', 'secret-get --label L').stdout == 'key: v\n'
        assert execute(juju, 'probe/1', 'secret-get --label L --refresh').stdout == 'key: x\n'
        execute(juju, 'probe/0', 'secret-remove ' + id_)
        assert execute(juju, 'probe/1', 'secret-get ' + id_).stderr \
            == 'ERROR secret "{}" not found\n'.format(id_)
        assert juju.settle() == []


def removing(juju):
    """Run what is due; [unit, JUJU_SECRET_REVISION] of each secret-remove."""
    return [[run.unit, Context(juju.model, run.unit, run.hook).environment('', '', '')[
        'JUJU_SECRET_REVISION']] for run in juju.settle() if run.hook.name == 'secret-remove']


@pytest.mark.parametrize('version', ['3.6.8', '4.1.0'])
def test_secret_remove_runs_on_the_leader_for_each_revision_that_nobody_reads(tmp_path, version):
    """JSRC E6."""
    with deploy(tmp_path, 'probe', ['probe/0', 'probe/1', 'probe/2'], version=version) as juju:
        id_ = execute(juju, 'probe/0', 'secret-add --label L key=v').stdout.split('/')[-1]
        id_ = id_.replace('secret:', '').strip()
        for unit in ('probe/0', 'probe/1'):
            execute(juju, unit, 'secret-get --label L')
        execute(juju, 'probe/0', 'secret-set {} key=w'.format(id_))
        assert removing(juju) == []            # both read revision 1
        execute(juju, 'probe/0', 'secret-set {} key=x'.format(id_))
        assert removing(juju) == [['probe/0', '2']]
        execute(juju, 'probe/0', 'secret-get --label L --refresh')
        assert removing(juju) == []            # probe/1 reads revision 1
        execute(juju, 'probe/1', 'secret-get --label L --refresh')
        assert removing(juju) == [['probe/0', '1']]
        juju.elect('probe/1')                  # which was not told, and nobody has removed them
        assert removing(juju) == [['probe/1', '1'], ['probe/1', '2']]
        for revision in (1, 2):
            run = execute(juju, 'probe/1', 'secret-remove {} --revision {}'.format(id_, revision))
            assert run.committed
        juju.elect('probe/2')
        assert removing(juju) == []
        assert execute(juju, 'probe/0', 'secret-get --label L').stdout == 'key: x\n'
        execute(juju, 'probe/2', 'secret-set {} key=y'.format(id_))
        execute(juju, 'probe/0', 'secret-get --label L --refresh')
        assert removing(juju) == []            # probe/1 reads revision 3, and goes
        juju.remove_unit('probe/1')
        assert removing(juju) == ([['probe/2', '3']] if version == '4.1.0' else [])


def test_who_does_not_lead_removes_no_revision(tmp_path):
    with deploy(tmp_path, 'probe', ['probe/0', 'probe/1']) as juju:
        id_ = execute(juju, 'probe/0', 'secret-add --label L key=v').stdout.split('/')[-1].strip()
        execute(juju, 'probe/0', 'secret-set {} key=w'.format(id_))
        run = execute(juju, 'probe/1', 'secret-remove {} --revision 1'.format(id_))
        assert not run.committed and 'is not allowed to manage this secret' in run.stderr
        assert juju.model.secrets[id_].revisions[0] == {'key': 'v'}


def test_the_same_content_is_no_new_revision(tmp_path):
    """JSRC E3; and --file is read as relation-set reads its own."""
    (tmp_path / 'file').write_text('key: v\nother: 1\n')
    with deploy(tmp_path, 'probe', ['probe/0']) as juju:
        add = execute(juju, 'probe/0', 'secret-add --file {}/file'.format(tmp_path))
        id_ = add.stdout.split('/')[-1].strip()
        for content, revision in (('key=v other=1', 1), ('key=w other=1', 2), ('key=w', 3)):
            execute(juju, 'probe/0', 'secret-set {} {}'.format(id_, content))
            info = execute(juju, 'probe/0', 'secret-info-get --format=json ' + id_).stdout
            assert json.loads(info)[id_]['revision'] == revision


def test_juju_sets_a_status_of_its_own_around_some_hooks(context, tmp_path):
    """JSRC D; what the charm has set in a hook before stays, but for stop and remove."""
    with deploy(tmp_path, 'probe', ['probe/0', 'probe/1']) as juju:
        unit = juju.add_unit('probe/2')
        seen = [juju.status(unit)]
        for hook in iter(lambda: juju.next_hook(unit), None):
            juju.run(unit)
            seen.append((hook.name, juju.status(unit)))
        assert seen[:2] == [('unknown', ''), ('install', (
            'maintenance', 'installing charm software'))]
        assert ('start', ('unknown', '')) in seen
        assert juju.status('probe/0') == ('active', '')
        juju.remove_unit('probe/0')
        for hook in iter(lambda: juju.next_hook('probe/0'), None):
            juju.run('probe/0')
            if hook.name in ('stop', 'remove'):
                assert juju.status('probe/0')[0] == {'stop': 'maintenance',
                                                     'remove': 'terminated'}[hook.name]


# What is printed for a value that no recorded call has; Go's yaml.v2 and encoding/json, by their
# documentation and source.
@pytest.mark.parametrize('value, smart, yaml, json_', [
    ('', '', '""\n', '""\n'), ('x', 'x\n', 'x\n', '"x"\n'), (None, '', '', 'null\n'),
    ([], '', '[]\n', '[]\n'), (['b', 'a'], 'b\na\n', '- b\n- a\n', '["b","a"]\n'),
    ({}, '{}\n', '{}\n', '{}\n'), (True, 'True\n', 'true\n', 'true\n'), (5, '5\n', '5\n', '5\n'),
    ('y', 'y\n', '"y"\n', '"y"\n'), ('1e3', '1e3\n', '"1e3"\n', '"1e3"\n'),
    ('<a & b>', '<a & b>\n', '<a & b>\n', '"\\u003ca \\u0026 b\\u003e"\n'),
    ('a\nb\n', 'a\nb\n\n', '|\n  a\n  b\n', '"a\\nb\\n"\n'),
    ('grün', 'grün\n', 'grün\n', '"grün"\n'),
    (1.5, '1.5\n', '1.5\n', '1.5\n'), (1e6, '1e+06\n', '1e+06\n', '1000000\n'),
    ({'b': '1', 'a10': 'x', 'a9': {'z': '', 'y': '~'}},
     'a9:\n  "y": "~"\n  z: ""\na10: x\nb: "1"\n', 'a9:\n  "y": "~"\n  z: ""\na10: x\nb: "1"\n',
     '{"a10":"x","a9":{"y":"~","z":""},"b":"1"}\n'),
])
def test_output_in_each_format(value, smart, yaml, json_):
    for show in (tools.show_numbers, tools.show):
        if not isinstance(value, float) or show is tools.show_numbers:
            assert [show(value, {'format': style}) for style in ('smart', 'yaml', 'json')] == [
                smart, yaml, json_]


# Through the parsers of the libraries that charms are written with. Not called: charmhelpers'
# network_get, which first asks the agent's executable for its version.

CHARMHELPERS = '''
import json, sys
from charmhelpers.core import hookenv
address = hookenv.unit_private_ip()
hookenv.log('a message', level=hookenv.WARNING)
hookenv.status_set('blocked', 'for a reason')
json.dump({
    'config': dict(hookenv.config()), 'one': hookenv.config('opt'), 'none': hookenv.config('n'),
    'ids': hookenv.relation_ids('ring'), 'units': hookenv.related_units('ring:0'),
    'get': hookenv.relation_get(attribute='born', rid='ring:0', unit=hookenv.local_unit()),
    'missing': hookenv.relation_get(attribute='no', rid='ring:0', unit='probe/1'),
    'status': hookenv.status_get(), 'leader': hookenv.is_leader(),
    'action': sorted(hookenv.action_get()), 'goal': sorted(hookenv.goal_state()['units']),
    'primary': hookenv.network_get_primary_address('ring') == address,
    'egress': hookenv.egress_subnets('ring:0', 'probe/1'),
    'ingress': hookenv.ingress_address('ring:0', 'probe/1')}, sys.stdout)
'''


def test_charmhelpers_reads_it(leader):
    juju, unit, directory, _ = leader
    (directory / 'helpers.py').write_text(CHARMHELPERS)
    run = execute(juju, unit, '{} {}/helpers.py'.format(sys.executable, directory))
    assert run.exit_code == 0, run.stderr
    other = juju.model.address('probe/1')
    assert json.loads(run.stdout) == {
        'config': {'opt': 8, 's': 'xx', 'n': None}, 'one': 8, 'none': None, 'ids': ['ring:0'],
        'units': ['probe/1'], 'get': 'ring-relation-created', 'missing': None,
        'status': ['blocked', 'for a reason'], 'leader': True, 'action': ['command', 'timeout'],
        'goal': ['probe/0', 'probe/1'], 'primary': True,
        'egress': [other + '/32'], 'ingress': other}
    assert run.log == [('WARNING', 'a message')]
    assert juju.status(unit) == ('blocked', 'for a reason')
    execute(juju, unit, 'status-set active')


OPS = '''
import json, sys
from ops.model import _ModelBackend
juju = _ModelBackend('probe/0', 'model', '00000000-0000-4000-8000-000000000000')
id_ = juju.secret_add({'key': 'v'}, label='ops')
info = juju.secret_info_get(label='ops')
ring = juju.network_get('ring')
juju.action_set({'a': {'b': 1}, 'c': 'd'})
juju.action_log('a line')
json.dump({
    'config': dict(juju.config_get()), 'ids': juju.relation_ids('ring'),
    'units': juju.relation_list(0), 'bag': juju.relation_get(0, 'probe/0', False)['born'],
    'app': juju.relation_get(0, 'probe', True), 'leader': juju.is_leader(),
    'status': juju.status_get(), 'network': ring['ingress-addresses'],
    'bind': ring['bind-addresses'][0]['addresses'][0]['value'], 'planned': juju.planned_units(),
    'action': sorted(juju.action_get()), 'secret': juju.secret_get(id=id_),
    'by label': juju.secret_get(label='ops'),
    'info': [info.label, info.revision, info.rotation.value]}, sys.stdout)
juju.secret_remove(id_)
'''


def test_ops_reads_it(leader):
    juju, unit, directory, _ = leader
    (directory / 'with_ops.py').write_text(OPS)
    run = execute(juju, unit, '{} {}/with_ops.py'.format(sys.executable, directory))
    assert run.exit_code == 0, run.stderr
    address = juju.model.address(unit)
    assert json.loads(run.stdout) == {
        'config': {'opt': 8, 's': 'xx'}, 'ids': [0], 'units': ['probe/1'],
        'bag': 'ring-relation-created', 'app': {'leader': 'probe/0'}, 'leader': True,
        'status': {'status': 'active', 'message': '', 'status-data': {}}, 'network': [address],
        'bind': address, 'planned': 2, 'action': ['command', 'timeout'], 'secret': {'key': 'v'},
        'by label': {'key': 'v'}, 'info': ['ops', 1, 'never']}
    assert run.task()['results']['a'] == {'b': '1'} and run.task()['log'] == ['a line']
    assert 'ops' not in [secret.label for secret in juju.model.secrets.values()]
