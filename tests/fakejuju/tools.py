"""Juju's hook tools: arguments in, output and exit code out (JS 4, JSRC D and E).

Each tool is a function of a context and its arguments. Exit codes are juju/cmd's: 2 if the
arguments are wrong, 1 if the tool cannot do what they ask; the text goes to stderr after `ERROR `.
"""
import base64
import functools
import json
import os
import re
import uuid
from collections import namedtuple
from decimal import Decimal
from pathlib import Path
from typing import Any, Dict, List

import yaml

from .context import MODEL_UUID, Denied
from .model import NotModelled, Secret

Result = namedtuple('Result', 'code stdout stderr')

APPLICATION = re.compile(r'[a-z][a-z0-9]*(-[a-z0-9]*[a-z][a-z0-9]*)*\Z')
# A name of a model, of an action, of a part of its results.
WORD = re.compile('[a-z0-9]([a-z0-9-]*[a-z0-9])?\\Z')
UNIT_NAME = re.compile(APPLICATION.pattern[:-2] + r'/(0|[1-9][0-9]*)\Z')


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


class Dumper(yaml.SafeDumper):
    """Writes what Go's yaml.v2 writes (JSRC D1)."""

    def ignore_aliases(self, data):
        return True


# What PyYAML reads as a string and yaml.v2 does not; and the other way round.
NOT_PLAIN = re.compile(r'([yYnN]|[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?)\Z')
PLAIN = re.compile('[0-9]{4}-[0-9]+-[0-9]+ .*Z\\Z')


def yaml_text(dumper, text):
    tag, read = 'tag:yaml.org,2002:str', dumper.resolve(yaml.ScalarNode, text, (True, False))
    if PLAIN.match(text):
        return dumper.represent_scalar(read, text)
    quoted = read != tag or NOT_PLAIN.match(text)
    return dumper.represent_scalar(tag, text, '|' if '\n' in text else '"' if quoted else None)


def yaml_float(dumper, value):
    """With an exponent from 1e+06 on, and without a point if there is nothing after it."""
    number = Decimal(repr(value)).normalize()
    text = format(number, 'f')
    if not -4 <= number.adjusted() < 6:
        text = re.sub('e(.)([0-9])$', 'e\\g<1>0\\2', format(number, 'e'))
    return dumper.represent_scalar(dumper.resolve(yaml.ScalarNode, text, (True, False)), text)


Dumper.add_representer(str, yaml_text)
Dumper.add_representer(float, yaml_float)


def in_order(value):
    """Keys as yaml.v2 sorts them: digits as numbers."""
    if isinstance(value, dict):
        return {key: in_order(value[key]) for key in sorted(value, key=lambda key: [
            int(part) if part.isdigit() else part for part in re.split('([0-9]+)', key)])}
    return [in_order(each) for each in value] if isinstance(value, list) else value


def go_yaml(value):
    text = yaml.dump(value, Dumper=Dumper, default_flow_style=False, allow_unicode=True,
                     sort_keys=False)
    return (text[:-5] if text.endswith('\n...\n') else text.rstrip('\n')) + '\n'


