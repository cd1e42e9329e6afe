"""Juju's hook tools: arguments in, output and exit code out (JS 4).

Each tool is a function of a context and its arguments. Exit codes are juju/cmd's: 2 where the
arguments are wrong, 1 where the tool cannot do it; the text goes to stderr after `ERROR `.
"""
import functools
import json
import os
import re
import uuid
from collections import namedtuple
from typing import Any, Dict, List

import yaml

from .context import Denied
from .model import NotModelled, Secret

Result = namedtuple('Result', 'code stdout stderr')

UNIT_NAME = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*/(0|[1-9][0-9]*)\Z')


class ToolError(Exception):
    def __init__(self, code, text):
        super().__init__(text)
        self.code = code


def usage(text):
    return ToolError(2, text)


def failure(text):
    return ToolError(1, text)


def parse(arguments, values=(), switches=(), repeated=()):
    """(options, positional); flags may stand before and after arguments (JS 4.1)."""
    options: Dict[str, Any] = {}
    positional: List[str] = []
    arguments = list(arguments)
    while arguments:
        argument = arguments.pop(0)
        if argument == '--':
            return options, positional + arguments
        if not argument.startswith('-') or argument == '-':
            positional.append(argument)
            continue
        flag, given, value = argument.partition('=')
        name = flag.lstrip('-')
        if name in switches:
            if given and value.lower() not in ('true', 'false'):
                raise usage('invalid boolean value "{}" for {}'.format(value, flag))
            options[name] = not given or value.lower() == 'true'
        elif name in values + repeated or name in ('format', 'o', 'output'):
            if not given and not arguments:
                raise usage('option needs an argument: ' + flag)
            value = value if given else arguments.pop(0)
            options[name] = options.get(name, []) + [value] if name in repeated else value
        else:
            raise usage('option provided but not defined: ' + flag)
    return options, positional


def show(value, options):
    """The output in the format asked for: smart unless told."""
    if 'o' in options or 'output' in options:
        raise NotModelled('--output')
    style = options.get('format', 'smart')
    if style == 'json':
        return json.dumps(value) + '\n'
    if style not in ('smart', 'yaml'):
        raise usage('invalid value "{}" for option --format: unknown format "{}"'.format(
            style, style))
    if style == 'smart':
        if value is None:
            return ''
        if isinstance(value, (str, bool)):
            return '{}\n'.format(value)
        if isinstance(value, list):
            return ''.join('{}\n'.format(item) for item in value)
    return yaml.safe_dump(value, default_flow_style=False)


def none_left(positional):
    if positional:
        raise usage('unrecognized args: {}'.format(json.dumps(positional)))


# Relations.

def relation_of(context, options):
    """-r, else the hook's own relation."""
    given = options.get('r', options.get('relation'))
    if given is None:
        if context.hook.relation is None:
            raise usage('no relation id specified')
        return context.hook.relation
    endpoint, _, number = given.rpartition(':')
    if not number.isdigit():
        raise usage('invalid value "{}" for option -r: invalid relation id'.format(given))
    for id_, relation in context.relations().items():
        # Juju's code ignores the endpoint's name, the newest perhaps not; the double is strict.
        if id_.endswith(':' + number) and endpoint in ('', relation.endpoint):
            return id_
    raise usage('invalid value "{}" for option -r: relation not found'.format(given))


def relation_get(context, arguments, stdin):
    options, positional = parse(arguments, ('r', 'relation'), ('app',))
    relation = relation_of(context, options)
    app = options.get('app', False)
    key = positional.pop(0) if positional else '-'
    hook, model = context.hook, context.model
    if positional:
        target = positional.pop(0)
        none_left(positional)
        if app:
            target = target.split('/')[0]
        elif not UNIT_NAME.match(target):
            if target == model.app:
                raise usage('expected unit name, got application name "{}"'.format(target))
            raise usage('invalid unit name "{}"'.format(target))
    elif hook.relation is None or hook.kind == 'broken' and not app:  # JSRC F1
        raise usage('no unit or application specified')
    else:  # a bare relation-get reads the application's bag where no unit is remote (JS 4.2)
        target = model.app if app or not hook.remote_unit else hook.remote_unit
    if target.split('/')[0] != model.app:
        raise failure('permission denied')
    if target != model.app and target not in model.relations[relation].units:
        raise failure('cannot read settings for unit "{}" in relation "{}": settings not found'
                      .format(target, relation))
    bag = context.bag(relation, target)
    return show(bag if key == '-' else bag.get(key), options)


