# Copyright 2026 The interface:tls authors.
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.
"""interface:tls, peer side: every unit asks, the leader answers.

On the wire:

    bag                key                            written by, read by
    each unit's own    csr                            that unit, the leader: the request, PEM
                       csr_id                         LIFE-N: LIFE is random and made once in a
                                                      unit's life, N counts its requests from 1
    the application's  [unit-name]_signed_certificate the leader, that unit: certificate(s), PEM
                       [unit-name]_refusal            the leader, that unit: why there is none
                       [unit-name]_csr_id             the request that either answers; without it
                                                      the certificate is to be reissued

Everything follows from these by comparison:

    a request waits     if the application bag has no id for that unit, one of another LIFE
                        (unit names are used again on Kubernetes) or a smaller N (bags are seen
                        at different times; an answer never lowers N)
                        -> "sign certificate signing request", on the leader
    a unit takes        the certificate that stands beside the id of its own current request
                        -> "signed certificate available"
    a unit must ask     if it has no current request, or a refusal stands beside its id
                        -> "create certificate signing request"

Answers are in the application bag because Juju lets only the leader write it and because it
outlives the leader; nothing in a unit's bag could prove who leads.

Juju discards what a hook wrote if the hook fails, or if it succeeds and the commit then fails;
in the second case charms.reactive has already saved its flags and unitdata. So what this unit
wrote is only believed once a later hook has seen it in the bag: an own request is then published
again, an answer is not (another leader may have answered by then): its request waits again.

The work is done at the start of every hook by `look`, from the data visible then.
"""
import base64
import re
import uuid
from contextlib import contextmanager
from subprocess import CalledProcessError
from typing import Dict, Optional, Sequence, Tuple

from charmhelpers.core import hookenv, unitdata
from charms.reactive import RelationBase, clear_flag, is_flag_set, set_flag

INTERFACE = 'tls'

CREATE = 'create certificate signing request'
SIGN = 'sign certificate signing request'
AVAILABLE = 'signed certificate available'

CSR = 'csr'
CSR_ID = 'csr_id'
ANSWER = '{}_signed_certificate'  # in the application bag, and in unitdata
ANSWER_ID = '{}_csr_id'
REFUSAL = '{}_refusal'

SERVER_CERTIFICATE = 'tls.server.certificate'  # unitdata: the key the original README reads
RECORD = 'interface.tls'  # unitdata: all that this interface remembers, see `_recall`