def go_json(value, struct=False):
    """Compact, and with <, > and & escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(',', ':'), sort_keys=not struct)
    for sign in '<>&':
        text = text.replace(sign, '\\u{:04x}'.format(ord(sign)))
    return text + '\n'


def show(value, options, style='smart', struct=False):
    """The output in the format asked for, else in `style`; a struct keeps its order."""
    if 'o' in options or 'output' in options:
        raise NotModelled('--output')
    given = options.get('format', style)
    if given == 'json':
        return go_json(value, struct)
    if given not in ('smart', 'yaml') or style == 'yaml' and given == 'smart':
        raise usage('invalid value "{}" for option --format: unknown format "{}"'.format(
            given, given))
    if value is None:
        return ''
    if given == 'smart':  # JSRC D2
        if isinstance(value, (str, bool)):
            return '{}\n'.format(value) if value != '' else ''
        if isinstance(value, list):
            return ''.join('{}\n'.format(item) for item in value)
    return go_yaml(value if struct else in_order(value))


def none_left(positional):
    if positional:  # JSRC D11
        raise usage('unrecognized args: [{}]'.format(' '.join(map(json.dumps, positional))))


def pairs(arguments):
    """{key: value} of key=value."""
    settings: Dict[str, str] = {}
    for argument in arguments:
        key, given, value = argument.partition('=')
        if not key or not given:
            raise usage('expected "key=value", got "{}"'.format(argument))
        if key in settings:
            raise usage('key "{}" specified more than once'.format(key))
        settings[key] = value
    return settings


def deprecated(name, options):
    """What a tool that prints no output says on stderr if it is given --format."""
    return ('', '--format flag deprecated for command "{}"'.format(name)) \
        if options.get('format') else ''


# Relations.

def relation_of(context, options):
    """-r, else the hook's own relation."""
    if 'r' not in options and 'relation' not in options:
        if context.hook.relation is None:
            raise usage('no relation id specified')
        return context.hook.relation
    flag, given = ('-r', options['r']) if 'r' in options else ('--relation', options['relation'])
    number = given.rpartition(':')[2]  # the name before it is ignored (JSRC D12)
    problem = 'invalid relation id'
    if re.match(r'[-+]?[0-9]+\Z', number):
        problem = 'relation not found'
        for id_ in context.relations():
            if int(id_.rpartition(':')[2]) == int(number):
                return id_
    raise usage('invalid value "{}" for option {}: {}'.format(given, flag, problem))


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
            if APPLICATION.match(target):
                raise usage('expected unit name, got application name "{}"'.format(target))
            raise usage('invalid unit name "{}"'.format(target))
    elif hook.relation is None or hook.kind == 'broken':  # JSRC F1
        raise usage('no unit or application specified')
    else:  # a bare relation-get reads the application's bag where no unit is remote (JS 4.2)
        target = model.app if app or not hook.remote_unit else hook.remote_unit
    if target != model.app and target not in model.relations[relation].units:  # JSRC D16
        if model.major >= 4:
            raise failure('relation unit not found')
        if target.split('/')[0] == model.app:
            raise failure('cannot read settings for unit "{0}" in relation "{1}:{2}": unit "{0}": '
                          'settings not found'.format(target, model.app, relation.split(':')[0]))
        raise failure('permission denied')
    bag = context.bag(relation, target)
    return show(bag if key in ('-', '') else bag.get(key), options)


def relation_set(context, arguments, stdin):
    if '--help' in arguments:
        return ('Usage: relation-set [options] key=value [key=value ...]\n\nOptions:\n'
                '--app  (= false)\n--file (= "")\n-r, --relation  (= "")\n')
    options, positional = parse(arguments, ('r', 'relation', 'file'), ('app',))
    relation, settings = relation_of(context, options), pairs(positional)
    if 'file' in options:
        settings = dict(settings_in(options['file'], stdin), **settings)
    app = options.get('app', False)
    if app and not context.is_leader():
        raise failure('cannot write relation settings')
    if settings:
        context.write(relation, app, settings)
    return deprecated('relation-set', options)


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
    try:
        node = next(yaml.compose_all(text, Loader=yaml.SafeLoader), None)
    except yaml.YAMLError as error:
        raise NotModelled("Go's words for a YAML error: {}".format(error))
    null = 'tag:yaml.org,2002:null'
    if node is None or node.tag == null:
        return {}
    wrong, settings = [], {}
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.value == '<<':
                raise NotModelled('YAML with another key than a text')
            if isinstance(value, yaml.ScalarNode):
                settings[key.value] = '' if value.tag == null else value.value
            else:
                wrong.append((value, 'string'))
    else:
        wrong.append((node, 'map[string]string'))
    if wrong:
        raise failure('yaml: unmarshal errors:' + ''.join('\n  line {}: cannot unmarshal {}'.format(
            each.start_mark.line + 1, unmarshal(each, kind)) for each, kind in wrong))
    return settings


def unmarshal(node, kind):
    text = ''
    if isinstance(node, yaml.ScalarNode):
        text = ' `{}`'.format(node.value if len(node.value) <= 10 else node.value[:7] + '...')
    return '{}{} into {}'.format(node.tag.replace('tag:yaml.org,2002:', '!!'), text, kind)


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
    return show(settings if key in ('-', '') else settings.get(key), options)


def leader_set(context, arguments, stdin):
    """Written at once, and not rolled back with the hook (JS 4.6)."""
    _, positional = parse(arguments)
    if not context.is_leader():
        raise failure('cannot write leadership settings: cannot write settings: not the leader')
    before = dict(context.model.leader_settings)
    for key, value in pairs(positional).items():
        if value:
            context.model.leader_settings[key] = value
        else:
            context.model.leader_settings.pop(key, None)
    if before != context.model.leader_settings:
        context.model.leader_settings_version += 1
    return ''


