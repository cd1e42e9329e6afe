"""The protocol for machines: what may happen, and what has to hold whatever happens.

A `Trial` is a World in which actions are done one by one. After each hook the safety promises are
checked, and `settle` checks the others: that everybody is served, and then at rest.
"""
import base64
import json
import re
from typing import Dict, NamedTuple, Optional, Tuple

from fakejuju.model import TASKS
from fakejuju.runner import DISCONNECTED
from world import AVAILABLE, CREATE, SIGN, certificate, id_of

NETWORK = {'ingress-address', 'egress-subnets', 'private-address'}


class Broken(AssertionError):
    """A promise was broken; the text tells which, and the story up to there."""


class Action(NamedTuple):
    kind: str
    unit: Optional[str] = None
    at: Optional[int] = None    # the call of a hook tool at which it happens

    def __str__(self):
        return ' '.join(str(part) for part in self if part is not None)


# What befalls a hook: its arguments for Juju.run.
FAULTS = {
    'hook': lambda juju, at: {},
    'uncommitted': lambda juju, at: {'fail_commit': True},
    'again': lambda juju, at: {'again': True},
    'overtaken': lambda juju, at: {'depose_before_commit': True},
    'kill': lambda juju, at: {'kill_at': at},
    'disconnected': lambda juju, at: {'fail_at': at},
    'deposed': lambda juju, at: {'on_call': {at: juju.depose}},
}
AT_A_CALL = ('kill', 'disconnected', 'deposed')

# What an operator, a layer or fate does between hooks; the charm's own actions among them. Of what
# is restored or lost: `_disk` with the keys on it, else unitdata alone. `inherit` is a name used
# again, with the predecessor's key still there; `exec` a script that renews, and fails then;
# `plant` a leader not to be trusted that answers a unit's next request, if it has the same CSR.
CHARM_ACTIONS = ('renew', 'repeat', 'slow', 'finish', 'refuse', 'reissue')
EVENTS = {
    'add': lambda it, unit: it.add(),
    'return': lambda it, unit: it.add(unit),
    'inherit': lambda it, unit: it.add(unit, with_key=True),
    'remove': lambda it, unit: it.juju.remove_unit(unit),
    'die': lambda it, unit: it.juju.kill_unit(unit),
    'forget': lambda it, unit: it.juju.forget_unit(unit),
    'elect': lambda it, unit: it.juju.elect(unit),
    'depose': lambda it, unit: it.juju.depose(),
    'restart': lambda it, unit: it.juju.restart_agent(unit),
    'status': lambda it, unit: it.juju.update_status(unit),
    'skip': lambda it, unit: it.juju.skip(unit),
    'lose': lambda it, unit: it.juju.lose_unitdata(unit),
    'lose_disk': lambda it, unit: it.lose_disk(unit),
    'restore': lambda it, unit: it.juju.restore_unitdata(unit, since_other(it.juju, unit)),
    'restore_disk': lambda it, unit: it.restore_disk(unit, since_other(it.juju, unit)),
    'exec': lambda it, unit: it.juju.execute_command(unit, 'bin/renew-and-fail'),
    'plant': lambda it, unit: plant(it.juju, unit),
}
RESTORES = ('restore', 'restore_disk', 'restore_bag')


def possible(trial):
    """What can happen now; a 'hook' may as well be each of FAULTS."""
    juju, model = trial.juju, trial.juju.model
    for name, unit in sorted(model.units.items()):
        if unit.life == 'dead':
            yield Action('forget' if unnoticed(juju, name) else 'return', name)
            if not unnoticed(juju, name) and 'key' in juju.disk(name):
                yield Action('inherit', name)
            continue
        hook = model.next_hook(name)
        if hook:
            yield Action('hook', name)
            if hook.relation:
                yield Action('skip', name)
        if model.leader is None:
            yield Action('elect', name)
        elif model.leader != name and unit.started:  # the layer's count of what it signed is in it
            yield Action('lose', name)
            yield Action('lose_disk', name)
        if unit.life == 'alive':
            yield Action('remove', name)
            yield Action('die', name)
            yield Action('restart', name)
            if since_other(juju, name):
                yield Action('restore', name)
                yield Action('restore_disk', name)
        if unit.installed and 'update-status' not in unit.due:
            yield Action('status', name)
        if unit.installed and not unit.actions:
            kv = juju.kv(name)
            yield Action('renew', name)
            yield Action('exec', name)
            if trial.world.key(name):
                yield Action('repeat', name)
            if 'desk' in kv:
                yield Action('finish', name)
            elif not kv.get('slow'):
                yield Action('slow', name)
            if not kv.get('refuses'):
                yield Action('refuse', name)
            if model.leader == name:
                yield Action('reissue', name)
        planted = planted_for(juju, name)
        if model.leader and planted and planted not in (own_id(juju.kv(name)), *trial.requests):
            yield Action('plant', name)
    if model.leader:
        yield Action('depose')
    for owner in sorted(trial.earlier):
        yield Action('restore_bag', owner)
    yield Action('add')


