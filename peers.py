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
                       csr_number                     N, the how-manieth under this unit's name
    the application's  [unit-name]_signed_certificate the leader, that unit: certificate(s), PEM
                       [unit-name]_refusal            the leader, that unit: why there is none
                       [unit-name]_csr_id             the request that either answers, N-DIGEST;
                                                      or reissue-TOKEN: to be answered again

DIGEST is the SHA-256 of the CSR's text, so an id says what was asked: whatever was restored, used
again or replayed, a certificate beside another id is never taken for an answer to this CSR. N only
says which of two requests is newer. Everything follows by comparison:

    a request waits     unless the application bag has its very id, with an answer that the unit can
                        take, or an id with a greater N
                        -> "sign certificate signing request", on the leader
    a unit takes        the certificate that stands beside its own id
                        -> "signed certificate available"
    a unit must ask     if it has no request, or not the one in its own bag, or was refused
                        -> "create certificate signing request"

Answers are in the application bag because Juju lets only the leader write it and because it
outlives the leader; nothing in a unit's bag could prove who leads.

Records are caches, bags are the truth. Hooks are skipped, run twice or not committed, disks and
controllers are restored: so nothing that a record believes goes unchecked for ever. Most hooks
look only at what they tell of; a full look, in `update-status` at the latest, believes nothing.
"""
import hashlib
import os
import re
from contextlib import contextmanager
from subprocess import CalledProcessError
from typing import Dict, List, Mapping, Optional, Sequence, Set

from charmhelpers.core import hookenv, unitdata
from charms.reactive import RelationBase, clear_flag, is_flag_set, set_flag

CREATE = 'create certificate signing request'
SIGN = 'sign certificate signing request'
AVAILABLE = 'signed certificate available'

CSR, CSR_NUMBER = 'csr', 'csr_number'
# In the application bag; the first in unitdata, too.
ANSWER, REFUSAL, ANSWER_ID = '{}_signed_certificate', '{}_refusal', '{}_csr_id'

SERVER_CERT = 'tls.server.certificate'  # unitdata: the key the original README reads
RECORD = 'interface.tls'  # unitdata: all that this interface remembers, see `_recall`
TAKEN: dict = {'taken': True}

# Bytes of one request or answer, what peers send included, and of a refusal.
MAX_BYTES, MAX_REASON = 64 * 1024, 1024
PEM_BEGIN = r'-----BEGIN (.*)-----[ \t]*\r?$'
PEM_BLOCK = (r'(?:\A\ufeff|^)' + PEM_BEGIN + r'\n((?:[ \t]*[0-9A-Za-z+/=][0-9A-Za-z+/= \t]*\r?\n)+)'
             r'-----END \1-----[ \t]*\r?$')
BASE64 = '(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?\\Z'
REQUEST_LABELS = ('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
CERTIFICATE_LABELS = ('CERTIFICATE',)

# Digits of N that are believed: in an answer's id fewer than in the own bag, and there fewer than
# a leader reads, so that a unit can outnumber whatever stands there.
ANSWER_DIGITS, OWN_DIGITS, REQUEST_DIGITS = 15, 17, 18

# The unit may be in no relation yet; Juju may list one that it must not touch.
EARLY = ('install', '-storage-attached')
FULL_LOOK = ('update-status', 'leader-elected', 'upgrade-charm')
# A refused unit is asked for another CSR in these only: no layer can loop.
ASK_AGAIN = ('update-status', 'config-changed')


# Decisions: plain values in, plain values out.

def fault_in(text: str, labels: Sequence[str] = ()) -> Optional[str]:
    """What is wrong with `text` as PEM blocks of these labels, or None.

    Text around the blocks and several blocks are legal. The openssl command finds the
    blocks in what passes, too (behind a BOM from version 3 on); it takes some odd forms more, and
    RFC 7468 is wider still. What is in a block is not looked at. Without labels: as a reason.
    """
    encoded, most = text.encode('utf-8', 'replace'), MAX_BYTES if labels else MAX_REASON
    if len(encoded) > most:
        return 'it has {} bytes, more than {}'.format(len(encoded), most)
    if encoded.decode() != text:
        return 'it is not encodable as UTF-8'
    # In the spellings of OpenSSH, OpenPGP, `openssl pkey -text`, PuTTY, and as a person reads it.
    if re.search(r'PRIVATE[ \t]+KEY([ \t]+BLOCK)?[ \t]*----|Private-(Key|Lines):', text, re.I):
        return 'it holds a private key, and everybody in the model can read relation data'
    if not labels:
        return None if text.strip() and '\0' not in text else 'it is empty, or has a NUL'
    blocks = re.findall(PEM_BLOCK, text, re.MULTILINE)
    # openssl reads no further than a block that is cut off, of another label, too.
    if len(blocks) < len(re.findall('^\ufeff?' + PEM_BEGIN, text, re.MULTILINE)) \
            or not {label for label, _ in blocks}.intersection(labels):
        return 'it has no PEM block {}, or one that is cut off'.format(' or '.join(labels))
    sound = all(re.match(BASE64, ''.join(body.split())) for _, body in blocks)
    return None if sound else 'it has a PEM block with undecodable base64'


def number_in(text: Optional[str], digits: int) -> int:
    """The N that is written there with at most so many digits, or 0."""
    return int(text) if text and re.match('[1-9][0-9]{,%d}\\Z' % (digits - 1), text) else 0


def id_of(number: int, csr: str) -> str:
    return '{}-{}'.format(number, hashlib.sha256(csr.encode('utf-8', 'replace')).hexdigest())


def keys_of(unit: str) -> List[str]:
    """Of the answer to that unit, in the application bag."""
    return [key.format(unit) for key in (ANSWER, REFUSAL, ANSWER_ID)]


def answer_in(bag: Mapping[str, Optional[str]], unit: str) -> List[Optional[str]]:
    """[certificate, refusal, id] that stand there for that unit."""
    return [bag.get(key) for key in keys_of(unit)]


def answered_number(bag: Mapping[str, Optional[str]], unit: str) -> int:
    """The N of the id that stands there for that unit, or 0."""
    match = re.match(r'([0-9]+)-[0-9a-f]{64}\Z', bag.get(ANSWER_ID.format(unit)) or '')
    return number_in(match.group(1), ANSWER_DIGITS) if match else 0


def outcome_in(bag: Mapping[str, Optional[str]], unit: str, request_id: str) -> Optional[dict]:
    """What that request has got there: a certificate (TAKEN), {'refused': reason}, or None.

    Its very id beside what the unit cannot take is no answer: no leader wrote that by `set_cert`.
    """
    certificate, reason, answers = answer_in(bag, unit)
    fault = fault_in(certificate, CERTIFICATE_LABELS) if certificate else fault_in(reason or '')
    return None if fault or answers != request_id else TAKEN if certificate else {'refused': reason}


def waits(unit: str, request_id: str, bag: Mapping[str, Optional[str]]) -> bool:
    """Whether that request of that unit still needs an answer beside what stands there."""
    return not (outcome_in(bag, unit, request_id)
                or answered_number(bag, unit) > int(request_id.split('-')[0]))


def digest_of(bag: Mapping[str, Optional[str]], unit: str) -> str:
    """Of the whole answer that stands there for that unit."""
    return hashlib.sha256(repr(answer_in(bag, unit)).encode()).hexdigest()


def units_in(bag: Mapping[str, Optional[str]], application: str) -> Set[str]:
    """The units of which the application bag has something; other keys are the layer's own."""
    name = '({}/(?:0|[1-9][0-9]*))_(?:signed_certificate|refusal|csr_id)\\Z'.format(application)
    return {each.group(1) for each in (re.match(name, key) for key in bag if bag[key]) if each}


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

    The flags are set and cleared here; a layer may clear them, too: the first two come back in the
    next hook while their reason lasts. Every method works in every hook, those in which there is no
    relation (yet, or any more) included, and through charms.reactive.main() in every action.
    """

    def __init__(self, relation_name, conversations=None):
        # Not the base class's: without conversations that joins one from whatever hook is
        # running, another relation's included. None is needed here, every call names its unit.
        self._relation_name, self._conversations = relation_name, []

    # For every unit.

    def set_csr(self, csr: str) -> None:
        """Ask for a certificate: publish `csr` (PEM text) as this unit's request.

        The leader finds it in its `get_csr_map()`; its answer arrives as "signed certificate
        available" in a later hook. Until then the same text changes nothing, another text
        replaces the request; after it any call is a new request, the same text included, and
        the certificate in use stays in unitdata until its successor is there. A text that was
        refused (see `get_refusal`) is not published again, and a line in the log says so. Before
        the relation exists the request is kept, and published when it does. So it is, by
        `update-status`, where the tool fails that publishes it.

        TypeError if `csr` is not a str. ValueError if it is longer than 64 KiB, has no sound PEM
        block CERTIFICATE REQUEST or holds a private key. Then nothing has changed.
        """
        unit = hookenv.local_unit()
        _require('CSR for ' + unit, csr, REQUEST_LABELS)
        with self._record() as me:
            if csr == me['csr'] and me['outcome'] != TAKEN:
                if me['outcome']:
                    _log('request not published, it was refused: ' + me['outcome']['refused'])
                return
            if not me['relation'] and not hookenv.hook_name().endswith(EARLY):
                self._find_relation(me)
            number = 1 + max(me['number'], answered_number(self._application_bag(me) or {}, unit),
                             number_in(self._bag(me, unit).get(CSR_NUMBER), OWN_DIGITS))
            me.update(csr=csr, number=number, outcome=None)
            self._flag(CREATE, False)
            self._flag(AVAILABLE, False)
            # No hook tells a unit of its own write: a leader's own request waits from here on.
            if self._publish(me) and me['leads'] and self._lead(me) is not None:
                me['waiting'][unit] = id_of(number, csr)

    def get_signed_cert(self) -> Optional[str]:
        """This unit's certificate as `set_cert` got it, or None before the first.

        It is the one in use: while a renewal waits, still the old one.
        """
        return unitdata.kv().get(ANSWER.format(hookenv.local_unit()))

    def get_refusal(self) -> Optional[str]:
        """Why the leader will not sign this unit's current request, or None.

        While there is a reason, "create certificate signing request" is set in each
        `update-status` and `config-changed`: another CSR is asked for. The leader's `reissue`,
        or a certificate after all, lifts the refusal.
        """
        with self._record() as me:
            return (me['outcome'] or {}).get('refused')

    # For the leader.

    def get_csr_map(self) -> Dict[str, str]:
        """{unit name: CSR} of the requests that wait now, the leader's own included.

        Empty on a unit that does not lead. The names are Juju's; the CSRs are what the units
        wrote: sound PEM, but nobody has looked into them, so take no name or address from them.
        `set_cert` and `refuse_csr` then answer these very requests, in this hook or a later one.
        """
        with self._record() as me:
            answers = self._lead(me)
            self._survey(me, dict(self._due(me)))
            requests = {unit: self._request_of(me, unit)[1] for unit, _ in sorted(self._due(me))}
            for unit in requests:
                me['handed_out'][unit] = [me['waiting'][unit], digest_of(answers, unit)]
        return requests

    def set_cert(self, unit_name: str, certificate: str, csr: Optional[str] = None) -> None:
        """Answer the request of `unit_name`: the one that `get_csr_map()` last handed out here.

        `certificate` is PEM text, chain and text around the blocks included, and reaches the
        unit as it is. While an answer by this unit stands there it replaces that. With `csr`,
        the CSR that the certificate was made for, it answers only if that is still the unit's
        request: for layers that sign later, or elsewhere, and look at `get_csr_map()` meanwhile.

        Nothing is published, and a line in the log says why, if the unit has asked anew or left,
        this unit no longer leads, or the answer in the bag is another than when the request was
        handed out or answered here: another leader has answered, or `reissue` was called. What
        waits then is in `get_csr_map()` here or on the leader.

        TypeError if an argument is not a str. ValueError if, without `csr`, `get_csr_map()` never
        handed out a request of `unit_name` on this unit, or if `certificate` is longer than 64
        KiB, has no sound PEM block CERTIFICATE or holds a private key. Then nothing has changed.
        """
        self._answer('certificate', unit_name, csr, certificate, CERTIFICATE_LABELS)

    def refuse_csr(self, unit_name: str, reason: str, csr: Optional[str] = None) -> None:
        """Answer with a no; which request, when not and what raises: as with `set_cert`.

        On that unit `get_refusal()` gives the `reason`, and "create certificate signing request"
        is set in its next `update-status` or `config-changed`; a certificate in use stays. The
        request is not handed out again; another CSR of the unit is, and `reissue` lifts the
        refusal. It is not for "not now": a request that gets no answer just waits.

        ValueError for a `reason` that is empty, longer than 1 kB, has a NUL or a private key.
        """
        self._answer('refusal', unit_name, csr, reason, ())

    def reissue(self, unit_name: Optional[str] = None) -> None:
        """Have the answered request of one unit, or of every unit, wait again; refused ones too.

        After a change of CA, say. The requests are back in `get_csr_map()`, on whatever unit
        leads; each unit keeps its certificate until `set_cert` brings another, and what
        `get_csr_map()` handed out before is answered no more, until it hands that out again.
        Part of this hook or action: if that is not committed, nothing was reissued.

        TypeError if `unit_name` is not a str. ValueError for a unit without an answer, and if
        this unit does not lead, or cannot read or write the application bag. Then nothing has
        changed.
        """
        _require('unit name', '' if unit_name is None else unit_name)
        with self._record() as me:
            answers = self._lead(me)
            if answers is None:
                raise ValueError('reissue: this unit does not lead, or sees no application bag')
            # By the bag, not by who is listed: this leader may not have met every unit yet.
            units = {unit for unit in units_in(answers, hookenv.application_name())
                     if unit_name in (None, unit) and answers.get(ANSWER_ID.format(unit))}
            if unit_name is not None and not units:
                raise ValueError('reissue for {!r:.80}: no answer to that unit'.format(unit_name))
            again = dict.fromkeys(map(ANSWER_ID.format, units), 'reissue-' + os.urandom(16).hex())
            if not self._write(me, dict(again, **dict.fromkeys(map(REFUSAL.format, units)))):
                raise ValueError('reissue: this unit lost the leadership, or cannot write')
            self._survey(me)

    def get_requests(self) -> Dict[str, Dict[str, Optional[str]]]:
        """{unit name: dict} of all members known here, this unit included; {} if not the leader.

        state        'waiting', 'answered', 'refused', or 'none' if there is no request
        csr, csr_id  the request, as far as this unit sees it now
        answer_id    what the answer stands for: a request, or `reissue-TOKEN`
        certificate  the published answer, or
        reason       why it was refused

        Answered means published, not installed: nothing tells the leader that. For a status, an
        action or a decision; it reads the bag of every member, and what it finds waiting is from
        then on in `get_csr_map()`.
        """
        with self._record() as me:
            members, answers, requests = self._survey(me), self._application_bag(me), {}
            for unit in sorted(members):
                request_id, csr = self._request_of(me, unit)
                view = dict(zip(('certificate', 'reason', 'answer_id'), answer_in(answers, unit)))
                state = ('none' if not request_id else 'waiting' if waits(unit, request_id, answers)
                         else 'answered' if view['certificate']
                         else 'refused' if view['reason'] else 'waiting')
                requests[unit] = dict(view, state=state, csr=csr, csr_id=request_id)
            return requests

    def _answer(self, what, unit, csr, text, labels):
        """Publish a certificate or a refusal, if the request that it is for can be answered."""
        _require('unit name', unit)
        _require('CSR', '' if csr is None else csr)
        _require('{} for {:.80}'.format(what, unit), text, labels)
        with self._record() as me:
            ordered, *digests = me['handed_out'].get(unit, [None])
            if csr is None and not ordered:
                raise ValueError('{} for {!r:.80}: get_csr_map() never handed out a request of it'
                                 .format(what, unit))
            obstacle, answers = self._obstacle(me, unit, csr, ordered, digests), self._lead(me)
            if not obstacle:
                answer = (text if labels else None, None if labels else text)
                new = dict(zip(keys_of(unit), answer + self._request_of(me, unit)[:1]))
                seen = [digest_of(bag, unit) for bag in (new, answers)] + digests
                me['handed_out'][unit] = [ordered] + list(dict.fromkeys(seen))[:20]
                # Until a later hook has seen it in the bag: the leader's own that is replaced, too.
                me['waiting'][unit] = new[ANSWER_ID.format(unit)]
                obstacle = not self._write(me, new) and 'this unit lost the leadership or Juju'
            if obstacle:
                _log('{} for {} not published: {}'.format(what, unit, obstacle))

    def _obstacle(self, me, unit, csr, ordered, digests):
        """Why the request `ordered`, or the one for `csr`, cannot be answered now, or None."""
        answers = self._lead(me)
        request_id, current = self._request_of(me, unit)
        return ('this unit does not lead, or sees no application bag' if answers is None
                else 'the unit has left'
                if unit not in me['waiting'] and unit not in self._members(me)[0]
                else 'the unit has asked anew'
                if (request_id != ordered if csr is None else csr != current)
                # Compare and swap: by ids alone another leader's answer would be replaced, or one
                # of before a `reissue`. What was never handed out may be answered while it waits.
                else None if digest_of(answers, unit) in digests
                or request_id != ordered and waits(unit, request_id, answers)
                else 'another answer stands there than when it was handed out or answered here')

    # The look around at the start of every hook.

    def look(self):
        """Bring record and flags in line with what the hook tells, or with all that is visible.

        Once per hook: a second look would take what was written meanwhile for committed.
        """
        me, context, hook = self._recall(), os.environ.get('JUJU_CONTEXT_ID'), hookenv.hook_name()
        if context and context == me['context']:
            return
        first, me['context'] = me['context'] is None, context
        event, unit = self._told(me)
        if event == 'created' or (first or hook in FULL_LOOK) and not hook.endswith(EARLY):
            self._look_at_all(me, asks=first or event != 'created')
        elif me['waiting']:
            self._take(me)  # Juju need not tell a leader of its own write
        me['waiting'] = dict(self._due(me))
        if me['waiting']:
            self._lead(me)
        getattr(self, 'on_{}'.format(event), lambda *_: None)(me, unit)
        refused = 'refused' in (me['outcome'] or {}) and (hook in ASK_AGAIN or is_flag_set(CREATE))
        self._flag(CREATE, me['relation'] and (refused or not me['csr']))
        self._flag(SIGN, me['waiting'])
        self._flag(AVAILABLE, me['outcome'] == TAKEN and is_flag_set(AVAILABLE))
        hookenv.cache[RECORD] = unitdata.kv().set(RECORD, me)

    def _told(self, me):
        """What this hook tells of the peer relation, and of which unit: ('changed', 'app/1').

        The unit is '' where all of the relation changed, or the application bag. A newer relation
        than the record's counts as created: that hook can be missed, as an agent that restarts
        assumes it done.
        """
        relation, event = hookenv.relation_id(), hookenv.hook_name().rsplit('-', 1)[-1]
        if not relation or self._newest([relation, me['relation']]) != relation:
            return None, None  # no relation's, another's, or an older one's
        if relation == me['relation'] or event == 'broken':
            return event, hookenv.remote_unit()
        me.update(relation=relation, waiting={})
        return 'created', ''

    def on_changed(self, me, unit):
        """A peer has written into its bag, or the leader into the application's.

        Whoever does not lead need not look at peers: it will when it does.
        """
        if not unit:
            self._take(me)
        elif me['leads']:
            self._survey(me, {unit})

    def on_departed(self, me, unit):
        """Forget `unit`; its answer goes if it is the leaver: who leaves departs from each peer."""
        me['waiting'].pop(unit, None)
        if me['leads'] and hookenv.departing_unit() == unit \
                and any(answer_in(self._lead(me) or {}, unit)):
            self._write(me, dict.fromkeys(keys_of(unit)))

    def on_broken(self, me, unit):
        """There is no relation any more; every method works on."""
        me.update(relation=None, waiting={})

    def _look_at_all(self, me, asks):
        """Believe nothing but the bags; `asks` for the relation and who leads, too."""
        if asks:
            self._find_relation(me)
            self._lead(me)
        if me['relation']:
            self._look_at_own(me)
            self._take(me)
        if me['leads']:
            self._survey(me)

    def _find_relation(self, me):
        """Settle on the newest relation id that Juju lists."""
        ids = _read(hookenv.relation_ids, self.relation_name)
        me['relation'] = self._newest([me['relation']] if ids is None else ids)

    def _newest(self, ids):
        """Of these relation ids; those of an endpoint that a refresh has renamed do not count."""
        ids = [each for each in ids if each and each.split(':')[0] == self.relation_name]
        return max(ids, key=lambda each: int(each.split(':')[1]), default=None)

    def _look_at_own(self, me):
        """Compare this unit's request with its bag, and publish what is missing there."""
        unit = hookenv.local_unit()
        bag, answered = self._bag(me, unit), answered_number(self._application_bag(me) or {}, unit)
        csr, text = bag.get(CSR), bag.get(CSR_NUMBER)
        number = number_in(text, OWN_DIGITS)
        # Published by the original interface, before an upgrade.
        original = not me['number'] and text is None and not fault_in(csr or '', REQUEST_LABELS)
        missing = original or number < me['number'] and text != str(me['number'])
        if not missing and csr != me['csr']:
            me.update(csr=None, outcome=None)  # restored: the layer knows which key it has
        elif number > me['number']:
            me.update(number=number, outcome=None)
        if original or me['csr'] and me['outcome'] != TAKEN and answered > me['number']:
            me.update(csr=csr if original else me['csr'], number=answered + 1, outcome=None)
            missing = True
        if missing and me['csr']:
            self._publish(me)

    def _take(self, me):
        """Store and announce what answers this unit's request.

        The whole bag: a relation-get of one key has the agent fetch all of it, too.
        """
        unit, answers = hookenv.local_unit(), self._application_bag(me) if me['csr'] else None
        if answers is None:
            return
        outcome = outcome_in(answers, unit, id_of(me['number'], me['csr']))
        certificate = answers.get(ANSWER.format(unit))
        if outcome == TAKEN and (me['outcome'] != TAKEN or certificate != self.get_signed_cert()):
            unitdata.kv().update({ANSWER.format(unit): certificate, SERVER_CERT: certificate})
            self._flag(AVAILABLE, True)
        # Without any a certificate that was taken stays so, and a refusal was lifted.
        me['outcome'] = outcome or (TAKEN if me['outcome'] == TAKEN else None)

    def _survey(self, me, units=None):
        """A leader judges afresh whose requests wait: every member's, or of these `units`.

        It refuses what is malformed, and deletes the answers to units that are gone. Back come
        the units; none if this unit does not lead, or cannot write.
        """
        answers, settings = self._lead(me), {}
        if answers is None:
            return set()
        if units is None:
            units, expected = self._members(me)
            me['waiting'] = {unit: each for unit, each in me['waiting'].items() if unit in units}
            gone = units_in(answers, hookenv.application_name()) - expected if expected else ()
            settings.update((key, None) for unit in gone for key in keys_of(unit))
        for unit in sorted(units):
            request_id, csr = self._request_of(me, unit)
            kept = me['waiting'].pop(unit, None) == request_id  # answered in this hook, perhaps
            if request_id and (kept or waits(unit, request_id, answers)):
                if (fault := fault_in(csr, REQUEST_LABELS)):
                    _log('request of {} is refused: {}'.format(unit, fault))
                    settings.update(zip(keys_of(unit), (None, fault, request_id)))
                else:
                    me['waiting'][unit] = request_id
        return units if self._write(me, settings) else set()

    def _due(self, me):
        """(unit, id) of what waits by the application bag, this hook's own writes in it."""
        bag = self._application_bag(me) if me['waiting'] else None
        return {each for each in me['waiting'].items() if bag is not None and waits(*each, bag)}

    # Relation data. The record's relation id is always passed: the hook may be another's.

    def _bag(self, me, unit):
        """A unit's bag; an unreadable one is empty."""
        return me['relation'] and _read(hookenv.relation_get, unit=unit, rid=me['relation']) or {}

    def _application_bag(self, me):
        """With this hook's own writes in it; None if it cannot be read."""
        return me['relation'] and _read(hookenv.relation_get, rid=me['relation'],
                                        app=hookenv.application_name())

    def _lead(self, me):
        """The application bag, if this unit leads; else None, and nothing waits here.

        In Juju 4 a leader that has lost the lease cannot read it (JSRC A11).
        """
        # Within a hook it may become false, never true again: a write fails then.
        me['leads'] = bool(_read(hookenv.cached(hookenv.is_leader)))
        answers = self._application_bag(me) if me['leads'] else None
        me['waiting'] = {} if answers is None else me['waiting']
        return answers

    def _members(self, me):
        """(the members known here, the units that Juju expects; none if it does not say).

        In Juju 4 units that were removed stay in relation-list (JSRC F1); goal-state drops them.
        It lists the units of a subordinate's principal only if that asks, so nothing counts that
        does not list this very unit.
        """
        local = hookenv.local_unit()
        members = {local}.union(_read(hookenv.related_units, me['relation']) or ())
        expected = set((_read(hookenv.goal_state) or {}).get('units') or ())
        return (members & expected, expected) if local in expected else (members, set())

    def _request_of(self, me, unit):
        """(id, CSR) that `unit` has published, or (None, None)."""
        bag = self._bag(me, unit)
        number, csr = number_in(bag.get(CSR_NUMBER), REQUEST_DIGITS), bag.get(CSR)
        if CSR_NUMBER in bag and not (number and csr):
            _log('request of {} is left out: csr_number or csr is malformed'.format(unit))
        return (id_of(number, csr), csr) if number and csr else (None, None)

    def _publish(self, me):
        """Write this unit's request; False if that fails. A full look misses it in the bag."""
        return self._write(me, {CSR: me['csr'], CSR_NUMBER: me['number']}, app=False)

    def _write(self, me, settings, app=True):
        """Whether these are written, if there are any; not if the leadership has gone meanwhile."""
        try:
            if me['relation'] and settings:
                hookenv.relation_set(me['relation'], settings, app=app)
        except CalledProcessError as error:
            _log('{} not written: {}'.format('application bag' if app else 'request', error))
            hookenv.flush('is_leader')
            self._lead(me)
            return False
        answers = self._application_bag(me) if app and settings else None
        if answers is not None:  # charmhelpers goes on showing this dict; None is like deleted
            answers.update(settings)
        return bool(me['relation'])

    # The record and the flags.

    @contextmanager
    def _record(self):
        """The record, for a method to change; remembered unless it raises.

        Of the flags only those change that the change is about: one that the layer has cleared
        itself would else come back at once, and its handler run again and again.
        """
        _start()  # a layer's own atstart may call a method before
        me = self._recall()
        if hookenv.cache.get(RECORD, me) != me:  # another process of this hook, a handler in bash
            hookenv.flush(str(me['relation']))
        before = self._due(me)
        yield me
        if not self._due(me) or self._due(me) - before:
            self._flag(SIGN, self._due(me))
        hookenv.cache[RECORD] = unitdata.kv().set(RECORD, me)

    def _recall(self):
        """This unit's record; one of another shape, of a later version perhaps, is none.

        relation    relation id
        csr         current request, None before the first; and
        number      its N, or the last one's
        outcome     of that: none yet, TAKEN, or {'refused': reason}
        leads       last answer of is-leader
        waiting     on a leader: unit -> id of its request that was not seen answered
        handed_out  unit -> [id of what get_csr_map gave, and digests, the latest first: of the
                    last answers written here (their commit may have failed), and of what stood
                    there before]
        context     JUJU_CONTEXT_ID of the last look; None before the first hook of this code
        """
        new = {'relation': None, 'csr': None, 'number': 0, 'outcome': None, 'leads': False,
               'waiting': {}, 'handed_out': {}, 'context': None}
        me = unitdata.kv().get(RECORD)
        return me if isinstance(me, dict) and set(me) == set(new) and all(
            value is None or type(me[key]) is type(value) for key, value in new.items()) else new

    def _flag(self, flag, on):
        if on:
            # The value by which charms.reactive finds the object for the handler; a flag that is
            # set already may have that of an endpoint since renamed.
            set_flag(flag, {'relation': self.relation_name, 'conversations': []})
        elif is_flag_set(flag):
            clear_flag(flag)