# Secrets of the application (from Juju 3 on; JSRC E).

# The id is 12 bytes in base32; what follows # is not looked at.
SECRET_URI = re.compile(r'(?:secret:)?(?://[0-9a-f-]{36}/)?([0-9a-v]{19}[0g])(?:#.*)?\Z')
DIGITS = bytes.maketrans(b'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567', b'0123456789abcdefghijklmnopqrstuv')
UPSERT = 'label', 'description', 'owner', 'expire', 'rotate', 'file'


def secret_uri(arguments):
    if not arguments:
        raise usage('missing secret URI')
    found = SECRET_URI.match(arguments[0])
    if not found:
        raise usage('secret URI "{}" not valid'.format(arguments[0]))
    return found.group(1)


def secret_content(options, arguments, stdin):
    if options.get('owner', 'application') not in ('application', 'unit'):
        raise usage('secret owner "{}" not valid'.format(options['owner']))
    content = {}
    for argument in arguments:
        key, _, value = argument.partition('=')
        if not key or not value.strip('='):
            raise usage('key value "{}" not valid'.format(argument))
        if key.endswith('#file'):
            key = key[:-5]
            try:
                value = Path(value).read_text(encoding='utf-8')
            except OSError as error:
                raise usage('reading content for secret key "{}": open {}: {}'.format(
                    key, value, str(error.strerror).lower()))
        content[key] = value
    try:
        content.update(settings_in(options['file'], stdin) if 'file' in options else {})
    except ToolError as error:
        raise usage(str(error))
    for key in content:
        if not re.match('[a-z](-?[a-z0-9]){2,}(#base64)?\\Z', key):
            raise usage('key "{}" not valid'.format(key))
        if key.endswith('#base64'):
            raise NotModelled('secret values in base64')
    if options.get('owner') == 'unit' or 'expire' in options or 'rotate' in options:
        raise NotModelled('secrets of a unit, and those that expire or rotate')
    return content


def secret_add(context, arguments, stdin):
    options, positional = parse(arguments, UPSERT)
    if not positional and 'file' not in options:
        raise usage('missing secret value or filename')
    content = secret_content(options, positional, stdin)
    if not content:
        raise failure('empty secret value not valid')
    if not context.is_leader():
        raise failure('this unit is not the leader')
    label = options.get('label', '')
    clash = 'secret with label "{}" already exists'.format(label)

    def clashes(secrets):
        return bool(label) and any(each.label == label for each in secrets.values())
    # With secrets that other units have made it clashes only at the commit (E4).
    if clashes({id_: context.secrets[id_] for id_ in set(context.secrets) - set(
            context.model.secrets)}):
        raise failure(clash)
    id_ = base64.b32encode(uuid.uuid4().bytes[:12])[:20].translate(DIGITS).decode()
    context.secrets[id_] = secret = Secret(label, content)
    context.refusals.append(lambda model: clashes(model.secrets) and clash)
    context.secret_writes.append(lambda model: model.secrets.setdefault(id_, secret))
    return 'secret:{}{}\n'.format(
        '//{}/'.format(MODEL_UUID) if context.model.major >= 4 else '', id_)


def secret_get(context, arguments, stdin):
    options, positional = parse(arguments, ('label',), ('peek', 'refresh'))
    id_, label = secret_uri(positional[:1]) if positional else '', options.get('label')
    if not id_ and not label:
        raise usage('require either a secret URI or label')
    if options.get('peek') and options.get('refresh'):
        raise usage('specify one of --peek or --refresh but not both')
    none_left(positional[2:])
    if not id_:
        id_ = next((each for each, secret in context.secrets.items() if secret.label == label), '')
        if not id_:
            raise failure('{}consumer label "{}" not found'.format(
                'secret URI for ' if context.model.major >= 4 else '', label))
    elif id_ not in context.secrets:
        raise failure('secret "{}" not found'.format(id_))
    secret, reader = context.secrets[id_], context.unit.name
    newest = len(secret.revisions) - 1
    known = context.model.secrets.get(id_)
    if known and not positional and context.model.major < 4:  # issue 18713, until late in 2025
        newest = len(known.revisions) - 1
    # Without --peek and --refresh a pending revision is not seen, unless it is the first.
    revision = secret.pinned.get(reader, len(known.revisions) - 1 if known else newest)
    if options.get('peek') or options.get('refresh'):
        revision = newest
    if not options.get('peek'):  # the first read pins the newest revision, --refresh a newer one
        secret.pinned[reader] = revision
        if known and revision < len(known.revisions):
            known.pinned[reader] = revision
        elif known:  # one still pending: once it is there
            context.secret_writes.append(lambda model: known.pinned.update({reader: revision}))
    content = secret.revisions[revision]
    if content is None:
        raise NotModelled('a read of a revision of a secret that was removed')
    if not positional[1:]:
        return show(content, options, 'yaml')  # JSRC E5
    if '#' in positional[1]:
        raise NotModelled('secret values in base64')
    if positional[1] not in content:
        raise failure('secret key value "{}" not found'.format(positional[1]))
    return show(content[positional[1]], options, 'yaml')


