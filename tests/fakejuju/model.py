"""What Juju knows of one application, as plain data, and which hook each unit runs next.

JS n is topic n of the table in the README.md above, which lists rules, sources and tests.
"""
import zlib
from typing import Any, Dict, List, NamedTuple, Optional, Set, Tuple


class NotModelled(Exception):
    """Juju can do this, the double cannot: the test that asks for it has to fail."""


class Hook(NamedTuple):
    """One hook (or action) of a unit, as chosen from a snapshot of the model."""

    name: str                     # 'install', 'peers-relation-joined', or the action's name
    kind: str                     # the name, the part after '-relation-', or one of TASKS
    relation: Optional[str] = None
    remote_unit: str = ''
    departing: str = ''
    version: int = 0              # of the bag that the hook tells of, when it was chosen
    params: Tuple = ()            # of an action


class Bag:
    """Relation data of one unit or application, with the version that makes others look."""

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
        if changes:
            # A counter in the database of 2.x and 3.x, derived from the content in 4.x (JS 2).
            self.version = (zlib.crc32(repr(sorted(self.settings.items())).encode()) or 1
                            if content_versions else self.version + 1)
        return changes


class Relation:
    def __init__(self, id_):
        self.id = id_
        self.endpoint = id_.split(':')[0]
        self.alive: Set[str] = set()       # units in scope
        self.departing: Set[str] = set()   # units that leave, or have left and are still listed
        self.units: Dict[str, Bag] = {}    # kept after a unit has left (JS 9.2)
        self.app = Bag()


class Secret:
    """A secret owned by the application."""

    def __init__(self, label, content):
        self.label = label
        self.revisions = [content]
        self.pinned: Dict[str, int] = {}   # reader -> revision that it gets


class Unit:
    """One unit and what its agent remembers."""

    def __init__(self, name, charm):
        self.name = name
        self.charm = charm
        self.life = 'alive'                # 'alive', 'dying', 'dead' (also: gone without a word)
        self.installed = False
        self.started = False
        self.due: Set[str] = {'install'}   # hooks that are no relation's
        self.actions: List[Hook] = []
        self.failed: Optional[Hook] = None
        self.led = False                   # its agent has run leader-elected
        self.leader_settings_seen: Optional[int] = None
        self.created: Set[str] = set()     # relation ids
        self.members: Dict[str, Dict[str, int]] = {}
        self.app_seen: Dict[str, int] = {}
        self.changed_pending: Dict[str, str] = {}
        self.cache: Dict[Tuple[str, str], Dict[str, str]] = {}  # bags of members (JS 12, 2)
        self.status: Tuple[str, str] = ('unknown', '')


# What an operator has a unit do: no hook waits for it to succeed.
TASKS = ('action', 'exec')

# JS 1.1, "continue mode"; stop and remove are a dying unit's.
CONTINUE = ('install', 'upgrade-charm', 'config-changed', 'start')