def since_other(juju, unit):
    """How many hooks ago unitdata last were other than now; 0 if never."""
    history, now = juju.history[unit], juju.unitdata[unit]
    return next((ago for ago in range(1, len(history)) if history[-1 - ago] != now), 0)


def planted_for(juju, unit):
    """The id of the unit's next request, should its CSR be the same; None if it has no request."""
    return request_in(juju.bag(unit), 1)


def plant(juju, unit):
    """What a leader not to be trusted writes; nobody may be told of it, for nobody has asked."""
    juju.write_app(juju.model.leader, **{
        unit + '_csr_id': planted_for(juju, unit), unit + '_refusal': '',
        unit + '_signed_certificate': certificate(asked_in(juju.bag(unit)) + PLANTED)})


def unnoticed(juju, unit):
    """Whether that unit died and Juju does not know."""
    return juju.model.units[unit].life == 'dead' and (
        juju.model.leader == unit or unit in juju.relation().alive)


class View(NamedTuple):
    """What a unit has before a hook, or after it."""

    key: Optional[str]      # the text of the CSR that its layer makes by the key on its disk
    noted: Optional[str]    # what the layer last asked with, as unitdata have it
    asked: str              # the text of the request in its bag
    number: str
    answer: Tuple           # that stands under its name in the application bag
    certificate: str        # the text of the one in unitdata
    told: Tuple             # texts of those that the layer was told of
    flags: frozenset
    is_new: bool            # no request was ever made by this code

    @property
    def is_known(self):
        """Whether the interface can see what the layer's key has to be certified for.

        By unitdata or by the bag; or it knows of no request, and so has to ask the layer.
        """
        return self.noted is None or self.key in (self.noted, self.asked)


def view(world, unit):
    kv, bag, app = world.juju.kv(unit), world.juju.bag(unit), world.juju.app_bag()
    certificate = kv.get(unit + '_signed_certificate', '')
    return View(world.key(unit), kv.get('asks'), asked_in(bag), bag.get('csr_number', ''),
                tuple(app.get(unit + suffix) for suffix in SUFFIXES),
                certificate and text_in(certificate), tuple(kv.get('announced', ())),
                frozenset(world.flags(unit)), not kv.get('interface.tls', {}).get('number'))


def wrongs(run, before, after, inherited=None):
    """(promise, what is wrong) of what one hook made of its unit's request and key.

    inherited: the answer that stood there for a predecessor when the unit was added.
    """
    unit = run.unit
    if before.is_known and not after.is_known and before.key == after.key:
        yield 'P15', '{} has the key {}, and has forgotten that it asked with it'.format(
            unit, after.key)
    keys = {before.key, after.key}
    # What unitdata know counts where the layer has made a key and told nobody.
    if not (before.is_known and after.is_known):
        keys |= {before.noted, after.noted}
    if AVAILABLE in before.flags:
        keys.add(before.certificate.split(' by ')[0])  # unitdata of when it was not told yet
    for text in after.told[len(before.told):]:
        if text.split(' by ')[0] not in keys:
            yield 'P2', '{} has the key {}, and was told {}'.format(unit, after.key, text)
        if text.endswith(PLANTED):
            yield 'P2', '{} was told {}, and has not asked for it'.format(unit, text)
        if after.answer == inherited:
            yield 'P8', '{} was told {}, which answered its predecessor'.format(unit, text)
    if before.is_new and before.asked and not before.number and before.key != after.key \
            and run.hook.kind not in TASKS:
        yield 'P11', '{} has published {} under the original, and has a new key {}'.format(
            unit, before.asked, after.key)


