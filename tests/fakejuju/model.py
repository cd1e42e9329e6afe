"""What Juju knows of one application, as plain data, and which hook each unit runs next.

JS n is topic n, and JSRC Xn rule n of section X, of the tables in RULES.md, which list rules,
sources and tests.
"""
import zlib
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple


class NotModelled(Exception):
    """Juju can do this, but the double cannot: the test that asks for it has to fail."""


class Hook(NamedTuple):
    """One hook (or action) of a unit, as chosen from a snapshot of the model."""

    name: str                     # 'install', 'peers-relation-joined', or the action's name
    kind: str                     # the name, the part after '-relation-', or one of TASKS
    relation: Optional[str] = None
    remote_unit: str = ''
    departing: str = ''
    version: int = 0              # of the bag that the hook tells of, when it was chosen
    params: Tuple = ()            # of an action; id and label of a secret, and a revision


class Bag:
    """Relation data of one unit or application, with a version: a new one makes other units
    look."""

    def __init__(self):
        self.settings: Dict[str, str] = {}
        self.version = 0

    def merge(self, writes, content_versions):
        """Apply writes ('' deletes); what really changed, {key: (old, new)} (JS 4.3, 6, 7)."""
        changes = {}
        for key, value in writes.items():
            old = self.settings.get(key)
            if (value or None) != old:
                changes[key] = (old, value or None)
                if value:
                    self.settings[key] = value
                else:
                    del self.settings[key]
        if content_versions and writes:
            # Derived from the content in 4.x (JS 2): deleting what was never there gives an empty
            # bag its first version (JSRC A12).
            self.version = zlib.crc32(repr(sorted(self.settings.items())).encode()) or 1
        elif changes:
            self.version += 1  # a counter in the database of 2.x and 3.x
        return changes


class Relation:
    def __init__(self, id_):
        self.id = id_
        self.endpoint = id_.split(':')[0]
        self.dying = False
        self.alive: Set[str] = set()       # units in scope
        self.units: Dict[str, Bag] = {}    # kept after a unit has left (JS 9.2)
        self.app = Bag()


class Secret:
    """A secret owned by the application."""

    def __init__(self, label, content):
        self.label = label
        self.revisions = [content]         # None where one was removed
        self.pinned: Dict[str, int] = {}   # reader -> revision that it gets
        self.told: Dict[str, int] = {}     # reader -> revision of its last secret-changed
        self.told_to_remove: Dict[str, Set[int]] = {}  # leader -> revisions


class Unit:
    """One unit and what its agent remembers."""

    def __init__(self, name, charm):
        self.name = name
        self.charm = charm
        self.upgrade: Optional[str] = None  # the charm that it is to be refreshed to
        self.endpoints: Optional[List[str]] = None  # of its charm, if not all (JSRC A15)
        self.life = 'alive'                # 'alive', 'dying', 'dead' (also: gone without a word)
        self.gone = False                  # Juju has no row of it any more
        self.installed = False
        self.started = False
        self.stopped = False
        self.queued: Optional[Hook] = Hook('install', 'install')  # not interrupted (JSRC B1)
        self.due: Set[str] = set()         # hooks that are no relation's
        self.config_again = False
        self.actions: List[Hook] = []
        self.failed: Optional[Hook] = None
        self.led = False                   # its agent has run leader-elected
        self.leader_settings_seen: Optional[int] = None
        self.created: Set[str] = set()     # relation ids
        self.reloaded: Set[str] = set()    # known from before the agent's restart (JSRC A1)
        self.left: Set[str] = set()        # whose relation-broken has run
        self.members: Dict[str, Dict[str, int]] = {}
        self.missed: Dict[str, Set[str]] = {}  # gone without its agent being told (JSRC A3)
        self.app_seen: Dict[str, int] = {}
        self.changed_pending: Dict[str, str] = {}
        self.cache: Dict[Tuple[str, str], Dict[str, str]] = {}  # bags of members (JS 12, 2)
        self.status: Tuple[str, str] = ('unknown', '')
        self.status_set = False            # by the charm