class Model:
    def __init__(self, app, endpoints, version='3.6.8', leader_notified=True, stale_caches=True,
                 departed_sent=True, network_keys=True, content_versions=False):
        self.app = app
        self.version = version
        self.leader_notified = leader_notified    # of its own write to the application bag (JS 8)
        self.stale_caches = stale_caches
        self.departed_sent = departed_sent        # False: juju issue 23326, JS 9.4
        self.network_keys = network_keys
        self.content_versions = content_versions
        self.units: Dict[str, Unit] = {}
        self.relations: Dict[str, Relation] = {}
        self.relation_count = 0
        self.unit_count = 0
        self.leader: Optional[str] = None
        self.leader_settings: Dict[str, str] = {}
        self.leader_settings_version = 0
        self.config: Dict[str, Any] = {}
        self.secrets: Dict[str, Secret] = {}
        self.secret_count = 0
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
        return '127.0.1.{}'.format(int(name.split('/')[1]) + 1)

    # What an operator does.

    def add_relation(self, endpoint):
        id_ = '{}:{}'.format(endpoint, self.relation_count)
        self.relation_count += 1
        self.relations[id_] = Relation(id_)
        for unit in self.units.values():
            if unit.installed and unit.life == 'alive':
                self.enter_scope(unit, self.relations[id_])
        return id_

    def remove_relation(self, id_):
        del self.relations[id_]
        for unit in self.units.values():
            for known in (unit.members, unit.app_seen, unit.changed_pending):
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
        for relation in self.relations.values():  # at once, before the unit runs a hook (JS 9.1)
            self.leave_scope(unit, relation)
        if not unit.installed:
            self.bury(unit)
        else:
            unit.due = {'stop'}

    def kill_unit(self, name):
        """The machine is gone; Juju does not know yet: it stays in scope, and keeps the lease."""
        self.unit(name).life = 'dead'

    def forget_unit(self, name):
        """remove-unit --force: the survivors are told, the unit runs nothing (JS 9.1)."""
        unit = self.unit(name)
        for relation in self.relations.values():
            self.leave_scope(unit, relation)
        self.bury(unit)

    def elect(self, name):
        if self.unit(name).life == 'dead':
            raise ValueError('unit "{}" is dead and cannot lead'.format(name))
        if self.leader != name:
            self.depose()
            self.leader = name

    def depose(self):
        if self.leader:
            unit = self.units[self.leader]
            unit.led = False
            unit.leader_settings_seen = None  # a deposed leader gets leader-settings-changed
            self.leader = None

    def restart_agent(self, name):
        """Empties the caches, and a relation in scope counts as created (JS 1.3, 12, 13)."""
        unit = self.unit(name)
        unit.cache.clear()
        unit.leader_settings_seen = None
        for relation in self.relations.values():
            if name in relation.alive and relation.id not in unit.created:
                self.create(unit, relation.id)

    # Scope.

    def enter_scope(self, unit, relation):
        """Before relation-created runs, so peers may see the unit before it acts (JS 1.3)."""
        relation.alive.add(unit.name)
        relation.departing.discard(unit.name)
        bag = relation.units.setdefault(unit.name, Bag())
        if self.network_keys:  # JS 4.7
            address = self.address(unit.name)
            keys = {'ingress-address': address, 'egress-subnets': address + '/32'}
            if self.major < 4:
                keys['private-address'] = address
            bag.merge(keys, self.content_versions)
        unit.members.setdefault(relation.id, {})

    def leave_scope(self, unit, relation):
        if unit.name in relation.alive:
            relation.alive.remove(unit.name)
            relation.departing.add(unit.name)

    def create(self, unit, id_):
        unit.created.add(id_)
        unit.app_seen[id_] = 0

    def bury(self, unit):
        unit.life = 'dead'
        if self.leader == unit.name:  # revoked with the unit (JS 9.3)
            self.leader = None

    # The next hook.

    def next_hook(self, name):
        """The hook that this unit runs next, or None; the first resolver that has one (JS 1.1)."""
        unit = self.unit(name)
        if unit.life == 'dead':
            return None
        if unit.failed:
            return unit.failed
        if unit.installed and unit.life == 'alive':
            for id_, relation in sorted(self.relations.items()):
                if name in relation.alive and id_ not in unit.created:
                    return self.relation_hook(relation, 'created')
            if self.leader == name and not unit.led:
                return Hook('leader-elected', 'leader-elected')
            if self.leader != name and self.major < 4 \
                    and unit.leader_settings_seen != self.leader_settings_version:
                return Hook('leader-settings-changed', 'leader-settings-changed')
        if unit.actions:
            return unit.actions[0]
        for kind in CONTINUE:
            if kind in unit.due:
                return Hook(kind, kind)
        for id_ in sorted(unit.created):
            hook = id_ in self.relations and self.next_relation_hook(unit, self.relations[id_])
            if hook:
                return hook
        for kind in ('stop', 'remove', 'update-status'):
            if kind in unit.due:
                return Hook(kind, kind)
        return None

    def next_relation_hook(self, unit, relation):
        """JS 2; a peer relation has no relation-broken (JS 9.1)."""
        members = unit.members[relation.id]
        remote = {}
        if unit.life == 'alive':
            listed = relation.alive | (set() if self.departed_sent else relation.departing)
            remote = {name: relation.units[name].version for name in listed - {unit.name}}
        pending = unit.changed_pending.get(relation.id)
        if pending:
            return self.relation_hook(relation, 'changed', pending, version=remote.get(pending, 0))
        for name in sorted(set(members) - set(remote)):
            leaver = name if unit.life == 'alive' else unit.name
            return self.relation_hook(relation, 'departed', name, leaver)
        if unit.life == 'alive' and unit.app_seen[relation.id] != relation.app.version \
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

    # What follows from a hook that is over.

    def commit(self, name, hook):
        """The agent's state moves on: the hook succeeded, or the charm has none of that name."""
        unit = self.unit(name)
        unit.failed = None
        if hook.kind in TASKS:
            unit.actions.pop(0)
        elif hook.relation:
            self.commit_relation_hook(unit, hook)
        elif hook.kind == 'leader-elected':
            unit.led = self.leader == name
        elif hook.kind == 'leader-settings-changed':
            unit.leader_settings_seen = self.leader_settings_version
        else:
            unit.due.discard(hook.kind)
            if hook.kind == 'install':
                unit.installed = True
                unit.due.add('config-changed')
                for relation in self.relations.values():
                    self.enter_scope(unit, relation)
            elif hook.kind == 'upgrade-charm':
                unit.due.add('config-changed')
            elif hook.kind == 'config-changed' and not unit.started:
                unit.due.add('start')
            elif hook.kind == 'start':
                unit.started = True
            elif hook.kind == 'stop':
                unit.due.add('remove')
            elif hook.kind == 'remove':
                self.bury(unit)

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

    def fail(self, name, hook):
        """Only this hook runs from now on, until it succeeds (JS 6); an action just ends."""
        if hook.kind in TASKS:
            self.unit(name).actions.pop(0)
        else:
            self.unit(name).failed = hook