MAX_BYTES = 64 * 1024  # of one request or answer, what peers send included
MAX_REASON = 1024  # bytes of a refusal
REQUEST_LABELS = ('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
CERTIFICATE_LABELS = ('CERTIFICATE',)


# Decisions: plain values in, plain values out.

def fault_in(text: str, labels: Sequence[str] = ()) -> Optional[str]:
    """What is wrong with `text` as PEM blocks of these labels (RFC 7468), or None.

    Text around the blocks and several blocks are legal. Without labels: as a reason.
    """
    try:
        size, most = len(text.encode('utf-8')), MAX_BYTES if labels else MAX_REASON
    except UnicodeEncodeError:
        return 'it is not encodable as UTF-8'
    if size > most:
        return 'it has {} bytes, more than {}'.format(size, most)
    if not labels:
        return None if text.strip() else 'it is empty'
    if 'PRIVATE KEY-----' in text:
        return 'it holds a private key, and everybody in the model can read relation data'
    begin = '-----BEGIN ({})-----'.format('|'.join(labels))
    blocks = re.findall(begin + r'([^-]*)-----END \1-----', text)
    if not blocks:
        return 'it has no PEM block {}'.format(' or '.join(labels))
    if len(blocks) < len(re.findall(begin, text)):
        return 'it has a PEM block that is cut off'
    for _, body in blocks:
        try:
            if not base64.b64decode(''.join(body.split()), validate=True):
                return 'it has an empty PEM block'
        except ValueError:
            return 'it has a PEM block with undecodable base64'
    return None


def parse_id(csr_id: Optional[str]) -> Optional[Tuple[str, int]]:
    """(LIFE, N) of a well-formed id, else None."""
    match = re.match(r'(?=.{,64}\Z)([0-9a-zA-Z-]+)-([1-9][0-9]*)\Z', csr_id or '')
    return (match.group(1), int(match.group(2))) if match else None


def waits(csr_id: str, answered_id: Optional[str]) -> bool:
    """Whether the request `csr_id` still needs an answer beside the answer to `answered_id`."""
    asked, answered = parse_id(csr_id), parse_id(answered_id)
    return not asked or not answered or answered[0] != asked[0] or answered[1] < asked[1]


class TlsPeers(RelationBase):
    """The peer relation that brings each unit a certificate signed by its leader.

    All that a charm layer has to do::

        @when('create certificate signing request')
        def request(tls):
            tls.set_csr(my_own_csr())

        @when('sign certificate signing request')
        def sign(tls):
            for unit, csr in tls.get_csr_map().items():
                tls.set_cert(unit, certificate_for(unit, csr))

        @when('signed certificate available')
        def install(tls):
            write_to_disk(tls.get_signed_cert())
            clear_flag('signed certificate available')

    The flags are set and cleared here; a layer may clear the last one. Every method works in
    every hook and, through charms.reactive.main(), in every action.
    """

    def __init__(self, relation_name, conversations=None):
        # Not the base class's: without conversations that joins one from whatever hook is
        # running, another relation's included. None is needed here, every call names its unit.
        self._relation_name = relation_name
        self._conversations = []

    # For every unit.

    def set_csr(self, csr: str) -> None:
        """Ask for a certificate: publish `csr` (PEM text) as this unit's request.

        The leader finds it in its `get_csr_map()`; its answer arrives as "signed certificate
        available" in a later hook. Until then the same text changes nothing, another text
        replaces the request; after it any call is a new request, the same text included, and
        the certificate in use stays in unitdata until its successor is there. After a refusal
        (see `get_refusal`) the same text is not published again: a line in the log says so, and
        "create certificate signing request" stays. Before the relation exists the request is
        kept, and published when it does.

        TypeError if `csr` is not a str. ValueError if it is longer than 64 KiB or has no sound
        PEM block CERTIFICATE REQUEST. Then nothing has changed.
        """
        unit = hookenv.local_unit()
        _require('CSR', unit, csr, REQUEST_LABELS)
        with self._record() as me:
            if csr == me['csr'] and not me['taken']:
                if me['refused']:
                    _log('request not published, it was refused: ' + me['refused'])
                return
            self._ask(me, csr)
            if me['relation']:
                self._publish(me)
            # No hook tells a unit of its own write: a leader's own request waits from here on.
            if me['leads'] and self._survey(me):
                me['waiting'][unit] = _own_id(me)
            self._flag(AVAILABLE, False)

    def get_signed_cert(self) -> Optional[str]:
        """This unit's certificate as `set_cert` got it, or None before the first.

        It is the one in use: while a renewal waits, still the old one.
        """
        return unitdata.kv().get(ANSWER.format(hookenv.local_unit()))

    def get_refusal(self) -> Optional[str]:
        """Why the leader will not sign this unit's current request, or None.

        While there is a reason, "create certificate signing request" is set: another CSR is
        asked for. The leader's `reissue` lifts the refusal.
        """
        _start()
        return self._recall()['refused']

    # For the leader.

    def get_csr_map(self) -> Dict[str, str]:
        """{unit name: CSR} of the requests that wait now, the leader's own included.

        Empty on a unit that does not lead. The names are Juju's; the CSRs are what the units
        wrote: sound PEM, but nobody has looked into them, so take no name or address from them.
        `set_cert` then answers these very requests, in this hook or a much later one.
        """
        with self._record() as me:
            self._survey(me, list(me['waiting']))
            me['shown'].update(me['waiting'])
            return {unit: self._request(me, unit)[1] for unit in sorted(me['waiting'])}

    def set_cert(self, unit_name: str, certificate: str) -> None:
        """Answer the request that `get_csr_map()` last handed out for `unit_name` here.

        `certificate` is PEM text, chain and text around the blocks included, and reaches the
        unit as it is. For a request already answered it replaces the answer. Nothing is
        published, and a line in the log says why, if the unit has asked anew or left since, this
        unit no longer leads, or `reissue` was called since: the request then waits for
        `get_csr_map()` here or on the leader.

        TypeError if an argument is not a str. ValueError if `get_csr_map()` never handed out a
        request of `unit_name`, or if `certificate` is longer than 64 KiB or has no sound PEM
        block CERTIFICATE. Then nothing has changed.
        """
        self._decide('certificate', unit_name, certificate, CERTIFICATE_LABELS)

    def refuse_csr(self, unit_name: str, reason: str) -> None:
        """Answer with a no the request that `get_csr_map()` last handed out for `unit_name` here.

        On that unit "create certificate signing request" is set and `get_refusal()` gives the
        `reason`; a certificate in use stays. The request is not handed out again; another CSR of
        the unit is, and `reissue` lifts the refusal. It is not for "not now": a request that
        gets no answer just waits.

        When nothing is published and what raises: as with `set_cert`; a `reason` that is empty
        or longer than 1 kB is a ValueError.
        """
        self._decide('refusal', unit_name, reason)

    def reissue(self, unit_name: Optional[str] = None) -> None:
        """Have the answered request of one unit, or of every unit, wait again; refused ones too.

        After a change of CA, say. The requests are back in `get_csr_map()`, on whatever unit
        leads; each unit keeps its certificate until `set_cert` brings another. Part of this
        hook or action: if that is not committed, nothing was reissued.

        TypeError if `unit_name` is not a str. ValueError for a unit without an answer, and on a
        unit that does not lead. Then nothing has changed.
        """
        if unit_name is not None:
            _require_str('unit name', unit_name)
        with self._record() as me:
            if not self._survey(me):
                raise ValueError('reissue: this unit does not lead')
            # By the bag, not by who is listed: this leader may not have met every unit yet.
            suffix = ANSWER_ID.format('')
            names = {key[:-len(suffix)] for key in self._answers(me) if key.endswith(suffix)}
            if unit_name is not None and unit_name not in names:
                raise ValueError('reissue for {!r:.80}: no answer to that unit'.format(unit_name))
            names = names if unit_name is None else {unit_name}
            if self._write(me, {key.format(name): None
                                for name in names for key in (ANSWER_ID, REFUSAL)}):
                # An answer worked out before, by the old CA perhaps, is not the one asked for.
                me['shown'].update(dict.fromkeys(names & set(me['shown'])))
                if hookenv.local_unit() in names:
                    me['refused'] = None  # no hook tells a leader of its own write
                me['leads'] = False       # look at every request again
                self._survey(me)

    def get_requests(self) -> Dict[str, Dict[str, Optional[str]]]:
        """{unit name: dict} of all members known here, this unit included; {} if not the leader.

        state        'waiting', 'answered', 'refused', or 'none' if there is no request
        csr, csr_id  the request, as far as this unit sees it now
        answer_id    the request that was last answered; None before that and after `reissue`
        certificate  the published answer, or
        reason       why it was refused

        Answered means published, not installed: nothing tells the leader that. For a status, an
        action or a decision; it reads the bag of every member.
        """
        requests = {}
        with self._record() as me:
            for unit in sorted(self._members(me)) if self._survey(me) else ():
                csr_id, csr = self._request(me, unit)
                answer_id, certificate, reason = (
                    self._answers(me).get(key.format(unit))
                    for key in (ANSWER_ID, ANSWER, REFUSAL))
                state = ('none' if not csr_id else 'waiting' if waits(csr_id, answer_id)
                         else 'refused' if reason else 'answered')
                requests[unit] = dict(state=state, csr=csr, csr_id=csr_id, answer_id=answer_id,
                                      certificate=certificate, reason=reason)
        return requests

    def _decide(self, what, unit, text, labels=()):
        """Publish a certificate or a refusal, if the request that was shown can be answered."""
        _require_str('unit name', unit)
        _require(what, unit, text, labels)
        with self._record() as me:
            if unit not in me['shown']:
                raise ValueError('{} for {!r:.80}: get_csr_map() never handed out a request of '
                                 'that unit'.format(what, unit))
            obstacle = self._obstacle(me, unit)
            answer = {'certificate': text} if labels else {'refusal': text}
            if not obstacle and not self._answer(me, unit, me['shown'][unit], **answer):
                obstacle = 'this unit lost the leadership'
            if obstacle:
                _log('{} for {} not published: {}'.format(what, unit, obstacle))

    def _obstacle(self, me, unit):
        """Why the request shown for `unit` cannot be answered now, or None."""
        if not self._survey(me):
            return 'this unit does not lead'
        shown = me['shown'][unit]
        if shown is None:
            return 'the unit has left, or is to be answered anew'
        if shown != self._request(me, unit)[0]:
            return 'the unit has asked anew'
        answered = self._answers(me).get(ANSWER_ID.format(unit))
        if answered != shown and not waits(shown, answered):
            return 'a newer request of the unit has been answered'
        return None

    # The look around at the start of every hook.

    def look(self):
        """Bring record and flags in line with the data visible now; publish what got lost."""
        me = self._recall()
        adopted = self._find_relation(me)
        if me['relation']:
            try:
                self._look_at_relation(me, adopted)
            except CalledProcessError:
                # relation-get and relation-list fail on a relation that is gone.
                if me['relation'] in hookenv.relation_ids(self.relation_name):
                    raise
                me['relation'] = None
        self._remember(me)

    def _look_at_relation(self, me, adopted):
        local = hookenv.local_unit()
        event, unit = None, None  # what this hook tells of this relation, and of whom
        if hookenv.relation_id() == me['relation']:
            event = hookenv.hook_name().rsplit('-', 1)[-1]
            unit = hookenv.remote_unit()  # '' in created, and in changed of the application

        if me['csr'] and not me['seen']:
            me['seen'] = self._bag(me, local).get(CSR_ID) == _own_id(me)
            if not me['seen']:
                self._publish(me)
                if not me['relation']:
                    return

        if event == 'departed':
            self._part(me, unit)

        answered_self = local in me['answered']
        unproven = dict(me['answered'], **me['waiting'])
        if unproven:
            answers = self._answers(me)
            me['waiting'] = {name: csr_id for name, csr_id in unproven.items()
                             if waits(csr_id, answers.get(ANSWER_ID.format(name)))}
            me['answered'] = {}

        changed = [unit] if event == 'changed' and unit else []
        if (adopted or changed or me['waiting']
                or hookenv.hook_name() in ('leader-elected', 'update-status')):
            self._survey(me, changed)

        # Peers' joined and changed bring no answer, and there are many of them.
        pending = me['csr'] and not (me['taken'] or me['refused']) \
            and event not in ('joined', 'changed')
        if pending or answered_self or (event == 'changed' and not unit):
            self._take(me)

    def _find_relation(self, me):
        """Settle on the newest relation id known; True if that is a new one.

        relation-created can be missed (an agent restart assumes it done), so while no id is
        known every hook asks. Not before install is over: an id that Juju lists then is of a
        relation that the unit has not entered, and writing to it fails the hook.
        """
        if hookenv.relation_type() == self.relation_name:
            ids = [hookenv.relation_id()]
        elif me['relation'] or hookenv.hook_name() == 'install' \
                or hookenv.hook_name().endswith('-storage-attached'):
            ids = []
        else:
            ids = hookenv.relation_ids(self.relation_name)
        known = [me['relation']] if me['relation'] else []
        newest = max(ids + known, key=lambda rid: int(rid.rsplit(':', 1)[1]), default=None)
        if newest == me['relation']:
            return False
        if me['relation']:
            me['csr'] = None  # a request belongs to its relation
        me.update(relation=newest, seen=False, refused=None, leads=False, waiting={}, answered={})
        if not me['csr']:
            # A CSR without an id is what the original interface published on this unit before
            # an upgrade: it becomes request 1. One with an id is a predecessor's.
            bag = self._bag(me, hookenv.local_unit())
            csr = bag.get(CSR)
            if csr and not bag.get(CSR_ID) and not fault_in(csr, REQUEST_LABELS):
                self._ask(me, csr)
        return True

    def _survey(self, me, units=()):
        """Whether this unit leads this relation; if so, judge the requests of `units` afresh.

        After a no, or at the start, every member's: requests may have come that this unit,
        not leading, did not look at. Every changed hook asks, so a lost leadership is noticed
        before a request is missed.
        """
        if not (me['relation'] and _is_leader()):
            me.update(leads=False, waiting={}, answered={})
            return False
        if not me['leads']:
            units = self._members(me)
        me['leads'] = True
        for unit in units:
            csr_id, csr = self._request(me, unit)
            me['waiting'].pop(unit, None)
            if csr_id and waits(csr_id, self._answers(me).get(ANSWER_ID.format(unit))):
                fault = fault_in(csr or '', REQUEST_LABELS)
                if not fault:
                    me['waiting'][unit] = csr_id
                elif not self._answer(me, unit, csr_id, refusal=fault):
                    return False
        return True

    def _take(self, me):
        """Store and announce the answer to this unit's current request, if it is new."""
        local = hookenv.local_unit()

        # A follower reads one key at a time: the bag grows with the application, and every
        # unit looks on every answer to anybody. The leader needs the whole bag anyway.
        def answer(key):
            if me['leads']:
                return self._answers(me).get(key.format(local))
            return hookenv.relation_get(key.format(local), rid=me['relation'],
                                        app=hookenv.application_name())

        if not me['csr'] or me['taken'] and answer(ANSWER) == self.get_signed_cert() \
                or me['refused'] and answer(REFUSAL) == me['refused']:
            return
        me['refused'] = None
        if answer(ANSWER_ID) != _own_id(me):
            return
        if not answer(ANSWER) and answer(REFUSAL):
            me.update(refused=answer(REFUSAL), taken=False)
            return
        fault = fault_in(answer(ANSWER) or '', CERTIFICATE_LABELS)
        if fault:  # not by set_cert: whoever leads can write there by other means
            _log('certificate for {} not taken: {}'.format(local, fault))
            return
        unitdata.kv().update({ANSWER.format(local): answer(ANSWER),
                              SERVER_CERTIFICATE: answer(ANSWER)})
        me['taken'] = True
        self._flag(AVAILABLE, True)

    def _part(self, me, unit):
        """Forget `unit`, which this relation has lost; its answer goes if it is the leaver.

        A unit that itself leaves gets departed for each of its peers.
        """
        me['waiting'].pop(unit, None)
        me['answered'].pop(unit, None)
        if unit in me['shown']:
            me['shown'][unit] = None
        if hookenv.departing_unit() == unit and self._survey(me):
            self._write(me, {key.format(unit): None for key in (ANSWER, ANSWER_ID, REFUSAL)})

    # Relation data. The record's relation id is always passed: the hook may be another's.

    def _bag(self, me, unit):
        return hookenv.relation_get(unit=unit, rid=me['relation']) or {}

    def _answers(self, me):
        return hookenv.relation_get(rid=me['relation'], app=hookenv.application_name()) or {}

    def _members(self, me):
        return hookenv.related_units(me['relation']) + [hookenv.local_unit()]

    def _request(self, me, unit):
        """(id, CSR) that `unit` has published; without a well-formed id there is no request."""
        bag = self._bag(me, unit)
        csr_id = bag.get(CSR_ID)  # none yet, or never by the original interface
        if csr_id and not parse_id(csr_id):
            _log('request of {} is left out: its id is not LIFE-N of at most 64 characters'.format(
                unit))
            csr_id = None
        return csr_id, bag.get(CSR)

    def _publish(self, me):
        """Write this unit's request. A failure is not lost: the next hook misses it in the bag."""
        try:
            hookenv.relation_set(me['relation'], {CSR: me['csr'], CSR_ID: _own_id(me)})
        except CalledProcessError as error:
            _log('request not published, next hook tries again: {}'.format(error))
            me['relation'] = None  # perhaps it is gone; if not, it is found again

    def _answer(self, me, unit, csr_id, certificate=None, refusal=None):
        """Answer that request of that unit; False if the leadership has gone meanwhile."""
        if refusal:
            _log('request of {} is refused: {}'.format(unit, refusal))
        if not self._write(me, {ANSWER.format(unit): certificate, REFUSAL.format(unit): refusal,
                                ANSWER_ID.format(unit): csr_id}):
            return False
        me['waiting'].pop(unit, None)
        me['answered'][unit] = csr_id
        return True

    def _write(self, me, settings):
        """Write to the application bag; False if the leadership has gone meanwhile."""
        try:
            hookenv.relation_set(me['relation'], settings, app=True)
        except CalledProcessError:
            hookenv.flush('_is_leader')
            if self._survey(me):
                raise
            return False
        hookenv.flush('"app": ')  # charmhelpers goes on showing the bag as it was
        return True

    # The record and the flags that follow from it.

    @contextmanager
    def _record(self):
        """The record, for a method to change; remembered unless it raises.

        Of the flags only those change that the change is about: one that the layer has cleared
        itself would else come back at once, and its handler run again and again.
        """
        _start()
        me, before = self._recall(), self._recall()
        yield me
        self._remember(me, _flags_of(before))

    def _recall(self):
        """This unit's record; a new one in the first hook of this code."""
        me = unitdata.kv().get(RECORD)
        if me is None:
            for flag in (CREATE, SIGN, AVAILABLE):
                self._flag(flag, False)  # the original interface's, before an upgrade
            me = {
                'life': uuid.uuid4().hex,
                'count': 0,        # of requests in this life
                'relation': None,  # relation id
                'csr': None,       # current request
                'seen': False,     # current request was seen in the own bag
                'taken': False,    # its certificate is in unitdata
                'refused': None,   # or why it will have none
                'leads': False,    # last answer of is-leader
                'waiting': {},     # leader: unit -> id of its request that waits
                'shown': {},       # unit -> id that get_csr_map handed out; None: no longer
                'answered': {},    # unit -> id, answers not yet seen in the application bag
            }
        return me

    def _remember(self, me, flags_before=None):
        unitdata.kv().set(RECORD, me)
        for flag, on in _flags_of(me).items():
            if flags_before is None or on != flags_before[flag]:
                self._flag(flag, on)

    def _ask(self, me, csr):
        me.update(csr=csr, count=me['count'] + 1, seen=False, taken=False, refused=None)

    def _flag(self, flag, on):
        if on and not is_flag_set(flag):
            # The value by which charms.reactive finds the object for the handler.
            set_flag(flag, {'relation': self.relation_name, 'conversations': []})
        elif not on and is_flag_set(flag):
            clear_flag(flag)


def _flags_of(me):
    return {CREATE: bool(me['relation'] and (me['refused'] or not me['csr'])),
            SIGN: bool(me['relation'] and me['waiting'])}


def _own_id(me):
    return '{}-{}'.format(me['life'], me['count'])


@hookenv.cached
def _is_leader():
    return hookenv.is_leader()


def _require_str(what, value):
    if not isinstance(value, str):
        raise TypeError('{}: expected str, not {}'.format(what, type(value).__name__))


def _require(what, unit, text, labels=()):
    what = '{} for {}'.format(what, unit)
    _require_str(what, text)
    fault = fault_in(text, labels)
    if fault:
        raise ValueError('{}: {}'.format(what, fault))


def _log(message):
    hookenv.log('interface:tls: ' + message, level=hookenv.WARNING)


@hookenv.cached
def _start():
    """Once per hook; a charm layer's own atstart function may call a method before."""
    endpoints = hookenv.role_and_interface_to_relations('peers', INTERFACE)
    if len(endpoints) > 1:
        raise ValueError('interface:tls serves one endpoint of a charm, metadata.yaml has {}: '
                         'the flags carry no relation name'.format(' and '.join(endpoints)))
    for endpoint in endpoints:
        TlsPeers(endpoint).look()


# @hook on a method gets no object outside relation hooks, and leadership, failed commits and a
# missed relation-created are noticed in any hook.
hookenv.atstart(_start)