def relation_set(context, arguments, stdin):
    if '--help' in arguments:
        return ('Usage: relation-set [options] key=value [key=value ...]\n\nOptions:\n'
                '--app  (= false)\n--file (= "")\n-r, --relation  (= "")\n')
    options, positional = parse(arguments, ('r', 'relation', 'file'), ('app',))
    relation = relation_of(context, options)
    settings = {}
    for argument in positional:
        key, given, value = argument.partition('=')
        if not key or not given:
            raise usage('expected "key=value", got "{}"'.format(argument))
        if key in settings:
            raise usage('key "{}" specified more than once'.format(key))
        settings[key] = value
    if 'file' in options:
        settings = dict(settings_in(options['file'], stdin), **settings)
    app = options.get('app', False)
    if app and not context.is_leader():
        raise failure('cannot write relation settings')
    if settings:
        context.write(relation, app, settings)
    return ''


def settings_in(path, stdin):
    if path == '-':
        return parse_settings(stdin)
    try:
        with open(path, encoding='utf-8') as file:
            return parse_settings(file.read())
    except OSError as error:
        raise failure('open {}: {}'.format(path, str(error.strerror).lower()))


@functools.lru_cache(maxsize=1000)
def parse_settings(text):
    """YAML, a mapping to strings; null gives '' and so deletes (JS 4.3)."""
    # BaseLoader leaves scalars as they are written, but null has no string of its own.
    node = next(yaml.compose_all(text, Loader=yaml.SafeLoader), None)
    if node is None:
        return {}
    if not isinstance(node, yaml.MappingNode):
        raise failure('yaml: unmarshal errors:\n  cannot unmarshal into map[string]string')
    settings = {}
    for key, value in node.value:
        if not isinstance(value, yaml.ScalarNode):
            raise failure('yaml: unmarshal errors:\n  cannot unmarshal !!map into string')
        settings[key.value] = '' if value.tag == 'tag:yaml.org,2002:null' else value.value
    return settings


def relation_list(context, arguments, stdin):
    options, positional = parse(arguments, ('r', 'relation'), ('app',))
    none_left(positional)
    relation = relation_of(context, options)
    if options.get('app'):
        return show(context.model.app, options)
    return show(context.members(relation), options)


def relation_ids(context, arguments, stdin):
    options, positional = parse(arguments)
    if positional:
        endpoint = positional.pop(0)
        none_left(positional)
    elif context.hook.relation:
        endpoint = context.hook.relation.split(':')[0]
    else:
        raise usage('no endpoint name specified')
    return show(sorted(id_ for id_, relation in context.relations().items()
                       if relation.endpoint == endpoint and not context.hidden(relation)), options)


# Leadership.

def is_leader(context, arguments, stdin):
    options, positional = parse(arguments)
    none_left(positional)
    return show(context.is_leader(), options)


def leader_get(context, arguments, stdin):
    options, positional = parse(arguments)
    key = positional.pop(0) if positional else '-'
    none_left(positional)
    settings = context.model.leader_settings
    return show(settings if key == '-' else settings.get(key), options)


def leader_set(context, arguments, stdin):
    """Written at once, and not rolled back with the hook (JS 4.6)."""
    _, positional = parse(arguments)
    if not context.is_leader():
        raise failure('cannot write leadership settings: cannot write settings: not the leader')
    before = dict(context.model.leader_settings)
    for argument in positional:
        key, given, value = argument.partition('=')
        if not key or not given:
            raise usage('expected "key=value", got "{}"'.format(argument))
        if value:
            context.model.leader_settings[key] = value
        else:
            context.model.leader_settings.pop(key, None)
    if before != context.model.leader_settings:
        context.model.leader_settings_version += 1
    return ''


# Secrets of the application (Juju 3).

def secret_content(arguments):
    content = {}
    for argument in arguments:
        key, given, value = argument.partition('=')
        if not key or not given:
            raise usage('expected "key=value", got "{}"'.format(argument))
        key, _, form = key.partition('#')
        if form == 'file':
            try:
                with open(value, encoding='utf-8') as file:
                    value = file.read()
            except OSError as error:
                raise failure('open {}: {}'.format(value, str(error.strerror).lower()))
        elif form:
            raise NotModelled('secret value in the form #' + form)
        content[key] = value
    if not content:
        raise usage('missing secret value')
    return content


def only_the_leader(context):
    if not context.is_leader():
        raise failure('this unit is not the leader')


