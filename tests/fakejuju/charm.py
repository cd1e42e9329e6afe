"""What Juju asks of a charm file at deploy and refresh, in its words (JSRC F16).

From 4.0 on domain/deployment/charm of juju/juju, before that juju/charm 8 and 12. It looks only at
what a charm with peer relations has.
"""
import json
import re
import shutil
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Any, Dict

import yaml

from .model import NotModelled
from .tools import APPLICATION, WORD, failure

SERIES = {'bionic': '18.04', 'focal': '20.04', 'jammy': '22.04', 'noble': '24.04'}
TYPES: Dict[str, Any] = {'string': str, 'secret': str, 'int': int, 'float': (int, float),
                         'boolean': bool}
# Of JSON schema, in actions.yaml.
SCHEMA_TYPES: Dict[str, Any] = {'string': str, 'integer': int, 'number': (int, float),
                                'boolean': bool, 'array': list, 'object': dict}
# What a charm may have in metadata.yaml and the double does not model.
NOT_MODELLED = 'storage', 'resources', 'subordinate', 'containers', 'devices'


def load(text, of):
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        raise NotModelled("Go's words for what is wrong in {}".format(of))


def expect(value, kind, path):
    """schema.String() and its like; a type's Go name stands beside a wrong value."""
    types = {'string': str, 'list': list, 'map': dict, 'bool': bool}
    if isinstance(value, types[kind]):
        return value
    if value is None:
        raise failure('{}: expected {}, got nothing'.format(path, kind))
    name = {str: 'string', int: 'int', float: 'float64', bool: 'bool'}.get(type(value))
    if not name:
        raise NotModelled("Go's words for {} where it expects a {}".format(path, kind))
    raise failure('{}: expected {}, got {}({})'.format(path, kind, name, json.dumps(value)))


def metadata_of(text):
    raw = expect(load(text, 'metadata.yaml'), 'map', 'metadata')
    newer = {'containers', 'assumes', 'charm-user'} & set(raw)
    older = {'series', 'deployment', 'min-juju-version'} & set(raw)
    if newer and older:
        first, second = (newer, older) if min(newer) < min(older) else (older, newer)
        raise failure('ambiguous metadata: keys {} cannot be used with {}'.format(*(
            ', '.join('"{}"'.format(key) for key in sorted(keys)) for keys in (second, first))))
    for key in 'name', 'summary', 'description':
        expect(raw.get(key), 'string', 'metadata: ' + key)
    for key, kind, default in (('assumes', 'list', []), ('series', 'list', []),
                               ('provides', 'map', {}), ('requires', 'map', {}),
                               ('subordinate', 'bool', False), ('min-juju-version', 'string', '')):
        expect(raw.get(key, default), kind, 'metadata: ' + key)
    for name, relation in expect(raw.get('peers', {}), 'map', 'metadata: peers').items():
        path = 'metadata: peers.' + name
        if isinstance(relation, str):
            relation = raw['peers'][name] = {'interface': relation}
        else:
            expect(expect(relation, 'map', path).get('interface'), 'string', path + '.interface')
        if not relation['interface'] or relation.get('scope', 'global') != 'global' \
                or not isinstance(relation.get('limit') or 0, int) \
                or not isinstance(relation.get('optional', False), bool):
            raise NotModelled(path + ' as it is there')
    return raw


def manifest_of(text, major):
    """[name@channel] of the bases; None if there is no manifest."""
    if text is None:
        return None
    prefix, bases = 'parsing "manifest.yaml" file: manifest: ', []
    listed = expect((load(text, 'manifest.yaml') or {}).get('bases'), 'list', prefix + 'coerce')
    for number, base in enumerate(listed):
        for key, value in expect(base, 'map', '{}coerce: [{}]'.format(prefix, number)).items():
            if key in ('name', 'channel'):
                expect(value, 'string', '{}coerce: [{}].{}'.format(prefix, number, key))
        if not base.get('name'):
            raise failure(prefix + 'base without name not valid')
        if major < 4 and base['name'] not in ('ubuntu', 'centos', 'windows', 'osx', 'opensuse'):
            raise failure('{}os "{}" not valid'.format(prefix, base['name']))
        if not base.get('channel'):
            raise failure(prefix + 'channel not valid')
        if not re.match('[0-9]+([.][0-9]+)?(/(stable|candidate|beta|edge))?\\Z', base['channel']):
            raise NotModelled('a base with the channel ' + base['channel'])
        bases.append('{}@{}'.format(base['name'], base['channel'].split('/')[0]))
    return bases


def check_config(text, major):
    found = load(text, 'config.yaml') or {}
    if 'options' not in found.keys():
        raise failure('invalid config: empty configuration')
    for name, option in (found['options'] or {}).items():
        kind, default = option.get('type') or 'string', option.get('default')
        kind = 'int' if kind == 'integer' and major >= 4 else kind
        if kind not in TYPES:
            raise failure('invalid config: option "{}" has unknown type "{}"'.format(name, kind))
        if default is not None and (not isinstance(default, TYPES[kind])
                                    or isinstance(default, bool) and kind != 'boolean'):
            raise failure('invalid config default: option "{}" expected {}, got {}'.format(
                name, kind, json.dumps(default, ensure_ascii=False)))


