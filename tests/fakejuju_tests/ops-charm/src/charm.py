"""Uses a peer relation, the leadership and a secret, as charms on ops do."""
import json

import ops

LABEL = 'shared'


class Witness(ops.CharmBase):
    def __init__(self, framework):
        super().__init__(framework)
        framework.observe(self.on.peers_relation_created, self.created)
        framework.observe(self.on.peers_relation_departed, self.departed)
        framework.observe(self.on.leader_elected, self.elected)
        framework.observe(self.on.look_action, self.look)
        framework.observe(self.on.write_action, self.write)
        framework.observe(self.on.be_refused_action, self.be_refused)

    @property
    def relation(self):
        return self.model.get_relation('peers')

    def created(self, event):
        self.relation.data[self.unit]['name'] = self.unit.name

    def departed(self, event):
        self.relation.data[self.unit]['saw'] = '{} depart, {} leaves'.format(
            event.unit.name, event.departing_unit.name)

    def elected(self, event):
        try:
            self.model.get_secret(label=LABEL)
        except ops.SecretNotFoundError:
            secret = self.app.add_secret({'key': 'first'}, label=LABEL)
            self.relation.data[self.app]['secret'] = secret.id
        self.unit.status = ops.ActiveStatus('elected')

    def look(self, event):
        data = self.relation.data
        event.set_results({'seen': json.dumps({
            'leader': self.unit.is_leader(),
            'units': {unit.name: data[unit].get('name') for unit in self.relation.units},
            'own': data[self.unit].get('name'),
            'saw': data[self.unit].get('saw'),
            'app': data[self.app].get('value') if self.unit.is_leader() else None,
            'secret': self.model.get_secret(label=LABEL).peek_content()['key'],
        })})

    def write(self, event):
        value = event.params['value']
        if event.params['bag'] == 'app':
            self.relation.data[self.app]['value'] = value
            self.model.get_secret(id=self.relation.data[self.app]['secret']).set_content(
                {'key': value})
        else:
            self.relation.data[self.unit]['name'] = value

    def be_refused(self, event):
        backend, id_ = self.model._backend, self.relation.id
        calls = {
            'no such relation': lambda: backend.relation_get(99, self.unit.name, False),
            'list of no such relation': lambda: backend.relation_list(99),
            'another unit': lambda: backend.relation_get(id_, 'witness/9', False),
            'application bag': lambda: backend.relation_set(id_, {'x': 'y'}, True),
            'secret': lambda: self.model.get_secret(label='other'),
            'secret of that id': lambda: self.model.get_secret(id='secret:' + '0' * 20),
            'new secret': lambda: self.app.add_secret({'key': 'x'}, label='mine'),
        }
        results = {}
        for name, call in calls.items():
            try:
                call()
                results[name] = 'done'
            except Exception as error:
                results[name] = type(error).__name__
        event.set_results({'errors': json.dumps(results)})


ops.main(Witness)