class Trial:
    def __init__(self, world):
        self.world = world
        self.juju = world.juju
        self.requests = {}    # id -> text: what each id stood for when it was published
        self.earlier = {}     # owner of a bag -> all bags before its last change
        self.inherited: Dict[str, Tuple] = {}  # unit -> what answered its predecessor
        self.story = []

    def do(self, action):
        """The Run of it, if it is a hook's."""
        juju = self.world.juju
        self.story.append(str(action))
        if action.kind in FAULTS:
            return self.run(action)
        if action.kind in CHARM_ACTIONS:
            juju.action(action.unit, action.kind)
        elif action.kind == 'restore_bag':
            juju.restore_bags(self.earlier.pop(action.unit), action.unit)
            for unit in juju.units():  # the controller was away
                juju.restart_agent(unit)
        else:
            EVENTS[action.kind](self.world, action.unit)
        if action.kind == 'inherit':
            self.inherited[action.unit] = view(self.world, action.unit).answer
        return None

    def run(self, action):
        juju, unit = self.world.juju, action.unit
        before, bags = (juju.kv(unit), juju.app_bag(), juju.model.leader), juju.bags()
        seen = view(self.world, unit)
        run = juju.run(unit, **FAULTS[action.kind](juju, action.at))
        self.story[-1] = tell(action, run)
        self.earlier.update(dict.fromkeys(run.changes, bags))
        for promise, text in wrongs(run, seen, view(self.world, unit), self.inherited.get(unit)):
            self.expect(False, promise, '{}', text)
        if run.exit_code and not run.committed and any(
                call.code is None or call.stderr == DISCONNECTED[2] for call in run.calls):
            return run  # killed, or failed rightly: nothing was written anywhere
        self.check(run, *before)
        return run

    # Safety: after every hook.

    def check(self, run, kv_before, app_before, leader_before):
        juju, unit = self.world.juju, run.unit
        kv, app = juju.kv(unit), juju.app_bag()
        self.expect(run.exit_code == 0 or run.hook.kind == 'exec', 'P9',
                    'a hook failed by itself: {}', run.stderr[-2000:])
        self.check_bags(run, kv_before, app_before, app)
        self.check_certificate(unit, kv_before, kv, app_before)
        if kv or run.exit_code == 0:  # else they were lost, and what failed did not save them
            self.check_flags(unit, kv, leader_before)

    def check_bags(self, run, kv_before, app_before, app):
        juju, unit = self.world.juju, run.unit
        record = kv_before.get('interface.tls', {})
        kept = record['csr'] if record.get('unpublished') else None
        own = {key: value for key, value in juju.bag(unit).items() if key not in NETWORK}
        self.expect(set(own) in (set(), {'csr', 'csr_number'}), 'wire', 'bag of {} has {}', unit,
                    own)
        if own:
            self.expect(re.match('[1-9][0-9]{,17}\\Z', own['csr_number']), 'wire',
                        'number of {} is {}', unit, own['csr_number'])
            self.requests[id_of(own['csr_number'], own['csr'])] = text_in(own['csr'])
        if app == app_before:
            return
        for key in set(app_before) | set(app):
            name, _, what = key.partition('_')
            self.expect('_' + what in SUFFIXES, 'wire', 'application has {}', key)
            now, before = (tuple(bag.get(name + suffix) for suffix in SUFFIXES)
                           for bag in (app, app_before))
            answer, csr_id, refusal = now
            old_answer, old_id, _ = before
            if now == before:
                continue
            if run.hook.name == 'reissue' and old_id and count(csr_id) == 0:
                self.expect(now == (old_answer, csr_id, None), 'P14',
                            '{} has lost its certificate', name)
                continue
            self.expect(csr_id is None if not (answer or refusal) else
                        csr_id and bool(answer) != bool(refusal), 'wire', '{} has {}', name, now)
            if not csr_id:
                gone = juju.model.units[name].life != 'alive'  # goal-state may tell before Juju
                self.expect(name != unit and (gone or run.hook.departing == name),
                            'P8', '{} deleted the answer for {}', run.hook.name, name)
                continue
            # It may have been published, answered and outnumbered in this one hook.
            if kept and name == unit and csr_id == id_of(count(csr_id), kept):
                self.requests[csr_id] = text_in(kept)
            asked = self.requests.get(csr_id)
            self.expect(asked is not None, 'P2', 'answer to {}, which nobody published', csr_id)
            self.expect(refusal or text_in(answer).startswith(asked + ' by '), 'P2',
                        '{} is beside {}, which asked for {}', answer, csr_id, asked)
            self.expect(count(old_id) <= count(csr_id), 'P4', '{} lowered to {}', old_id, csr_id)
            self.expect(old_id != csr_id or run.hook.name in ('finish', 'reissue'), 'P4',
                        '{} was answered twice', csr_id)

    def check_certificate(self, unit, before, kv, app):
        key = unit + '_signed_certificate'
        mine, old = kv.get(key), before.get(key)
        self.expect(kv.get('tls.server.certificate') == mine, 'P7', 'two keys of unitdata differ')
        if mine != old:
            self.expect(mine, 'P7', '{} lost its certificate', unit)
            self.expect(mine == app.get(key), 'P2', '{} stored what nobody answered', unit)
            # An action that asks anew may first have found the answer to what was asked before.
            requests = [(own_id(each), each['asks']) for each in (kv, before) if 'asks' in each]
            answered = app[unit + '_csr_id'], text_in(mine).split(' by ')[0]
            self.expect(answered in requests, 'P2', '{} asked {} and stored {}', unit, requests,
                        text_in(mine))
        announced, said = before.get('announced', []), kv.get('announced', [])
        self.expect(said[:len(announced)] == announced
                    and (len(set(said)) == len(said) or self.restored()), 'P10',
                    '{} was told {}', unit, said)
        self.expect(len(said) == len(announced) or said[-1] == text_in(mine), 'P2',
                    '{} was told {} with another in unitdata', unit, said[-1:])
        self.expect(own_id(kv) != own_id(before) or (mine == old) == (said == announced), 'P10',
                    'certificate of {} and announcement differ: {}', unit, said)

    def check_flags(self, unit, kv, leader_before):
        flags, record = self.world.flags(unit), kv['interface.tls']
        model = self.world.juju.model
        if SIGN in flags:
            self.expect(unit in (leader_before, model.leader), 'P4', '{} is to sign', unit)
            members = {unit}.union(*model.units[unit].members.values())
            self.expect(set(record['waiting']) and set(record['waiting']) <= members, 'P8',
                        '{} is to sign for {}', unit, record['waiting'])
        self.expect(AVAILABLE not in flags, 'P10', '{} is told on and on', unit)
        if CREATE in flags:
            self.expect('refused' in (record['outcome'] or {}) or not record['csr'], 'P6',
                        '{} is to ask again', unit)

    def expect(self, kept, promise, text, *values):
        if not kept:
            raise Broken('\n'.join(['{}: {}'.format(promise, text.format(*values))] + self.tell()))

    def tell(self):
        """The story so far, and what the bags hold now."""
        juju = self.world.juju
        lines = ['', 'Leader {}, story:'.format(juju.model.leader)]
        lines += ['  ' + line for line in self.story[-60:]] + ['Bags:']
        for owner in juju.units():
            lines.append('  {}: {}'.format(owner, short(juju.bag(owner))))
        lines.append('  application: {}'.format(short(juju.app_bag())))
        for unit in juju.units():
            lines.append('Flags of {}: {}; record {}'.format(
                unit, sorted(self.world.flags(unit)), juju.kv(unit).get('interface.tls')))
        return lines

    # What is promised for the end.

    def settle(self):
        """P1, P4, P10: with a leader and an update-status, everybody is served and at rest."""
        juju, model = self.world.juju, self.world.juju.model
        for name in sorted(model.units):
            if unnoticed(juju, name):
                self.do(Action('forget', name))
        self.run_hooks()  # a leader that is leaving is gone then
        if model.leader is None and juju.units():
            self.do(Action('elect', juju.units()[0]))
        self.run_hooks()
        for unit in juju.units():
            if {'slow', 'desk', 'refuses'} & set(juju.kv(unit)):
                self.do(Action('finish', unit))
        for _ in range(2):
            self.update_statuses()
        unserved = [unit for unit in self.world.unserved()
                    if not (self.went_back(unit) or self.is_outnumbered(unit))]
        self.expect(not unserved, 'P1', 'not served: {}', unserved)
        for unit in juju.units():
            flags = self.world.flags(unit)
            # By the key that the layer has, not by what has come into the bag.
            it = view(self.world, unit)
            key = it.key if it.is_known else it.noted
            self.expect(it.certificate.split(' by ')[0] == key, 'P1', '{} has the key {} and {}',
                        unit, key, it.certificate)
            self.expect(not flags, 'P10', '{} has {} at the end', unit, flags)
            self.expect(self.world.announced(unit)[-1] == text_in(self.world.certificate(unit)),
                        'P1', '{} was not told of its certificate', unit)
        at_rest = self.at_rest()
        self.update_statuses()
        self.expect(self.at_rest() == at_rest, 'P10', 'no rest')

    def restored(self, *owners):
        """Whether unitdata or bags were, of one of these or of anybody."""
        restores = [line.split()[1] for line in self.story if line.split()[0] in RESTORES]
        return any(not owners or owner in owners for owner in restores)

    def went_back(self, unit):
        """With disk and bag to an earlier request and its certificate; a later answer stays."""
        return 'restore_bag ' + unit in self.story and count(self.world.answer_id(unit)) > count(
            self.world.request_id(unit)) > 0

    def is_outnumbered(self, unit):
        """It is served, and what a leader not to be trusted planted still stands there."""
        return count(self.world.answer_id(unit)) > count(self.world.request_id(unit)) > 0 \
            and text_in(self.world.answer(unit)).endswith(PLANTED)

    def update_statuses(self):
        """One of each unit; any other hook that is due would swallow it (JSRC B3)."""
        self.run_hooks()
        for unit in self.world.juju.units():
            self.do(Action('status', unit))
            self.do(Action('hook', unit))
            self.run_hooks()

    def run_hooks(self):
        juju = self.world.juju
        hooks = 0
        while any(juju.next_hook(unit) for unit in juju.units()):
            for unit in juju.units():
                if juju.next_hook(unit):
                    self.do(Action('hook', unit))
                    hooks += 1
            self.expect(hooks < 100 * len(juju.model.units) ** 2, 'P10', 'it does not settle')

    def at_rest(self):
        juju = self.world.juju
        return juju.app_bag(), [(juju.bag(unit), dict(juju.kv(unit), **{
            'interface.tls': dict(juju.kv(unit)['interface.tls'], context=None)}))
            for unit in juju.units()]