def check_actions(text, charm):
    for name, action in (load(text, 'actions.yaml') or {}).items():
        if not WORD.match(name):
            raise failure('bad action name {}'.format(name))
        if reserved(charm, name):
            raise failure('cannot use action name {}: {}'.format(
                name, '"juju" is a reserved name' if name == 'juju'
                else 'the "juju-" prefix is reserved'))
        for key, kind in (('description', str), ('title', str), ('execution-group', str),
                          ('required', list), ('parallel', bool), ('params', dict)):
            if not isinstance(action.get(key, kind()), kind):
                raise TypeError(key)
        for param in action.get('params', {}).values():
            if param.get('type', 'string') not in SCHEMA_TYPES:
                raise TypeError('type')


def reserved(charm, name):
    return not charm.startswith('juju-') and (name == 'juju' or name.startswith('juju-'))


def check_relations(metadata, major):
    charm = metadata['name']
    for name, relation in metadata.get('peers', {}).items():
        interface, misuse = relation['interface'], 'charm relation reserved name misuse; peer '
        if reserved(charm, name):
            raise failure(misuse + 'relation "{}" has reserved name'.format(name) if major >= 4 else
                          'charm "{}" using a reserved relation name: "{}"'.format(charm, name))
        if reserved(charm, interface):
            raise failure(
                misuse + 'relation "{}" has reserved interface name "{}"'.format(name, interface)
                if major >= 4 else 'charm "{}" relation "{}" using a reserved interface: "{}"'
                .format(charm, name, interface))
        if name in metadata.get('provides', ()) or name in metadata.get('requires', ()):
            raise failure('charm "{}" using a duplicated relation name: "{}"'.format(charm, name))


def check(read, version):
    """(metadata, bases) of the charm; `read` gives a file's bytes, or None if there is none."""
    try:
        return checked(read, version, int(version.split('.')[0]))
    except (AttributeError, KeyError, TypeError, ValueError):
        raise NotModelled("Go's words for another shape of the charm's files")


def checked(read, version, major):
    if read('metadata.yaml') is None:
        raise failure('archive file "metadata.yaml" not found')
    metadata = metadata_of(read('metadata.yaml'))
    bases, series = manifest_of(read('manifest.yaml'), major), metadata.get('series', [])
    if read('config.yaml') is not None:
        check_config(read('config.yaml'), major)
    if read('actions.yaml') is not None:
        check_actions(read('actions.yaml'), metadata['name'])
    if major >= 4 and not bases:
        raise failure('charm metadata without bases in manifest not valid')
    if bases and (major >= 4 or not series) and 'min-juju-version' in metadata:
        raise failure('min-juju-version in metadata v2 not valid')
    if 'assumes' in metadata and not bases:
        raise failure('assumes in metadata v1 not valid')
    check_relations(metadata, major)
    if not APPLICATION.match(metadata['name']):
        raise NotModelled("Go's words for the name " + metadata['name'])
    for key in NOT_MODELLED:
        if metadata.get(key):
            raise NotModelled('{}, in metadata.yaml'.format(key))
    if not metadata.get('peers'):
        raise NotModelled('a charm without a peer relation')
    needed(metadata, version)
    return metadata, bases or ['ubuntu@' + SERIES[name] for name in series if name in SERIES]


def needed(metadata, version):
    """Raises unless this Juju is the version that the charm needs; other assumptions are not
    modelled."""
    def numbers(text):
        return [int(part) for part in text.split('-')[0].split('.')]
    least = metadata.get('min-juju-version', '0')
    if numbers(version) < numbers(least):
        raise failure("charm's min version ({}) is higher than this juju model's version ({})"
                      .format(least, version))
    for assumed in metadata.get('assumes', ()):
        found = re.match(r'juju (>=|<) ([0-9.]+)\Z', str(assumed))
        if not found or (numbers(version) >= numbers(found.group(2))) is not (
                found.group(1) == '>='):
            raise NotModelled('assumes: {}'.format(assumed))


def choose(bases, asked, version):
    """The base of an application: as asked, else Juju's newest LTS, else the charm's first."""
    if not bases:
        raise failure('series not specified and charm does not define any' if version < '3'
                      else 'charm does not define any bases, not valid')
    newest = 'ubuntu@24.04' if version >= '4' else 'ubuntu@22.04'
    if asked and asked.split('/')[0] not in bases:
        raise failure('base "{}" is not supported, supported bases are: {}'.format(
            asked.split('/')[0], ', '.join(bases)))
    return asked.split('/')[0] if asked else newest if newest in bases else bases[0]


def unpack(path, target, version):
    """Check a charm file and unpack it: (metadata, bases). Modes matter, hooks are executable."""
    try:
        with zipfile.ZipFile(str(path)) as archive:
            names = archive.namelist()
            found = check(lambda name: archive.read(name) if name in names else None, version)
            for member in archive.infolist():
                file = Path(archive.extract(member, str(target)))
                mode = stat.S_IMODE(member.external_attr >> 16)
                if mode and not file.is_dir():
                    file.chmod(mode)
    except (OSError, RuntimeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        shutil.rmtree(str(target), ignore_errors=True)
        raise zipfile.BadZipFile(str(error))
    return found