def secret_add(context, arguments, stdin):
    options, positional = parse(arguments, ('label', 'description', 'owner'))
    if options.get('owner', 'application') != 'application':
        raise NotModelled('secrets owned by a unit')
    secret = Secret(options.get('label', ''), secret_content(positional))
    only_the_leader(context)
    if secret.label and any(each.label == secret.label for each in context.secrets.values()):
        raise failure('secret with label "{}" already exists'.format(secret.label))
    id_ = 'secret:' + uuid.uuid4().hex[:20]
    context.secrets[id_] = secret
    context.secret_writes.append(lambda model: model.secrets.setdefault(id_, secret))
    return id_ + '\n'


def find_secret(context, id_, label):
    if not id_ and not label:
        raise failure('require either a secret URI or label')
    for key, secret in context.secrets.items():
        if id_ in (key, key.split(':')[1]) or not id_ and secret.label == label:
            return key
    if id_:
        raise failure('secret "{}" not found'.format(id_.split(':')[-1]))
    raise failure('consumer label "{}" not found'.format(label))


def secret_get(context, arguments, stdin):
    options, positional = parse(arguments, ('label',), ('peek', 'refresh'))
    if options.get('peek') and options.get('refresh'):
        raise usage('specify one of --peek or --refresh but not both')
    id_ = ''
    if positional and (not options.get('label') or positional[0].startswith('secret:')):
        id_ = positional.pop(0)
    key = positional.pop(0) if positional else None
    none_left(positional)
    found = find_secret(context, id_, options.get('label'))
    secret, reader = context.secrets[found], context.unit.name
    newest = len(secret.revisions) - 1
    revision = secret.pinned.get(reader, newest)
    if options.get('peek'):
        revision = newest
    else:  # the first read pins the newest revision, --refresh a newer one
        revision = newest if options.get('refresh') else revision
        secret.pinned[reader] = revision
        if found in context.model.secrets:
            known = context.model.secrets[found]
            known.pinned[reader] = min(revision, len(known.revisions) - 1)  # not one still pending
    content = secret.revisions[revision]
    if key is None:
        if options.get('format', 'yaml') == 'yaml':
            return yaml.safe_dump(content, default_flow_style=False)
        return show(content, options)
    if key not in content:
        raise failure('key "{}" not found in secret'.format(key))
    return show(content[key], options)


def secret_set(context, arguments, stdin):
    _, positional = parse(arguments)
    if not positional:
        raise usage('missing secret URI')
    id_ = find_secret(context, positional[0], None)
    content = secret_content(positional[1:])
    only_the_leader(context)
    context.secrets[id_].revisions.append(content)

    def write(model):
        if context.secrets[id_] is not model.secrets[id_]:
            model.secrets[id_].revisions.append(content)
    context.secret_writes.append(write)
    return ''


def secret_ids(context, arguments, stdin):
    options, positional = parse(arguments)
    none_left(positional)
    return show(sorted(context.secrets), options)


# Actions.

def in_action(context):
    if not context.is_action():
        raise failure('not running an action')
    return context.action


def action_get(context, arguments, stdin):
    options, positional = parse(arguments)
    in_action(context)
    params = dict(context.hook.params)
    return show(params.get(positional[0]) if positional else params, options)


def action_set(context, arguments, stdin):
    _, positional = parse(arguments)
    for argument in positional:
        key, given, value = argument.partition('=')
        if not given:
            raise usage('argument "{}" must be of the form key...=value'.format(argument))
        in_action(context)['results'][key] = value
    return ''


def action_log(context, arguments, stdin):
    in_action(context)['log'].append(' '.join(arguments))
    return ''


def action_fail(context, arguments, stdin):
    action = in_action(context)
    action['status'] = 'failed'
    action['message'] = ' '.join(arguments) or 'action failed without reason given, check action ' \
                                               'for errors'
    return ''


# The rest.

LEVELS = 'TRACE', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'


def juju_log(context, arguments, stdin):
    options, positional = parse(arguments, ('l', 'log-level'), ('debug',))
    if not positional:
        raise usage('no message specified')
    level = options.get('l', options.get('log-level', 'INFO')).upper()
    if level not in LEVELS:
        raise NotModelled('juju-log of level ' + level)
    context.log.append(('DEBUG' if options.get('debug') else level, ' '.join(positional)))
    return ''


def status_set(context, arguments, stdin):
    """Not buffered (JS 6)."""
    options, positional = parse(arguments, (), ('application',))
    if options.get('application'):
        raise NotModelled('status-set --application')
    if not positional:
        raise usage('invalid args, require <status> [message]')
    if positional[0] not in ('maintenance', 'blocked', 'waiting', 'active'):
        raise usage('invalid status "{}", expected one of [maintenance blocked waiting active]'
                    .format(positional[0]))
    context.unit.status = (positional[0], positional[1] if positional[1:] else '')
    return ''