def owned(context):
    """The secrets that this unit may manage: the leader's are the application's (E1)."""
    return context.secrets if context.is_leader() else {}


def manage(context, id_, what, write):
    """Write at the commit. Only then a unit that does not lead is refused (JSRC E2)."""
    if id_ in owned(context):
        context.secret_writes.append(write)
    elif id_ in context.model.secrets:
        text = '{} secrets: "{}" is not allowed to manage this secret'
        context.refusals.append(lambda model: text.format(what, context.unit.name))


def secret_set(context, arguments, stdin):
    options, positional = parse(arguments, UPSERT)
    id_ = secret_uri(positional)
    content = secret_content(options, positional[1:], stdin)
    if 'label' in options or 'description' in options:
        raise NotModelled('another label or description of a secret')
    secret = owned(context).get(id_)
    if not content or secret and secret.revisions[-1] == content:  # no new revision (E3)
        return ''
    if secret:
        secret.revisions.append(content)
    if id_ in context.model.secrets:
        manage(context, id_, 'updating', lambda model: model.secrets[id_].revisions.append(content))
    return ''


def secret_remove(context, arguments, stdin):
    options, positional = parse(arguments, ('revision',))
    id_ = secret_uri(positional)
    none_left(positional[1:])
    revision = options.get('revision', '0')
    if not re.match('[0-9]{1,9}\\Z', revision):
        raise NotModelled('secret-remove --revision {}'.format(revision))
    if int(revision):
        secret = owned(context).get(id_)
        if secret and int(revision) >= len(secret.revisions):
            raise NotModelled('the newest revision of a secret removed, or one to come')
        manage(context, id_, 'removing', lambda model: model.secrets[id_].revisions.__setitem__(
            int(revision) - 1, None))
        return ''
    # JSRC E6
    manage(context, id_, 'removing', lambda model: model.secrets.pop(id_, None))
    owned(context).pop(id_, None)
    return ''


def secret_info_get(context, arguments, stdin):
    options, positional = parse(arguments, ('label',))
    wanted, label = secret_uri(positional[:1]) if positional else '', options.get('label')
    if not wanted and not label:
        raise usage('require either a secret URI or label')
    if wanted and label:
        raise usage('specify either a secret URI or label but not both')
    none_left(positional[1:])
    for id_, secret in owned(context).items():
        if wanted == id_ or label and secret.label == label:
            known = context.model.secrets.get(id_)
            return show({id_: {'revision': len(known.revisions) if known else 1,
                               'label': secret.label, 'owner': 'application',
                               'rotation': 'never'}}, options, 'yaml', struct=True)
    raise failure('secret "{}" not found'.format(wanted or label))


def secret_ids(context, arguments, stdin):
    options, positional = parse(arguments)
    none_left(positional)
    ids = sorted(owned(context))
    return show(ids or (None if options.get('format') == 'json' else []), options)


# Actions.

def in_action(context):
    if not context.is_action():
        raise failure('not running an action')
    return context.action


def show_numbers(value, options):
    """Numbers come from the controller in JSON, and so as Go's float64, which has no int."""
    def number(text):
        return int(float(text)) if float(text).is_integer() else float(text)
    how: Dict[str, Any] = {'parse_float': number} if options.get('format') == 'json' \
        else {'parse_int': float}
    return show(json.loads(json.dumps(value), **how), options)


def action_get(context, arguments, stdin):
    options, positional = parse(arguments)
    none_left(positional[1:])
    in_action(context)
    value: Any = dict(context.hook.params)
    if context.hook.kind == 'exec':
        value = {'command': context.hook.name, 'timeout': 300 * 10 ** 9}
    for key in positional[0].split('.') if positional else ():  # JSRC D10
        value = value.get(key) if isinstance(value, dict) else None
    return show_numbers(value, options)


