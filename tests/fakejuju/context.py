"""One run of a hook as Juju sees it: its environment, its view of the data, what it writes."""
import copy
import uuid
from typing import Any, Dict


MODEL_UUID = '00000000-0000-4000-8000-000000000000'


class CommitFailed(Exception):
    """The hook exited 0 and the controller refused or missed what it wrote (JS 6)."""


class Context:
    def __init__(self, model, unit, hook):
        self.model = model
        self.unit = model.unit(unit)
        self.hook = hook
        self.id = '{}-{}-{}'.format(unit, hook.name, uuid.uuid4().hex)
        self.unit_writes = {}    # relation id -> {key: value}, '' deletes
        self.app_writes = {}
        self.secret_writes = []  # callables that change the model
        self.secrets = copy.deepcopy(model.secrets)  # with this hook's own pending changes
        self.refusals = []       # callables that tell of a model why the commit fails, or nothing
        self.status = None       # as first read in this hook
        self.log = []
        self.action = {'results': {}, 'status': 'completed', 'message': '', 'log': []}
        self._views = {}
        self._deposed = False
        if hook.kind in ('joined', 'changed') and hook.remote_unit:
            # The agent reads the bag of the unit that the hook is about afresh (JS 12, 2).
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
            'JUJU_PRINCIPAL_UNIT': '', 'CLOUD_API_VERSION': '',
            'JUJU_CHARM_HTTP_PROXY': '', 'JUJU_CHARM_HTTPS_PROXY': '',
            'JUJU_CHARM_FTP_PROXY': '', 'JUJU_CHARM_NO_PROXY': '',
            'PATH': path, 'APT_LISTCHANGES_FRONTEND': 'none', 'DEBIAN_FRONTEND': 'noninteractive',
            'LANG': 'C.UTF-8', 'TERM': 'dumb',
        }
        if model.major < 4:
            env.update({'JUJU_SLA': 'unsupported', 'JUJU_METER_STATUS': 'AMBER',
                        'JUJU_METER_INFO': 'not set'})
        if state_db:
            env['UNIT_STATE_DB'] = state_db
        if hook.relation:
            env.update({'JUJU_RELATION': hook.relation.split(':')[0],
                        'JUJU_RELATION_ID': hook.relation,
                        'JUJU_REMOTE_UNIT': hook.remote_unit,  # set and empty where none is
                        'JUJU_REMOTE_APP': model.app})
        if hook.departing:
            env['JUJU_DEPARTING_UNIT'] = hook.departing
        if hook.kind == 'exec':  # no hook's, and not dispatched
            del env['JUJU_HOOK_NAME'], env['JUJU_DISPATCH_PATH']
        if hook.kind == 'action':
            env.update({'JUJU_ACTION_NAME': hook.name, 'JUJU_ACTION_UUID': '1',
                        'JUJU_ACTION_TAG': 'action-1'})
        return env

    # Reading: what a hook has read stays so until it ends, but for its own writes (JS 4.1).

    def is_leader(self):
        """May become false within a hook, never true again (JS 4.6)."""
        self._deposed = self._deposed or self.model.leader != self.unit.name
        return not self._deposed

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
        if (relation, owner) not in self._views:
            model = self.model.relations[relation]
            bag = model.app if owner == self.model.app else model.units[owner]
            view = dict(bag.settings)
            if self.model.stale_caches and owner in self.members(relation):
                # Members' bags stay cached across hooks (JS 12, 2 and 3).
                view = dict(self.unit.cache.setdefault((relation, owner), view))
            self._views[relation, owner] = view
        return self._views[relation, owner]

    # Writing: buffered, sent when the hook has succeeded (JS 6).

    def write(self, relation, app, settings):
        owner = self.model.app if app else self.unit.name
        writes = (self.app_writes if app else self.unit_writes).setdefault(relation, {})
        writes.update(settings)
        view = self.bag(relation, owner)
        for key, value in settings.items():
            if value:
                view[key] = value
            else:
                view.pop(key, None)

    def commit(self):
        """One transaction; what changed, {bag's owner: {key: (old, new)}}."""
        model, name = self.model, self.unit.name
        if (self.app_writes or self.secret_writes) and model.leader != name:
            raise CommitFailed('cannot write for the application: {} does not lead'.format(name))
        gone = [id_ for id_ in list(self.unit_writes) + list(self.app_writes)
                if id_ not in model.relations]
        if gone:
            raise CommitFailed('relation {} not found'.format(gone[0]))
        for refusal in self.refusals:
            if refusal(model):
                raise CommitFailed(refusal(model))
        # Nothing above has changed anything, nothing below can fail.
        changes: Dict[str, Dict[str, Any]] = {}
        for writes, app in ((self.unit_writes, False), (self.app_writes, True)):
            for id_, settings in writes.items():
                relation = model.relations[id_]
                bag = relation.app if app else relation.units[name]
                changed = bag.merge(settings, model.content_versions)
                if changed:
                    changes.setdefault(model.app if app else name, {}).update(changed)
        for write in self.secret_writes:
            write(model)
        return changes