def status_get(context, arguments, stdin):
    options, positional = parse(arguments, (), ('include-data', 'application'))
    none_left(positional)
    if options.get('application'):
        raise NotModelled('status-get --application')
    status, message = context.unit.status
    if options.get('include-data'):
        return show({'status': status, 'message': message, 'status-data': {}}, options)
    return show(status, options)


def config_get(context, arguments, stdin):
    options, positional = parse(arguments, (), ('all', 'a'))
    config = context.model.config
    return show(config.get(positional[0]) if positional else config, options)


def unit_get(context, arguments, stdin):
    options, positional = parse(arguments)
    if positional not in (['private-address'], ['public-address']):
        raise usage('unknown setting "{}"'.format(' '.join(positional)))
    return show(context.model.address(context.unit.name), options)


def network_get(context, arguments, stdin):
    options, positional = parse(arguments, ('r', 'relation'),
                                ('bind-address', 'ingress-address', 'egress-subnets'))
    if len(positional) != 1:
        raise usage('no arguments specified')
    if positional[0] not in {relation.endpoint for relation in context.model.relations.values()}:
        raise failure('no network config found for binding "{}"'.format(positional[0]))
    address = context.model.address(context.unit.name)
    single = [flag for flag in ('bind-address', 'ingress-address', 'egress-subnets')
              if options.get(flag)]
    if single == ['egress-subnets']:
        return show(address + '/32', options)
    if single:
        return show(address, options)
    return show({'bind-addresses': [{
        'mac-address': '', 'interface-name': 'lo',
        'addresses': [{'hostname': '', 'value': address, 'cidr': '127.0.0.0/8'}]}],
        'egress-subnets': [address + '/32'], 'ingress-addresses': [address]}, options)


def goal_state(context, arguments, stdin):
    """All units that Juju has a row of; a peer relation is not in it, a subordinate sees nobody."""
    options, positional = parse(arguments)
    none_left(positional)
    units = {}
    for name, unit in sorted(context.model.units.items()):
        if not unit.gone and not context.model.subordinate:
            status = 'dying' if unit.life == 'dying' else unit.status[0]
            units[name] = {'status': status, 'since': SINCE}
    return show({'units': units, 'relations': {}}, options)


def application_version_set(context, arguments, stdin):
    return ''


# The double has no clock.
SINCE = '2026-01-01 00:00:00Z'

TOOLS = {function.__name__.replace('_', '-'): function for function in (
    relation_get, relation_set, relation_list, relation_ids, is_leader, leader_get, leader_set,
    secret_add, secret_get, secret_set, secret_ids, action_get, action_set, action_log, action_fail,
    juju_log, status_set, status_get, config_get, unit_get, network_get, goal_state,
    application_version_set)}

# Juju has these too; whoever calls them gets an exception in the test.
NOT_MODELLED = ('add-metric', 'close-port', 'credential-get', 'k8s-raw-get',
                'k8s-raw-set', 'k8s-spec-get', 'k8s-spec-set', 'juju-reboot', 'open-port',
                'opened-ports', 'payload-register', 'payload-status-set', 'payload-unregister',
                'pod-spec-get', 'pod-spec-set', 'relation-model-get', 'resource-get',
                'secret-grant', 'secret-info-get', 'secret-remove', 'secret-revoke', 'state-delete',
                'state-get', 'state-set', 'storage-add', 'storage-get', 'storage-list')


@functools.lru_cache(maxsize=None)
def tools_of(version):
    """Names of the tools that this Juju puts on the PATH."""
    major = int(version.split('.')[0])
    return sorted(name for name in list(TOOLS) + list(NOT_MODELLED)
                  if not (name.startswith('leader-') and major >= 4)  # removed in 4.0 (JS 1.5)
                  and not (name.startswith('secret-') and major < 3))


def call(context, argv, stdin=''):
    """Run one tool; a path in its arguments is absolute."""
    name, arguments = os.path.basename(argv[0]), argv[1:]
    if name in NOT_MODELLED:
        raise NotModelled(name)
    if '--help' in arguments and name != 'relation-set':
        raise NotModelled('{} --help'.format(name))
    try:
        return Result(0, TOOLS[name](context, arguments, stdin), '')
    except ToolError as error:
        return Result(error.code, '', 'ERROR {}\n'.format(error))
    except Denied as error:
        return Result(1, '', 'ERROR {}\n'.format(error))