SUFFIXES = '_signed_certificate', '_csr_id', '_refusal'
PLANTED = ' by an intruder'


def asked_in(bag):
    """The text of the CSR in a unit's bag; '' for none, or for nonsense."""
    csr = bag.get('csr', '')
    return text_in(csr) if csr.startswith('-----BEGIN') else ''


def text_in(block):
    return base64.b64decode(block.split('-----')[2]).decode()


def request_in(bag, more=0):
    """The id of the request in a unit's bag, or of one so much later; None for nonsense."""
    number = bag.get('csr_number', '')
    return id_of(int(number) + more, bag['csr']) if number.isdigit() and asked_in(bag) else None


def own_id(kv):
    record = kv.get('interface.tls', {'csr': None})
    # Of a request that is yet to be published it is still the number of the last.
    return record['csr'] and not record.get('unpublished') and id_of(
        record['number'], record['csr'])


def count(csr_id):
    """The N of an id; 0 if there is none, or it is to be answered again."""
    number = (csr_id or '').partition('-')[0]
    return int(number) if number.isdigit() else 0


def tell(action, run):
    """A line of the story."""
    hook = run.hook
    about = ' ({})'.format(hook.remote_unit) if hook.remote_unit else ''
    line = '{}: {}{}'.format(action, hook.name, about)
    if not run.committed:
        line += ', not committed: ' + run.error
    for owner, changes in run.changes.items():
        line += '; {} {}'.format(owner, short({key: new for key, (_, new) in changes.items()}))
    return line


def short(bag):
    def value(text):
        if text and text.startswith('-----'):
            return text_in(text)
        return re.sub('[0-9a-f]{26}-', '..-', text or 'deleted')
    return json.dumps({key: value(text) for key, text in sorted(bag.items())
                       if key not in NETWORK})