def action_set(context, arguments, stdin):
    _, positional = parse(arguments)
    paths = []
    for argument in positional:
        path, given, value = argument.partition('=')
        if not given:
            raise usage('argument "{}" must be of the form key...=value'.format(argument))
        for key in path.split('.'):
            if not WORD.match(key):  # JSRC D9
                raise usage('key "{}" must start and end with lowercase alphanumeric, and contain '
                            'only lowercase alphanumeric and hyphens'.format(key))
            if key in ('stdout', 'stdout-encoding', 'stderr', 'stderr-encoding'):
                raise usage('cannot set reserved action key "{}"'.format(key))
        paths.append((path.split('.'), value))
    for path, value in paths:
        place(in_action(context)['results'], path, value)
    return ''


def place(target, path, value):
    """Put a value into nested maps; a value in its way that is no map is overwritten."""
    for key in path[:-1]:
        if not isinstance(target.get(key), dict):
            target[key] = {}
        target = target[key]
    target[path[-1]] = value


def action_log(context, arguments, stdin):
    _, positional = parse(arguments)
    if not positional:
        raise usage('no message specified')
    in_action(context)['log'].append(' '.join(positional))
    return ''


def action_fail(context, arguments, stdin):
    _, positional = parse(arguments)
    none_left(positional[1:])
    action = in_action(context)
    action['status'] = 'failed'
    action['message'] = positional[0] if positional else \
        'action failed without reason given, check action for errors'
    return ''


# The rest.

LEVELS = 'UNSPECIFIED', 'TRACE', 'DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL'


def juju_log(context, arguments, stdin):
    options, positional = parse(arguments, ('l', 'log-level'), ('debug',))
    if not positional:
        raise usage('no message specified')
    given = options.get('l', options.get('log-level', 'INFO')) or 'INFO'
    level = {'WARN': 'WARNING'}.get(given.upper(), given.upper())
    if options.get('debug'):
        level = 'DEBUG'
    elif level not in LEVELS:  # JSRC D7
        context.log.append(('WARNING', 'Specified log level of "{}" is not valid'.format(given)))
        level = 'INFO'
    prefix = context.hook.relation + ': ' if context.hook.relation else ''  # JSRC D8
    context.log.append((level, prefix + ' '.join(positional)))
    return deprecated('juju-log', options)


def status_set(context, arguments, stdin):
    """Not buffered (JS 6)."""
    options, positional = parse(arguments, (), ('application',))
    if not positional:
        raise usage('invalid args, require <status> [message]')
    if positional[0] not in ('maintenance', 'blocked', 'waiting', 'active'):
        raise usage('invalid status "{}", expected one of [maintenance blocked waiting active]'
                    .format(positional[0]))
    none_left(positional[2:])
    if options.get('application'):
        raise NotModelled('status-set --application')
    context.unit.status = (positional[0], positional[1] if positional[1:] else '')
    context.unit.status_set = True
    return ''


def status_get(context, arguments, stdin):
    options, positional = parse(arguments, (), ('include-data', 'application'))
    none_left(positional)
    if options.get('application'):
        raise NotModelled('status-get --application')
    # What was read first stays the same for the hook, even after a status-set of its own (D4).
    context.status = context.status or context.unit.status
    status, message = context.status
    if options.get('include-data'):
        return show({'status': status, 'message': message, 'status-data': {}}, options)
    smart = options.get('format', 'smart') == 'smart'
    return show(status if smart else {'status': status}, options)


def config_get(context, arguments, stdin):
    options, positional = parse(arguments, (), ('all', 'a'))
    config, every = context.model.config, options.get('all') or options.get('a')
    if positional and positional[0]:
        if every:
            raise usage('cannot use argument --all together with key "{}"'.format(positional[0]))
        none_left(positional[1:])
        return show_numbers(config.get(positional[0]), options)
    none_left(positional[1:])
    return show_numbers({key: value for key, value in config.items()
                         if every or value is not None}, options)  # JSRC D3


def unit_get(context, arguments, stdin):
    options, positional = parse(arguments)
    if not positional:
        raise usage('no setting specified')
    if positional[0] not in ('private-address', 'public-address'):
        raise usage('unknown setting "{}"'.format(positional[0]))
    none_left(positional[1:])
    return show(context.model.address(context.unit.name), options)