# What an operator has a unit do; if it fails, it is not run again, and holds up no hook.
TASKS = ('action', 'exec')

# JS 1.1, "continue mode"; stop and remove are a dying unit's.
CONTINUE = ('upgrade-charm', 'config-changed')


class Model:
    """Where a knob is None it is as in that version of Juju.

    leader_notified: the leader is told of its own write to the application bag (JS 8).
    departed_sent: survivors are told that a unit left (JSRC A2, A3, F1): with True always; with
    False never, so that they find out when their agents restart or their charm is refreshed (A4).
    config_twice: `juju config` runs config-changed twice (F6). reversed_relations: Juju visits
    relations in any order (B8), this one in the reverse of theirs. subordinate: goal-state lists no
    units.
    """

    def __init__(self, app, endpoints, version='3.6.8', leader_notified=True, stale_caches=True,
                 departed_sent=None, network_keys=True, content_versions=None, config_twice=None,
                 reversed_relations=False, subordinate=False):
        self.app = app
        self.version = version
        self.leader_notified = leader_notified
        self.stale_caches = stale_caches
        self.departed_sent = departed_sent
        self.network_keys = network_keys
        self.content_versions = self.major >= 4 if content_versions is None else content_versions
        self.config_twice = self.major >= 4 if config_twice is None else config_twice
        self.reversed_relations = reversed_relations
        self.subordinate = subordinate
        self.units: Dict[str, Unit] = {}
        self.relations: Dict[str, Relation] = {}
        self.relation_count = 0
        self.unit_count = 0
        self.leader: Optional[str] = None       # who has the lease
        self.believes: Optional[str] = None     # who has lost it and does not know (JSRC A11)
        self.running: Dict[str, Hook] = {}      # of units that are in a hook
        self.leader_settings: Dict[str, str] = {}
        self.leader_settings_version = 0
        self.config: Dict[str, Any] = {}
        self.secrets: Dict[str, Secret] = {}
        self.addresses: Dict[str, str] = {}     # that are not as when the unit was made
        for endpoint in endpoints:
            self.add_relation(endpoint)

    @property
    def major(self):
        return int(self.version.split('.')[0])

    def unit(self, name):
        if name not in self.units:
            raise KeyError('unit "{}" not found'.format(name))
        return self.units[name]

    def alive(self):
        """Names of the units that still run hooks, in the order of their numbers."""
        return sorted((unit.name for unit in self.units.values() if unit.life != 'dead'),
                      key=lambda name: int(name.split('/')[1]))

    def address(self, name):
        """A loopback address per unit, so that units can listen side by side."""
        return self.addresses.get(name) or '127.0.1.{}'.format(int(name.split('/')[1]) + 1)

    # What an operator does.

    def add_relation(self, endpoint):
        if self.major >= 4 and any(each.endpoint == endpoint for each in self.relations.values()):
            raise NotModelled('two relations of one peer endpoint, an error in Juju 4')  # JSRC F7
        id_ = '{}:{}'.format(endpoint, self.relation_count)
        self.relation_count += 1
        self.relations[id_] = Relation(id_)
        for unit in self.units.values():
            self.synchronize_scopes(unit)
        return id_

    def destroy_relation(self, id_):
        """The relation ends, as when its application is removed: departed, and broken as in JSRC
        A1."""
        self.relations[id_].dying = True

    def remove_relation(self, id_):
        """At once and without a hook, as a refresh to a charm without that endpoint does it."""
        del self.relations[id_]
        for unit in self.units.values():
            for known in (unit.members, unit.missed, unit.app_seen, unit.changed_pending):
                known.pop(id_, None)

    def add_unit(self, charm, name=None):
        """Numbers are not used again (JS 10), unless a name is asked for, as on Kubernetes."""
        if name is None:
            name = '{}/{}'.format(self.app, self.unit_count)
            self.unit_count += 1
        elif name in self.alive():
            raise ValueError('unit "{}" exists'.format(name))
        self.units[name] = Unit(name, charm)
        return name

    def remove_unit(self, name):
        unit = self.unit(name)
        unit.life = 'dying'
        unit.due &= {'start'}  # after a reboot (JSRC B6); what is queued runs, too (B2)
        if self.major < 4:  # at once, before the unit runs a hook (JS 9.1); in 4.x see JSRC A2
            for relation in self.relations.values():
                self.leave_scope(unit, relation, told=True)
        if not unit.installed:  # nothing of it runs, install neither (JSRC F11)
            self.bury(unit)

    def kill_unit(self, name):
        """The machine is gone, but Juju does not know yet: the unit stays in scope, and keeps the
        lease."""
        self.unit(name).life = 'dead'

    def forget_unit(self, name):
        """remove-unit --force: the unit runs nothing (JS 9.1; the survivors: JSRC F10)."""
        self.bury(self.unit(name))

    def elect(self, name):
        if self.unit(name).life == 'dead':
            raise ValueError('unit "{}" is dead and cannot lead'.format(name))
        if self.leader != name:
            self.depose()
            self.leader = name

    def depose(self, unnoticed=False):
        """The lease is lost; unnoticed: the unit's agent learns that when its hook is over."""
        loser, self.leader = self.leader, None
        if loser:
            self.believes = loser if unnoticed else None
            self.resign(self.units[loser])

    def resign(self, unit):
        """An agent looks at the lease between hooks only (JSRC A9)."""
        if self.leader != unit.name and unit.name not in self.running:
            unit.led = False

    def restart_agent(self, name):
        """Empties the caches, and a relation in scope counts as created (JS 1.3, 12, 13)."""
        unit = self.unit(name)
        unit.cache.clear()
        unit.leader_settings_seen = None
        unit.missed.clear()  # JSRC A4
        for relation in self.relations.values():
            if name in relation.alive or relation.id in unit.created - unit.left:
                unit.reloaded.add(relation.id)
                if relation.id not in unit.created:
                    self.create(unit, relation.id)

    # Scope.

    def synchronize_scopes(self, unit):
        """Enter what is new, but for endpoints that the unit's charm does not have (JSRC A15)."""
        for id_, relation in self.relations.items():
            if unit.installed and unit.life == 'alive' and id_ not in unit.members \
                    and not relation.dying \
                    and (unit.endpoints is None or relation.endpoint in unit.endpoints):
                self.enter_scope(unit, relation)

    def enter_scope(self, unit, relation):
        """Before relation-created runs, so peers may see the unit before it acts (JS 1.3)."""
        relation.alive.add(unit.name)
        for other in self.units.values():
            other.missed.get(relation.id, set()).discard(unit.name)
        # Nothing is left of what a predecessor of that name wrote (JSRC A7).
        bag = relation.units.setdefault(unit.name, Bag())
        bag.merge(dict(dict.fromkeys(bag.settings, ''), **self.network_settings(unit)),
                  self.content_versions)
        unit.members.setdefault(relation.id, {})

    def network_settings(self, unit):
        """What Juju itself writes into the bag (JS 4.7)."""
        if not self.network_keys:
            return {}
        address = self.address(unit.name)
        keys = {'ingress-address': address, 'egress-subnets': address + '/32'}
        if self.major < 4:
            keys['private-address'] = address
        return keys

    def leave_scope(self, unit, relation, told):
        """told: survivors get departed; else they go on listing it until they look (JSRC A4)."""
        if unit.name not in relation.alive:
            return
        relation.alive.remove(unit.name)
        if not (told if self.departed_sent is None else self.departed_sent):
            for other in self.units.values():
                if relation.id in other.members:
                    other.missed.setdefault(relation.id, set()).add(unit.name)

    def create(self, unit, id_):
        unit.created.add(id_)
        unit.app_seen[id_] = 0

    def bury(self, unit):
        for relation in self.relations.values():
            # In 4.x its row goes with its scope, and what has no row is not told of (JSRC A3).
            self.leave_scope(unit, relation, told=self.major < 4)
        unit.life, unit.gone = 'dead', True
        if self.leader == unit.name:  # revoked with the unit, not before (JS 9.3, JSRC F2)
            self.leader = None

    # The next hook.

    def next_hook(self, name):
        """The hook that this unit runs next, or None; the first resolver that has one.

        JS 1.1, JSRC F12.
        """
        unit = self.unit(name)
        if unit.life == 'dead':
            return None
        if unit.failed and self.holds(unit, unit.failed):
            return unit.actions[0] if unit.actions else unit.failed  # JSRC A5
        if unit.queued and self.holds(unit, unit.queued):
            if self.major < 3 and unit.actions and unit.actions[0].kind == 'exec':
                return unit.actions[0]  # a command, not an action (JSRC B1)
            return unit.queued
        alive = unit.life == 'alive'
        if 'start' in unit.due:  # after a reboot (JSRC B6)
            return Hook('start', 'start')
        if alive:
            for id_, relation in self.visited():
                if name in relation.alive and id_ not in unit.created and not relation.dying:
                    return self.relation_hook(relation, 'created')
            if self.leader == name and not unit.led:
                return Hook('leader-elected', 'leader-elected')
            if self.leader != name and self.major < 4 \
                    and unit.leader_settings_seen != self.leader_settings_version:
                return Hook('leader-settings-changed', 'leader-settings-changed')
        for id_, secret in sorted(self.secrets.items()):  # JSRC E6
            newest = len(secret.revisions) - 1
            if secret.pinned.get(name, newest) < newest != secret.told.get(name):
                return Hook('secret-changed', 'secret-changed', version=newest,
                            params=(id_, secret.label))
        if alive and self.leader == name:
            for id_, secret in sorted(self.secrets.items()):
                told = secret.told_to_remove.get(name, set())
                for revision in sorted(self.unread(secret) - told):
                    return Hook('secret-remove', 'secret-remove', version=revision,
                                params=(id_, secret.label, revision + 1))
        if unit.actions:
            return unit.actions[0]
        for kind in CONTINUE:
            if alive and kind in unit.due:
                return Hook(kind, kind)
        for id_, relation in self.visited():
            hook = id_ in unit.created and id_ not in unit.left \
                and self.next_relation_hook(unit, relation)
            if hook:
                return hook
        if not alive:  # JSRC B2
            kind = 'stop' if unit.started and not unit.stopped else 'remove'
            return Hook(kind, kind)
        return Hook('update-status', 'update-status') if 'update-status' in unit.due else None

    def unread(self, secret):
        """The revisions that no unit reads any more; below Juju 4 a unit that has left still counts
        (E6)."""
        read = {revision for name, revision in secret.pinned.items()
                if self.major < 4 or not self.units[name].gone}
        return {revision for revision, content in enumerate(secret.revisions[:-1])
                if content is not None} - read

    def holds(self, unit, hook):
        """Whether that hook is still to run: leader-elected does not run without the lease (JSRC
        A8)."""
        return hook.kind != 'leader-elected' or self.leader == unit.name

    def visited(self):
        return sorted(self.relations.items(), reverse=self.reversed_relations)

    def next_relation_hook(self, unit, relation):
        """JS 2, and JSRC A1."""
        members = unit.members[relation.id]
        remote = {}
        ends = unit.life != 'alive' or relation.dying
        if not ends:
            listed = relation.alive | unit.missed.get(relation.id, set())
            remote = {name: relation.units[name].version for name in listed - {unit.name}}
        pending = unit.changed_pending.get(relation.id)
        if pending:
            return self.relation_hook(relation, 'changed', pending, version=remote.get(pending, 0))
        for name in sorted(set(members) - set(remote)):
            leaver = name if unit.life == 'alive' else unit.name
            return self.relation_hook(relation, 'departed', name, leaver)
        if ends:
            # Only of relations that it has met itself does an agent know that they are peer
            # relations.
            return self.relation_hook(relation, 'broken') if relation.id in unit.reloaded else None
        if unit.app_seen[relation.id] != relation.app.version \
                and (self.leader_notified or self.leader != unit.name):
            return self.relation_hook(relation, 'changed', version=relation.app.version)
        for name in sorted(set(remote) - set(members)):
            return self.relation_hook(relation, 'joined', name, version=remote[name])
        for name in sorted(remote):
            if members[name] != remote[name]:
                return self.relation_hook(relation, 'changed', name, version=remote[name])
        return None

    @staticmethod
    def relation_hook(relation, kind, remote_unit='', departing='', version=0):
        return Hook('{}-relation-{}'.format(relation.endpoint, kind), kind, relation.id,
                    remote_unit, departing, version)

    # What follows from a hook that starts, and from one that is over.

    def begin(self, name, hook):
        self.running[name] = hook
        if hook.kind not in TASKS:  # any hook swallows the update-status that is due (JSRC B3)
            self.unit(name).due -= {hook.kind, 'update-status'}

    def end(self, name):
        """The agent looks again for what it did not see during the hook (JSRC A9)."""
        self.running.pop(name, None)
        if self.believes == name:
            self.believes = None
        self.resign(self.unit(name))

    def commit(self, name, hook):
        """The agent's state moves on: the hook succeeded, or the charm has none of that name."""
        unit = self.unit(name)
        if hook.kind in TASKS:
            unit.actions.pop(0)
            return
        unit.failed = unit.queued = None
        if hook.relation:
            self.commit_relation_hook(unit, hook)
        elif hook.kind == 'leader-elected':
            unit.led = self.leader == name
        elif hook.kind == 'secret-changed':
            if hook.params[0] in self.secrets:
                self.secrets[hook.params[0]].told[name] = hook.version
        elif hook.kind == 'secret-remove':
            if hook.params[0] in self.secrets:
                secret = self.secrets[hook.params[0]]
                secret.told_to_remove.setdefault(name, set()).add(hook.version)
        elif hook.kind == 'leader-settings-changed':
            unit.leader_settings_seen = self.leader_settings_version
        elif hook.kind == 'install':
            unit.installed = True
            unit.due.add('config-changed')
            self.synchronize_scopes(unit)
        elif hook.kind == 'upgrade-charm':
            unit.queued = Hook('config-changed', 'config-changed')
            self.watch_again(unit)
        elif hook.kind == 'config-changed':
            if not unit.started:
                unit.queued = Hook('start', 'start')
            elif unit.config_again:
                unit.due.add('config-changed')
            unit.config_again = False
            self.synchronize_scopes(unit)
        elif hook.kind == 'start':
            unit.started = True
        elif hook.kind == 'stop':
            unit.stopped = True
        elif hook.kind == 'remove':
            self.bury(unit)

    def watch_again(self, unit):
        """With another charm the agent starts its watchers anew (JSRC A4, B4)."""
        unit.missed.clear()
        unit.leader_settings_seen = None

    def commit_relation_hook(self, unit, hook):
        members = unit.members[hook.relation]
        if hook.kind == 'created':
            self.create(unit, hook.relation)
        elif hook.kind == 'joined':
            members[hook.remote_unit] = hook.version
            unit.changed_pending[hook.relation] = hook.remote_unit
        elif hook.kind == 'changed' and hook.remote_unit:
            members[hook.remote_unit] = hook.version
            unit.changed_pending.pop(hook.relation, None)
        elif hook.kind == 'changed':
            unit.app_seen[hook.relation] = hook.version
        elif hook.kind == 'departed':
            del members[hook.remote_unit]
            unit.cache.pop((hook.relation, hook.remote_unit), None)
        elif hook.kind == 'broken':
            unit.left.add(hook.relation)
            self.leave_scope(unit, self.relations[hook.relation], told=True)

    def fail(self, name, hook):
        """Only this hook and actions run until it succeeds (JS 6); an action just ends."""
        unit = self.unit(name)
        if hook.kind in TASKS:
            unit.actions.pop(0)
        else:
            unit.failed, unit.queued = hook, None
            unit.config_again = False  # the retry sees all that happened meanwhile

    def requeue(self, name, hook):
        """The agent stopped in the middle of it: it runs again, and first (JSRC B10, F9)."""
        unit = self.unit(name)
        if hook.kind in TASKS:
            unit.actions.pop(0)  # an action is not run again
        else:
            unit.failed, unit.queued = None, hook
        self.restart_agent(name)