def _read(tool, *arguments, **named):
    """What a hook tool says, or None and a line in the log: no read that fails fails a hook.

    A hook that fails would block the `update-status` that heals.
    """
    try:
        return tool(*arguments, **named)
    except (CalledProcessError, NotImplementedError, ValueError) as error:
        _log('{} of {} failed: {}'.format(tool.__name__, named or arguments, error))
        return None


def _require(what, text, labels=None):
    """Raise what is wrong with the text; without labels that it is a str is enough."""
    if not isinstance(text, str):
        raise TypeError('{}: expected str, not {}'.format(what, type(text).__name__))
    if labels is not None and (fault := fault_in(text, labels)):
        raise ValueError('{}: {}'.format(what, fault))


def _log(message):
    # An argument of juju-log: no NUL, and not too long, whatever a bag holds.
    hookenv.log('interface:tls: ' + message.replace('\0', '?')[:2000], level=hookenv.WARNING)


def _start():
    """At the start of each hook, before any handler: @hook on a method gets no object outside
    relation hooks, and runs in no defined order."""
    endpoints = hookenv.role_and_interface_to_relations('peers', 'tls')
    if len(endpoints) > 1:
        raise ValueError('interface:tls: one endpoint of it, not ' + ' and '.join(endpoints))
    for endpoint in endpoints:
        TlsPeers(endpoint).look()


hookenv.atstart(_start)