def network_get(context, arguments, stdin):
    flags = 'bind-address', 'ingress-address', 'egress-subnets'
    options, positional = parse(arguments, ('r', 'relation'), flags + ('primary-address',))
    if 'r' in options or 'relation' in options:
        relation_of(context, options)
    if not positional:
        raise usage('no arguments specified')
    if not positional[0]:
        raise usage('no binding name specified')
    none_left(positional[1:])
    if positional[0] not in {relation.endpoint for relation in context.model.relations.values()}:
        raise failure('no network config found for binding "{}"'.format(positional[0]))
    address = context.model.address(context.unit.name)
    known = dict(zip(flags, (address, address, [address + '/32'])))
    asked = {flag: known[flag] for flag in flags if options.get(flag)}
    if options.get('primary-address'):  # JSRC D5
        if asked:
            raise failure('--primary-address must be the only flag specified')
        return show(address, options)
    if asked:  # JSRC D6
        return show(asked if len(asked) > 1 else list(asked.values())[0], options)
    # Seen in 4.1; before, it is empty unless the address was given as a name.
    each = {'hostname': address if context.model.major >= 4 else '', 'value': address,
            'cidr': '127.0.0.0/8'}
    interface = {'mac-address': '', 'interface-name': 'lo', 'addresses': [each]}
    if options.get('format') != 'json':  # for those that parse an older form
        each['address'] = address
        interface.update({'macaddress': '', 'interfacename': 'lo'})
    return show({'bind-addresses': [interface], 'egress-subnets': [address + '/32'],
                 'ingress-addresses': [address]}, options, struct=True)


def goal_state(context, arguments, stdin):
    """All units that Juju has a row of. Peer relations are not in it, and a subordinate sees no
    units."""
    options, positional = parse(arguments)
    none_left(positional)
    units: Dict[str, Any] = {}
    for name, unit in sorted(context.model.units.items()):
        if not unit.gone and not context.model.subordinate:
            status = 'dying' if unit.life == 'dying' else unit.status[0]
            units[name] = {'status': status, 'since': SINCE}
    return show({'units': units, 'relations': {}}, options, 'yaml', struct=True)


def application_version_set(context, arguments, stdin):
    _, positional = parse(arguments)
    if not positional:
        raise usage('no version specified')
    none_left(positional[1:])
    return ''


# The double has no clock.
SINCE = '2026-01-01 00:00:00Z'

TOOLS = {function.__name__.replace('_', '-'): function for function in (
    relation_get, relation_set, relation_list, relation_ids, is_leader, leader_get, leader_set,
    secret_add, secret_get, secret_set, secret_ids, secret_info_get, secret_remove, action_get,
    action_set, action_log, action_fail, juju_log, status_set, status_get, config_get, unit_get,
    network_get, goal_state, application_version_set)}

# Juju has these too; whoever calls them gets an exception in the test.
NOT_MODELLED = '''
    add-metric close-port credential-get k8s-raw-get k8s-raw-set k8s-spec-get k8s-spec-set
    juju-reboot open-port opened-ports payload-register payload-status-set payload-unregister
    pod-spec-get pod-spec-set relation-model-get resource-get secret-grant secret-revoke
    state-delete state-get state-set storage-add storage-get storage-list
'''.split()

# Gone in 4.0 (JSRC D13).
BEFORE_4 = re.compile('leader-|add-metric|k8s-|pod-|payload-')


@functools.lru_cache(maxsize=None)
def tools_of(version):
    """Names of the tools that this Juju puts on the PATH."""
    major, minor = (int(re.sub('-.*', '', part)) for part in version.split('.')[:2])
    return sorted(name for name in list(TOOLS) + list(NOT_MODELLED)
                  if not (major >= 4 and BEFORE_4.match(name))
                  and not (major < 3 and name.startswith('secret-'))
                  and not ((major, minor) < (3, 6) and name == 'relation-model-get'))


def call(context, argv, stdin=''):
    """Run one tool; a path in its arguments is absolute."""
    name, arguments = os.path.basename(argv[0]), argv[1:]
    if name in NOT_MODELLED:
        raise NotModelled(name)
    if '--help' in arguments and name != 'relation-set':
        raise NotModelled('{} --help'.format(name))
    try:
        output = TOOLS[name](context, arguments, stdin)
        return Result(0, output, '') if isinstance(output, str) else Result(0, *output)
    except ToolError as error:
        return Result(error.code, '', 'ERROR {}\n'.format(error))
    except Denied as error:
        return Result(1, '', 'ERROR {}\n'.format(error))
