"""tls-example/1 in ops.testing: one hook after another, with the bags that the last one left."""
import hashlib
from pathlib import Path

import pytest
import yaml
from ops import testing

from authority import LABEL
from charm import TlsExample

PROJECT = yaml.safe_load((Path(__file__).parents[2] / 'charmcraft.yaml').read_text())
BLOCK = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'  # and no X.509 in it
DIGEST = 64 * 'a'


def id_of(number, csr):
    return f'{number}-{hashlib.sha256(csr.encode()).hexdigest()}'


class Unit:
    """Its bag, the application's, those of its peers, and what Juju knows beside them."""

    def __init__(self):
        self.context = testing.Context(
            TlsExample, meta={key: PROJECT[key] for key in ('name', 'peers')},
            config=PROJECT['config'], actions=PROJECT['actions'], unit_id=1)
        self.leads = False
        self.own, self.app, self.peers = {'ingress-address': '10.0.0.1'}, {}, {0: {}}
        self.secrets, self.options = [], {}

    def run(self, event='update_status', relation=True, **about):
        relation = testing.PeerRelation(
            'certificates', local_unit_data=self.own, local_app_data=self.app,
            peers_data=self.peers) if relation else None
        event = getattr(self.context.on, event)
        arguments = [relation] if event.__name__.startswith('relation') else []
        if event.__name__ == 'relation_changed':
            about.setdefault('remote_unit', 0)
        out = self.context.run(event(*arguments, **about), testing.State(
            relations=[relation] if relation else [], leader=self.leads, secrets=self.secrets,
            config=self.options))
        self.status, self.secrets = out.unit_status, out.secrets
        if relation:
            relation = out.get_relation(relation.id)
            self.own, self.app = dict(relation.local_unit_data), dict(relation.local_app_data)

    def act(self, name, **params):
        """Run the action; its results."""
        self.run('action', name=name, params=params)
        return self.context.action_results

    def fail(self, name, **params):
        """Run the action, which fails; its message."""
        with pytest.raises(testing.ActionFailed) as caught:
            self.act(name, **params)
        return caught.value.message

    def answer(self, unit=1):
        """(certificate, refusal, id) that stand under that unit's name."""
        return tuple(self.app.get(f'tls-example/{unit}_{key}')
                     for key in ('signed_certificate', 'refusal', 'csr_id'))

    def put(self, id, certificate=None, refusal=None, unit=1):
        """Have that stand there."""
        for key, text in (('signed_certificate', certificate), ('refusal', refusal),
                          ('csr_id', id)):
            self.app.pop(f'tls-example/{unit}_{key}', None)
            if text:
                self.app[f'tls-example/{unit}_{key}'] = text

    @property
    def id(self):
        return id_of(self.own['csr_number'], self.own['csr'])

    @property
    def ca(self):
        """What the secret holds."""
        secret, = [each for each in self.secrets if each.label == LABEL]
        return secret.latest_content

    def keep_ca(self, content):
        """Have the secret hold that."""
        self.secrets = [testing.Secret(content, label=LABEL, owner='app')]
