"""One run of a hook as Juju sees it: its environment, its view of the data, what it writes."""
import copy
import uuid
from typing import Any, Dict, Set, Tuple

MODEL_UUID = '00000000-0000-4000-8000-000000000000'


class CommitFailed(Exception):
    """The hook exited with 0, but the controller refused what it wrote, or was not there (JS 6)."""


class Denied(Exception):
    """The controller does not let this unit read that."""


# Of the keys and values of one bag, in Juju 4 (JSRC D17).
MOST_BYTES = 16 * 1024 * 1024


class Context:
    def __init__(self, model, unit, hook):
        self.model = model
        self.unit = model.unit(unit)
        self.hook = hook
        name = hook.name if hook.kind != 'exec' else \
            'run-commands' if model.major < 3 else 'juju-exec'
        self.id = '{}-{}-{}'.format(unit, name, uuid.uuid4().hex)
        # {(relation id, whether it is the application's): the bag as this hook first read it, with
        # the hook's own writes; the value '' deletes the key}.
        self.own_bags: Dict[Tuple[str, bool], Dict[str, str]] = {}
        self.app_written: Set[str] = set()  # relation ids
        self.secret_writes = []  # callables that change the model
        self.secrets = copy.deepcopy(model.secrets)  # with this hook's own pending changes
        self.refusals = []       # callables that tell of a model why the commit fails, or nothing
        self.status = None       # as first read in this hook
        self.log = []
        self.action = {'results': {}, 'status': 'completed', 'message': '', 'log': []}
        self._views = {}
        self._deposed = False
        if hook.kind in ('joined', 'changed') and hook.remote_unit:
            # The agent reads anew the bag of the unit that the hook is about (JS 12, 2).
            self.unit.cache.pop((hook.relation, hook.remote_unit), None)

    # Environment: built, not inherited (JS 3).

    def environment(self, charm, socket, path, state_db=None):
        hook, model = self.hook, self.model
        folder = 'actions' if hook.kind == 'action' else 'hooks'
        env = {
            'JUJU_UNIT_NAME': self.unit.name, 'CHARM_DIR': charm, 'JUJU_CHARM_DIR': charm,
            'JUJU_CONTEXT_ID': self.id,
            'JUJU_HOOK_NAME': '' if hook.kind == 'action' else hook.name,
            'JUJU_DISPATCH_PATH': '{}/{}'.format(folder, hook.name),
            'JUJU_AGENT_SOCKET_ADDRESS': socket, 'JUJU_AGENT_SOCKET_NETWORK': 'unix',
            'JUJU_MODEL_NAME': 'fake', 'JUJU_MODEL_UUID': MODEL_UUID,
            'JUJU_VERSION': model.version, 'JUJU_API_ADDRESSES': '127.0.0.1:17070',
            'JUJU_MACHINE_ID': self.unit.name.split('/')[1], 'JUJU_AVAILABILITY_ZONE': '',
            'JUJU_PRINCIPAL_UNIT': '', 'CLOUD_API_VERSION': '', 'JUJU_CHARM_HTTP_PROXY': '',
            'JUJU_CHARM_HTTPS_PROXY': '', 'JUJU_CHARM_FTP_PROXY': '', 'JUJU_CHARM_NO_PROXY': '',
            'PATH': path, 'APT_LISTCHANGES_FRONTEND': 'none', 'DEBIAN_FRONTEND': 'noninteractive',
            'LANG': 'C.UTF-8', 'TERM': 'dumb',
        }
        if model.major < 4:
            env.update({'JUJU_SLA': 'unsupported', 'JUJU_METER_STATUS': 'AMBER',
                        'JUJU_METER_INFO': 'not set'})
        else:  # JSRC F13, D18
            env.update({'JUJU_CHARM_NO_PROXY': '127.0.0.1,localhost,::1', 'TERM': 'tmux-256color',
                        'JUJU_CHARM_TRACE_CONFIG_HTTP': '', 'JUJU_CHARM_TRACE_CONFIG_GRPC': '',
                        'JUJU_CHARM_TRACE_CONFIG_CA_CERT': ''})
        if state_db:
            env['UNIT_STATE_DB'] = state_db
        if hook.relation:
            env.update({'JUJU_RELATION': hook.relation.split(':')[0],
                        'JUJU_RELATION_ID': hook.relation,
                        'JUJU_REMOTE_UNIT': hook.remote_unit,  # set and empty where none is
                        'JUJU_REMOTE_APP': '' if hook.kind == 'broken' else model.app})  # A1
        if hook.kind in ('secret-changed', 'secret-remove'):
            env.update({'JUJU_SECRET_ID': 'secret:' + hook.params[0],
                        'JUJU_SECRET_LABEL': hook.params[1]})
        if hook.kind == 'secret-remove':
            env['JUJU_SECRET_REVISION'] = str(hook.params[2])
        if hook.departing:
            env['JUJU_DEPARTING_UNIT'] = hook.departing
        if hook.kind == 'exec':  # no hook's, and not dispatched
            del env['JUJU_DISPATCH_PATH']
            env['JUJU_HOOK_NAME'] = ''
            if model.major < 3:
                del env['JUJU_HOOK_NAME']
        if self.is_action():
            env.update({'JUJU_ACTION_NAME': hook.name if hook.kind == 'action' else 'juju-exec',
                        'JUJU_ACTION_UUID': '1', 'JUJU_ACTION_TAG': 'action-1'})
        return env

    def is_action(self):
        """`juju exec` is the action juju-exec from 3.0 on (JSRC C2)."""
        return self.hook.kind == 'action' or self.hook.kind == 'exec' and self.model.major >= 3

    # Reading: what a hook has read stays the same until it ends, except for its own writes (JS
    # 4.1).

    def is_leader(self):
        """May become false within a hook, never true again (JS 4.6, JSRC A10)."""
        self._deposed = self._deposed or self.unit.name not in (self.model.leader,
                                                                self.model.believes)
        return not self._deposed

    def relations(self):
        """What the agent tracks: in install none (JS 1.3), nor any whose broken has run (F1)."""
        return {id_: relation for id_, relation in self.model.relations.items()
                if id_ in self.unit.members and id_ not in self.unit.left}

    def hidden(self, relation):
        """Not in relation-ids of 3.x: a dying, memberless one after a restart (JSRC B9)."""
        return self.model.major == 3 and relation.dying and not self.members(relation.id) \
            and relation.id in self.unit.reloaded

    def members(self, relation):
        """Units whose joined has run here; the joining one is in, the departing one out."""
        members = set(self.unit.members.get(relation, ()))
        if self.hook.relation == relation and self.hook.kind == 'joined':
            members.add(self.hook.remote_unit)
        if self.hook.relation == relation and self.hook.kind == 'departed':
            members.discard(self.hook.remote_unit)
        return sorted(members)

    def bag(self, relation, owner):
        """The bag of a unit, or of the application, as this hook sees it."""
        app = owner == self.model.app
        # A leader has its own copy of the application's bag; a unit deposed meanwhile does not
        # (A10).
        if owner == self.unit.name or app and self.is_leader():
            return {key: value for key, value in self.own_bag(relation, app).items() if value}
        if (relation, owner) not in self._views:
            model = self.model.relations[relation]
            bag = model.app if app else model.units[owner]
            view = dict(bag.settings)
            if self.model.stale_caches and owner in self.members(relation):
                # Members' bags stay cached across hooks (JS 12, 2 and 3).
                view = dict(self.unit.cache.setdefault((relation, owner), view))
            self._views[relation, owner] = view
        return self._views[relation, owner]

    def own_bag(self, relation, app):
        """Loaded once; in 4.x the application's bag only with the lease (JSRC A11)."""
        if (relation, app) not in self.own_bags:
            if app and self.model.major >= 4 and self.model.leader != self.unit.name:
                raise Denied('permission denied')
            model = self.model.relations[relation]
            bag = model.app if app else model.units[self.unit.name]
            self.own_bags[relation, app] = dict(bag.settings)
        return self.own_bags[relation, app]

    # Writing: buffered, sent when the hook has succeeded (JS 6).

    def write(self, relation, app, settings):
        self.own_bag(relation, app).update(settings)
        if app:
            self.app_written.add(relation)

    def commit(self):
        """One transaction; what changed, {bag's owner: {key: (old, new)}}."""
        model, name = self.model, self.unit.name
        if (self.app_written or self.secret_writes) and model.leader != name:  # JSRC F4
            raise CommitFailed('checking lease token: lease not held' if model.major >= 4 else
                               'cannot write for the application: {} does not lead'.format(name))
        # Whole bags go, not the keys written: of the application if it was written, of the unit
        # if it was read (JSRC A6).
        sent = {(id_, app): dict(bag) for (id_, app), bag in self.own_bags.items()
                if not app or id_ in self.app_written}
        if self.hook.kind == 'config-changed':  # JS 4.7, JSRC B7, D15
            for id_ in self.relations():
                sent.setdefault((id_, False), {})
        for (id_, app), settings in sent.items():
            if id_ not in model.relations:
                raise CommitFailed('relation {} not found'.format(id_))
            if not app and model.major >= 4:  # these two are Juju's own (JS 4.7, D14)
                settings.pop('ingress-address', None)
                settings.pop('egress-subnets', None)
            if not app and self.hook.kind == 'config-changed':
                settings.update(model.network_settings(self.unit))
            if model.major >= 4 and sum(len(key.encode()) + len(value.encode())
                                        for key, value in settings.items()) > MOST_BYTES:
                raise CommitFailed('relation settings of more than {} bytes'.format(MOST_BYTES))
        for refusal in self.refusals:
            if refusal(model):
                raise CommitFailed(refusal(model))
        # Nothing above has changed anything, nothing below can fail.
        changes: Dict[str, Dict[str, Any]] = {}
        for (id_, app), settings in sent.items():
            relation = model.relations[id_]
            bag = relation.app if app else relation.units[name]
            changed = bag.merge(settings, model.content_versions)
            if changed:
                owner = model.app if app else name
                changes['{} in {}'.format(owner, id_) if owner in changes else owner] = changed
        for write in self.secret_writes:
            write(model)
        return changes
