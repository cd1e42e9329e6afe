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
"""interface:tls, the peer side: every unit asks, the leader answers.

Relation data, called a *bag* below, has these keys:

    bag                key                            written by; read by
    each unit's own    csr                            the unit; the leader: the request, PEM
                       csr_number                     N, the sequence number of that request
                       certificate_in_use             SHA-256 of the certificate it confirmed
    the application's  [unit-name]_signed_certificate the leader; that unit: certificates, PEM
                       [unit-name]_refusal            the leader; that unit: why there is none
                       [unit-name]_csr_id             the request that either answers: N-DIGEST;
                                                      or reissue-TOKEN: to be answered again

DIGEST is the SHA-256 of the CSR's text, so an id says what was asked. A certificate beside another
id is never taken for an answer to this CSR, whatever was restored, reused or replayed. N only says
which of two requests is newer. An *answer* is an id beside a certificate or a refusal that a unit
can take; anything less counts as nothing. The rest follows by comparison:

    a request waits     unless an answer has its very id, or a greater N
                        -> "sign certificate signing request", on the leader
    a unit takes        the certificate of the answer that has its own id
                        -> "signed certificate available"
    a unit must ask     if it has no request, or its own bag has another, or it was refused
                        -> "create certificate signing request"

Answers are in the application bag because only the leader can write it, and because it outlives
the leader. Nothing in a unit's bag could prove who leads.

The record of a unit is a cache; the bags are the truth. Hooks are skipped, run twice or not
committed, and disks and controllers are restored, so whatever the record holds is checked again.
Most hooks look only at what they tell of. A full look, in `update-status` at the latest, works
everything out from the bags. A bag that cannot be read is unknown, which is not the same as
empty: it decides nothing, and a later look does.

"JSRC A11" and the like are rules of Juju; tests/fakejuju lists them with their sources.
"""
import base64
import hashlib
import os
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import lru_cache
from subprocess import CalledProcessError
from typing import Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Set, Tuple

from charmhelpers.core import hookenv, unitdata
from charms.reactive import RelationBase, clear_flag, is_flag_set, set_flag

CREATE = 'create certificate signing request'
SIGN = 'sign certificate signing request'
AVAILABLE = 'signed certificate available'

# Keys of a unit's bag; then those of the application bag, of which the first is in unitdata, too.
CSR, CSR_NUMBER, IN_USE = 'csr', 'csr_number', 'certificate_in_use'
CERTIFICATE, REFUSAL, ANSWER_ID = '{}_signed_certificate', '{}_refusal', '{}_csr_id'

SERVER_CERT = 'tls.server.certificate'  # unitdata: the key that the original's README reads
RECORD = 'interface.tls'  # unitdata: see `Record`

# The size in bytes of a request or an answer, also of what peers send; and of a refusal.
MAX_BYTES, MAX_REASON = 64 * 1024, 1024
REQUEST_LABELS = ('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
CERTIFICATE_LABELS = ('CERTIFICATE',)
PEM_BEGIN = r'-----BEGIN (.*)-----[ \t]*\r?$'
PEM_BLOCK = (r'(?:\A\ufeff|^)' + PEM_BEGIN + r'\n((?:[ \t]*[0-9A-Za-z+/=][0-9A-Za-z+/= \t]*\r?\n)+)'
             r'-----END \1-----[ \t]*\r?$')
BASE64 = '(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?\\Z'
# How a private key begins: PEM, OpenSSH and OpenPGP; `openssl pkey -text`; PuTTY.
PRIVATE_KEY = (r'(?:-{0,5} ?BEGIN .*PRIVATE[ \t]+KEY([ \t]+BLOCK)?[ \t]*----|(\w+ )?Private-Key: ?'
               r'|PuTTY-User-Key-File-|Private-Lines:)')

# How many digits of N are believed. In an answer's id they are fewer than in a unit's own bag, and
# there fewer than a leader reads: so a unit can outnumber whatever stands there.
ANSWER_DIGITS, OWN_DIGITS, REQUEST_DIGITS = 15, 17, 18
MOST_DIGESTS = 20  # of the answers to one unit that a leader remembers

# In these hooks the unit may be in no relation yet, and Juju may list one that it must not touch.
EARLY = ('install', '-storage-attached')
FULL_LOOK = ('update-status', 'leader-elected', 'upgrade-charm')
# Only these hooks ask a refused unit for another CSR, so no layer can loop.
ASK_AGAIN = ('update-status', 'config-changed')

Bag = Mapping[str, Optional[str]]  # None is a key that this hook has deleted


# Texts.

@lru_cache(maxsize=1024)
def fault_in(text: str, labels: Sequence[str]) -> Optional[str]:
    """What is wrong with `text` as PEM blocks of these labels, or None.

    Text around the blocks is legal, and so are several blocks. The openssl command reads whatever
    passes (behind a BOM from version 3 on). The content of a block is not looked at.
    """
    encoded = text.encode('utf-8', 'replace')
    if len(encoded) > MAX_BYTES:
        return 'it has {} bytes, more than {}'.format(len(encoded), MAX_BYTES)
    if encoded.decode() != text:
        return 'it is not encodable as UTF-8'
    if '\0' in text:  # a database that ends a text there would have the unit ask for ever
        return 'it has a NUL'
    # At the start of a line only: a subject that a leader quotes may say anything.
    if re.search('^\ufeff?' + PRIVATE_KEY, text, re.I | re.M):
        return 'it holds a private key, and everybody in the model can read relation data'
    blocks = re.findall(PEM_BLOCK, text, re.M)
    # openssl reads no further than a block that is cut off, whatever its label.
    if len(blocks) < len(re.findall('^\ufeff?' + PEM_BEGIN, text, re.M)) \
            or not {label for label, _ in blocks}.intersection(labels):
        return 'it has no PEM block {}, or one that is cut off'.format(' or '.join(labels))
    sound = all(re.match(BASE64, ''.join(body.split())) for _, body in blocks)
    return None if sound else 'it has a PEM block with undecodable base64'


def requests_in(text: str) -> List[bytes]:
    """What the request blocks of `text` hold, however a signer has laid them out."""
    blocks = re.findall('-----BEGIN ({})-----(.*?)-----END \\1-----'.format(
        '|'.join(REQUEST_LABELS)), text, re.S)
    data = [re.sub('[^0-9A-Za-z+/]', '', body) for _, body in blocks]
    return [base64.b64decode(each + ('', 'A==', '==', '=')[len(each) % 4]) for each in data]


def fit_reason(reason: str) -> str:
    """`reason` in a form that every unit takes; it may quote what a peer put into its CSR."""
    fit = re.sub('[\0-\x1f\x7f-\x9f]', '?', reason[:4 * MAX_REASON])
    fit = fit.encode('utf-8', 'replace').decode()
    fit = re.sub(PRIVATE_KEY + '.*', '(a private key)', fit, flags=re.I)
    fit = fit.encode()[:MAX_REASON].decode(errors='ignore')
    return fit if reason.strip() and fit.strip() else 'no reason given'


def is_reason(text: str) -> bool:
    """Whether a unit takes `text` for the reason of a refusal."""
    return bool(text.strip()) and '\0' not in text \
        and len(text.encode('utf-8', 'replace')) <= MAX_REASON \
        and not re.search(PRIVATE_KEY, text, re.I)


# The rules of the wire: plain values in, plain values out.

class Request(NamedTuple):
    id: str
    csr: str


class Answer(NamedTuple):
    """One of certificate and refusal is None."""
    id: str
    certificate: Optional[str]
    refusal: Optional[str]


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()


def number_in(text: Optional[str], digits: int) -> int:
    """The N that is written there with at most so many digits, or 0."""
    return int(text) if text and re.match('[1-9][0-9]{,%d}\\Z' % (digits - 1), text) else 0


def id_of(number: int, csr: str) -> str:
    return '{}-{}'.format(number, sha256(csr))


def number_of(request_id: str, digits: int = REQUEST_DIGITS) -> int:
    return number_in(request_id.split('-')[0], digits)


def request_in(bag: Bag) -> Optional[Request]:
    """The request in a unit's bag, as a leader reads it; None if there is none."""
    number, csr = number_in(bag.get(CSR_NUMBER), REQUEST_DIGITS), bag.get(CSR)
    return Request(id_of(number, csr), csr) if number and csr else None


def keys_of(unit: str) -> List[str]:
    """The keys of the answer to that unit."""
    return [key.format(unit) for key in (CERTIFICATE, REFUSAL, ANSWER_ID)]


def values_in(bag: Bag, unit: str) -> List[Optional[str]]:
    """[certificate, refusal, id] as they stand there for that unit, usable or not."""
    return [bag.get(key) for key in keys_of(unit)]


def answer_in(bag: Bag, unit: str) -> Optional[Answer]:
    """The answer that stands there for that unit; None if a unit can take nothing of it.

    A certificate that is not sound is no answer, also where a refusal stands beside it.
    """
    certificate, refusal, request_id = values_in(bag, unit)
    if not re.match('[1-9][0-9]*-[0-9a-f]{64}\\Z', request_id or ''):
        return None
    if certificate:
        return None if fault_in(certificate, CERTIFICATE_LABELS) \
            else Answer(request_id, certificate, None)
    return Answer(request_id, None, refusal) if is_reason(refusal or '') else None


def answered_number(bag: Bag, unit: str) -> int:
    """The N of the answer that stands there for that unit; 0 without one."""
    answer = answer_in(bag, unit)
    return number_of(answer.id, ANSWER_DIGITS) if answer else 0


def waits(unit: str, request_id: str, bag: Bag) -> bool:
    """Whether that request of that unit needs an answer beside what stands there."""
    answer = answer_in(bag, unit)
    return not answer or answer.id != request_id \
        and number_of(answer.id, ANSWER_DIGITS) <= number_of(request_id)


def next_number(unit: str, csr: str, last: int, bag: Bag, answers: Bag) -> int:
    """The N for a new request of `unit`, whose last one had the number `last`."""
    number = 1 + max(last, number_in(bag.get(CSR_NUMBER), OWN_DIGITS),
                     answered_number(answers, unit))
    stands = answers.get(ANSWER_ID.format(unit))  # of any length, beside anything or nothing
    return number + 1 if id_of(number, csr) == stands else number


class Step(NamedTuple):
    """What follows for a unit's own request: it is `csr` (None: ask the layer) under `number`."""
    csr: Optional[str]
    number: int
    publish: bool


def next_step(record: 'Record', unit: str, bag: Bag, answers: Bag) -> Step:
    """What follows from the unit's record, its own bag and the application bag, row by row."""
    csr, text = bag.get(CSR), bag.get(CSR_NUMBER)
    number = number_in(text, OWN_DIGITS)
    # Nothing is remembered, and the bag has what the original published: adopt that.
    if not record.csr and not record.number and text is None \
            and csr and not fault_in(csr, REQUEST_LABELS):
        return Step(csr, next_number(unit, csr, 0, bag, answers), publish=True)
    # The bag has a later request, or another one under this number: something was restored, and
    # only the layer knows which key it has.
    later = number > record.number
    if csr != record.csr and (later or number == record.number and not record.unpublished):
        return Step(None, number, publish=False)
    if not record.csr:
        return Step(None, max(number, record.number), publish=False)
    # The bag has this request under a later number: that counts from now on.
    last = number if later else record.number
    # The request has no number yet, or an answer under a greater one leaves it without its own.
    unserved = later or not record.taken
    if record.unpublished or unserved and answered_number(answers, unit) > last:
        return Step(record.csr, next_number(unit, record.csr, last, bag, answers), publish=True)
    # The bag has an earlier request, or none; the greatest number has a digit too many to be read.
    return Step(record.csr, last, publish=number < last and text != str(last))


def obstacle(unit: str, request: Request, csr: Optional[str], order: Sequence[Optional[str]],
             answers: Bag) -> Optional[str]:
    """Why that request cannot be answered by what was made for `csr` or the order, or None.

    order: the unit's entry in the record's `handed_out`.
    """
    ordered, *digests = order
    if csr is None and request.id != ordered:
        return 'the unit has asked anew'
    if csr is not None and not requests_in(csr):
        return 'csr has no request block'
    if csr is not None and requests_in(csr) != requests_in(request.csr):
        return 'the unit has asked anew, or csr is not its request'
    # Compare and swap: ids alone would let an old order replace the answer of another leader, or
    # one that was made after `reissue`.
    if digest_of(answers, unit) in digests:
        return None
    # A request that was never handed out here may be answered while it waits.
    if request.id != ordered and waits(unit, request.id, answers):
        return None
    return 'another answer stands there than when it was handed out or answered here'


def digest_of(bag: Bag, unit: str) -> str:
    """The digest of the three values that stand there for that unit."""
    return sha256(repr(values_in(bag, unit)))


def units_in(bag: Bag, application: str) -> Set[str]:
    """The units that the application bag has keys of; other keys are the layer's own."""
    name = '({}/(?:0|[1-9][0-9]*))_(?:signed_certificate|refusal|csr_id)\\Z'.format(application)
    return {each.group(1) for each in (re.match(name, key) for key in bag if bag[key]) if each}


@dataclass
class Record:
    """All that a unit remembers; a cache. One of another shape counts as none (see `load`)."""

    relation: Optional[str] = None   # relation id
    csr: Optional[str] = None        # the current request; None: the layer is to make one
    number: int = 0                  # its N; of a request that is not published, that of the last
    unpublished: bool = False        # the request has no N yet: a later look publishes it
    outcome: Optional[dict] = None   # of the request: none yet, {'taken': True}, {'refused': why}
    leads: bool = False              # what is-leader answered last
    # On a leader, {unit: id}: the requests that no later hook has seen answered in the bag.
    waiting: Dict[str, str] = field(default_factory=dict)
    # {unit: [id that get_csr_map gave, digests of the answer that stood there and of those that
    # were written here since, the latest first]}. The commit of what was written may have failed.
    handed_out: Dict[str, list] = field(default_factory=dict)
    context: Optional[str] = None    # JUJU_CONTEXT_ID of the last look; None: this code is new

    @classmethod
    def load(cls) -> 'Record':
        """The record in unitdata; a new one if that was written by a later version, or damaged."""
        stored = unitdata.kv().get(RECORD)
        if not isinstance(stored, dict) or set(stored) - {each.name for each in fields(cls)}:
            return cls()
        try:
            record = cls(**stored)
            return record if record._is_sound() else cls()
        except (AttributeError, TypeError):  # a value of another type
            return cls()

    def _is_sound(self) -> bool:
        texts = [self.relation, self.csr, self.context, *self.waiting.values(),
                 *(text for texts in self.handed_out.values() for text in texts)]
        return all(text is None or isinstance(text, str) for text in texts) \
            and re.match('[^:]+:[0-9]+\\Z', self.relation or 'none:0') is not None \
            and [type(self.number), type(self.unpublished), type(self.leads)] == [int, bool, bool] \
            and None not in self.waiting.values() and [] not in self.handed_out.values() \
            and (self.outcome is None or self.taken or isinstance(self.refusal, str))

    def save(self) -> None:
        hookenv.cache[RECORD] = unitdata.kv().set(RECORD, asdict(self))

    @property
    def id(self) -> Optional[str]:
        """The id of the published request; None if there is none, so nothing answers it."""
        return id_of(self.number, self.csr) if self.csr and not self.unpublished else None

    @property
    def taken(self) -> bool:
        return self.outcome == {'taken': True}

    @property
    def refusal(self) -> Optional[str]:
        return (self.outcome or {}).get('refused')


class Relation:
    """What Juju shows of the peer relation that the record names, and what it takes.

    None is "cannot be read", and means nothing else; so it is where there is no relation. The
    relation id is always passed, since the running hook may be another relation's.
    """

    def __init__(self, record: Record):
        self.record = record
        self.application = hookenv.application_name()

    def unit_bag(self, unit: str) -> Optional[Bag]:
        rid = self.record.relation
        return _read(hookenv.relation_get, unit=unit, rid=rid) if rid else None

    def application_bag(self) -> Optional[Bag]:
        """With what this hook has written. The whole: Juju fetches all of it for one key, too."""
        rid = self.record.relation
        return _read(hookenv.relation_get, rid=rid, app=self.application) if rid else None

    def is_leader(self) -> Optional[bool]:
        """Within a hook it may become false, never true again: a write fails then."""
        return _read(hookenv.cached(hookenv.is_leader))

    def listed_units(self) -> Optional[Set[str]]:
        """The units that relation-list gives, and this one."""
        listed = _read(hookenv.related_units, self.record.relation)
        return None if listed is None else {hookenv.local_unit(), *listed}

    def expected_units(self) -> Optional[Set[str]]:
        """The units that goal-state gives: it drops who is gone.

        In Juju 4 relation-list goes on listing them (JSRC F1). To a subordinate's unit goal-state
        shows no unit at all, so it counts only if it lists this very unit.
        """
        expected = set((_read(hookenv.goal_state) or {}).get('units') or ())
        return expected if hookenv.local_unit() in expected else None

    def write(self, settings: Mapping[str, Optional[str]], app: bool = False) -> bool:
        """Write into this unit's own bag, or the application bag. False, and a log line, if the
        tool fails: nothing is written then."""
        try:
            hookenv.relation_set(self.record.relation, settings, app=app)
        except CalledProcessError as error:
            _log('{} not written: {}'.format('application bag' if app else 'request', error))
            hookenv.flush('is_leader')
            return False
        bag = self.application_bag() if app else None
        if bag is not None:
            bag.update(settings)  # charmhelpers goes on showing this dict
        return True


class Applicant:
    """This unit's own request: asked, compared with the bags, answered."""

    def __init__(self, record: Record, relation: Relation):
        self.record, self.relation = record, relation
        self.unit = hookenv.local_unit()

    def ask(self, csr: str) -> None:
        """Make `csr` the request. If it cannot be published now, a later look does it."""
        record = self.record
        record.csr, record.outcome, record.unpublished = csr, None, True
        bag, answers = self.relation.unit_bag(self.unit), self.relation.application_bag()
        if bag is not None and answers is not None:
            self._publish(csr, next_number(self.unit, csr, record.number, bag, answers))

    def compare(self) -> bool:
        """Bring record and own bag in line. False if a tool failed, so that nothing is known."""
        bag, answers = self.relation.unit_bag(self.unit), self.relation.application_bag()
        if bag is None or answers is None:
            return False
        record, step = self.record, next_step(self.record, self.unit, bag, answers)
        if step.publish:
            return self._publish(step.csr, step.number)
        if (step.csr, step.number) != (record.csr, record.number):
            record.csr, record.number, record.outcome = step.csr, step.number, None
        record.unpublished = False
        return True

    def _publish(self, csr, number) -> bool:
        if not self.relation.write({CSR: csr, CSR_NUMBER: number}):
            return False
        record = self.record
        if (csr, number) != (record.csr, record.number):
            record.csr, record.number, record.outcome = csr, number, None
        record.unpublished = False
        return True

    def take(self) -> None:
        """Store and announce what answers the request, if the unit has not got it yet."""
        record = self.record
        answers = self.relation.application_bag() if record.id else None
        if answers is None:
            return
        answer = answer_in(answers, self.unit)
        if not answer or answer.id != record.id:
            record.outcome = record.outcome if record.taken else None  # a refusal was lifted
            return
        if answer.refusal:
            record.outcome = {'refused': answer.refusal}
            return
        key = CERTIFICATE.format(self.unit)
        if not record.taken or answer.certificate != unitdata.kv().get(key):
            unitdata.kv().update({key: answer.certificate, SERVER_CERT: answer.certificate})
            _set(AVAILABLE, record.relation.split(':')[0])
        record.outcome = {'taken': True}

    def confirm(self, certificate: str) -> None:
        bag, digest = self.relation.unit_bag(self.unit), sha256(certificate)
        if bag is not None and bag.get(IN_USE) != digest:
            self.relation.write({IN_USE: digest})


class Leader:
    """The leader's side; on a unit that does not lead, nothing waits and nothing is published."""

    def __init__(self, record: Record, relation: Relation):
        self.record, self.relation = record, relation

    def answers(self) -> Optional[Bag]:
        """The application bag, if this unit leads; None if it does not, or if that is unknown.

        In Juju 4 a leader that has lost the lease cannot read it (JSRC A11).
        """
        leads = self.relation.is_leader()
        if leads is not None:
            self.record.leads = leads
            self.record.waiting = self.record.waiting if leads else {}
        return self.relation.application_bag() if leads else None

    def due(self) -> Dict[str, str]:
        """{unit: id} of the requests that wait, by the bag with what this hook has written."""
        waiting = self.record.waiting
        answers = self.relation.application_bag() if waiting else None
        due = {} if answers is None else {
            unit: each for unit, each in waiting.items() if waits(unit, each, answers)}
        return due if due and self.answers() is not None else {}

    def drop_answered(self) -> None:
        """Forget what the bag shows answered; for the start of a hook, before it has written."""
        answers = self.relation.application_bag() if self.record.waiting else None
        if answers is not None:
            self.record.waiting = {unit: each for unit, each in self.record.waiting.items()
                                   if waits(unit, each, answers)}

    def see_off(self, unit: str) -> None:
        """Forget `unit`, which has departed. Delete its answer if it is the one that leaves.

        A unit that leaves runs departed for each peer, and those stay.
        """
        self.record.waiting.pop(unit, None)
        self.record.handed_out.pop(unit, None)
        if self.record.leads and hookenv.departing_unit() == unit \
                and any(values_in(self.answers() or {}, unit)):
            self.relation.write(dict.fromkeys(keys_of(unit)), app=True)

    def survey(self, units: Optional[Set[str]] = None) -> Set[str]:
        """Judge afresh whose requests wait: every member's, or those of `units`.

        It refuses what is malformed, and deletes the answers to units that are gone. Returns the
        units; none if this unit does not lead, or cannot write.
        """
        answers, settings = self.answers(), {}  # type: Optional[Bag], Dict[str, Optional[str]]
        if answers is None:
            return set()
        if units is None:
            units, gone = self._members(answers)
            settings = {key: None for unit in gone for key in keys_of(unit)}
        for unit in sorted(units):
            bag = self.relation.unit_bag(unit)
            if bag is not None:  # else what waits for it goes on waiting
                self._judge(unit, bag, answers, settings)
        return units if not settings or self.relation.write(settings, app=True) else set()

    def _judge(self, unit, bag, answers, settings) -> None:
        """Add the unit to those who wait, or its refusal to `settings`."""
        request, known = request_in(bag), self.record.waiting.pop(unit, None)
        if not request:
            if CSR_NUMBER in bag:
                _log('request of {} is left out: csr_number or csr is malformed'.format(unit))
        # What is known to wait may have been answered in this hook, which is not yet committed.
        elif request.id == known or waits(unit, request.id, answers):
            fault = fault_in(request.csr, REQUEST_LABELS)
            if not fault:
                self.record.waiting[unit] = request.id
            else:
                _log('request of {} is refused: {}'.format(unit, fault))
                settings.update(zip(keys_of(unit), (None, fault, request.id)))

    def _members(self, answers) -> Tuple[Set[str], Set[str]]:
        """(the members, those who are gone and have an answer); forgets who is no member."""
        record, local = self.record, hookenv.local_unit()
        listed, expected = self.relation.listed_units(), self.relation.expected_units()
        members = {local, *record.waiting} if listed is None else listed
        members = members & expected if expected else members
        if listed is not None:
            known = listed.union(expected or ())
            record.waiting = {unit: record.waiting[unit] for unit in members & set(record.waiting)}
            record.handed_out = {unit: each for unit, each in record.handed_out.items()
                                 if unit in known}
        return members, units_in(answers, self.relation.application) - expected \
            if expected else set()

    def hand_out(self) -> Dict[str, str]:
        """{unit: CSR} of what waits; from now on `answer` answers these."""
        self.survey(set(self.due()))
        answers, requests = self.answers(), {}
        for unit in sorted(self.due()):
            request = self._request(unit)
            if request:
                requests[unit] = request.csr
                self.record.handed_out[unit] = [request.id, digest_of(answers, unit)]
        return requests

    def _request(self, unit: str) -> Optional[Request]:
        return request_in(self.relation.unit_bag(unit) or {})

    def answer(self, unit: str, csr: Optional[str], certificate: Optional[str] = None,
               refusal: Optional[str] = None) -> Optional[str]:
        """Publish the one or the other for the unit's request; else return why not."""
        order = self.record.handed_out.get(unit, [None])
        if csr is None and order == [None]:
            return 'get_csr_map() never handed out a request of it here, or it has left'
        answers = self.answers()
        if answers is None:
            return 'this unit does not lead, or sees no application bag'
        if unit not in self.record.waiting and unit not in self._members(answers)[0]:
            return 'the unit has left'
        request = self._request(unit)
        if not request:
            return 'its request cannot be read'
        reason = obstacle(unit, request, csr, order, answers)
        if reason:
            return reason
        new = dict(zip(keys_of(unit), (certificate, refusal, request.id)))
        digests = [digest_of(new, unit), digest_of(answers, unit), *order[1:]]
        self.record.handed_out[unit] = [order[0], *list(dict.fromkeys(digests))[:MOST_DIGESTS]]
        # Until a later hook has seen it in the bag, the leader's own that is replaced included.
        self.record.waiting[unit] = request.id
        return None if self.relation.write(new, app=True) else 'relation-set failed, see above'

    def reissue(self, unit_name: Optional[str]) -> None:
        """Have the answers of one unit, or of all, count as none; ValueError if that fails."""
        answers = self.answers()
        if answers is None:
            raise ValueError('reissue: this unit does not lead, or sees no application bag')
        # By the bag, not by who is listed: this leader may not have met every unit yet.
        units = {unit for unit in units_in(answers, self.relation.application)
                 if unit_name in (None, unit) and answers.get(ANSWER_ID.format(unit))}
        if unit_name is not None and not units:
            raise ValueError('reissue for {}: there is no answer to that unit'.format(unit_name))
        # A token, so that "answered, then reissued" is not mistaken for "never answered".
        again = dict.fromkeys(map(ANSWER_ID.format, units), 'reissue-' + os.urandom(16).hex())
        again.update(dict.fromkeys(map(REFUSAL.format, units)))
        if again and not self.relation.write(again, app=True) or self.answers() is None:
            raise ValueError('reissue: this unit lost the leadership, or cannot write')
        self.survey()

    def view(self) -> Dict[str, dict]:
        """What `TlsPeers.get_requests` returns."""
        members, requests = self.survey(), {}
        answers, due = self.relation.application_bag() or {}, self.due()
        for unit in sorted(members):
            bag, answer = self.relation.unit_bag(unit) or {}, answer_in(answers, unit)
            request = request_in(bag)
            state = 'none' if not request else 'waiting' if unit in due \
                else 'refused' if answer and answer.refusal else 'answered'
            certificate, reason, answer_id = values_in(answers, unit)
            requests[unit] = {
                'state': state, 'csr': request and request.csr, 'csr_id': request and request.id,
                'answer_id': answer_id, 'certificate': certificate, 'reason': reason,
                'in_use': bool(certificate) and bag.get(IN_USE) == sha256(certificate)}
        return requests


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

    The flags are set and cleared here. A layer may clear them, too: the first two come back in the
    next hook while their reason lasts. Every method works in every hook, also where there is no
    relation (yet, or any more), and in every action that runs charms.reactive.main().
    """

    def __init__(self, relation_name, conversations=None):
        # Not the base class's, which without conversations joins one from whatever hook is
        # running, another relation's included. None is needed here: every call names its unit.
        self._relation_name, self._conversations = relation_name, []

    # For every unit.

    def set_csr(self, csr: str) -> None:
        """Ask for a certificate: publish `csr` (PEM text) as this unit's request.

        The leader finds it in `get_csr_map()`. Its answer arrives as "signed certificate
        available" in a later hook; until then the certificate in use stays in unitdata. While the
        request waits, the same text changes nothing, and another text replaces it. After the
        answer any call is a new request, with the same text, too: that is how to renew. A CSR
        that was refused (see `get_refusal`) is not published again, and the log says so.

        If the request cannot be published now (there is no relation yet, or a hook tool fails),
        it is kept, and a later hook publishes it: `update-status` at the latest.

        Raises TypeError if `csr` is not a str; ValueError if it is longer than 64 KiB, has a NUL,
        has no sound PEM block CERTIFICATE REQUEST, or holds a private key. Then nothing changes.
        """
        unit = hookenv.local_unit()
        _require('CSR for ' + unit, csr, REQUEST_LABELS)
        with self._opened() as (applicant, leader):
            record = applicant.record
            if csr == record.csr and not record.taken:
                if record.refusal:
                    _log('request not published, it was refused: ' + record.refusal)
                return
            if not record.relation and not hookenv.hook_name().endswith(EARLY):
                record.relation = self._newest_relation(None)
            applicant.ask(csr)
            self._flag(CREATE, False)
            self._flag(AVAILABLE, False)
            # No hook tells a unit of its own write: a leader's own request waits from here on.
            if record.id and record.leads and leader.answers() is not None:
                record.waiting[unit] = record.id

    def get_signed_cert(self) -> Optional[str]:
        """This unit's certificate, as `set_cert` got it; None before the first.

        While a renewal waits it is still the old one, which is the one in use.
        """
        return unitdata.kv().get(CERTIFICATE.format(hookenv.local_unit()))

    def confirm_cert(self) -> None:
        """Tell the leader that the certificate of `get_signed_cert()` is in use.

        Optional. Call it in `update-status`, or where somebody waits for it, as in a change of CA:
        each new certificate costs every peer a `changed` hook. The leader then has `in_use` True
        for this unit in `get_requests()`. Nothing happens without a certificate or a relation, or
        if that certificate is confirmed already.
        """
        with self._opened() as (applicant, _):
            certificate = self.get_signed_cert()
            if certificate:
                applicant.confirm(certificate)

    def get_refusal(self) -> Optional[str]:
        """Why the leader will not sign this unit's current request, or None.

        While there is a reason, each `update-status` and `config-changed` sets "create certificate
        signing request": the layer is to ask with another CSR. The leader lifts the refusal by
        `reissue`, or by a certificate after all.
        """
        with self._opened() as (applicant, _):
            return applicant.record.refusal

    # For the leader.

    def get_csr_map(self) -> Dict[str, str]:
        """{unit name: CSR} of the requests that wait now, the leader's own included.

        Empty on a unit that does not lead. The names are Juju's. The CSRs are what the units
        wrote: sound PEM that nobody has looked into, so take no name or address from them.
        `set_cert` and `refuse_csr` answer these very requests, in this hook or a later one.
        """
        with self._opened() as (_, leader):
            return leader.hand_out()

    def set_cert(self, unit_name: str, certificate: str, csr: Optional[str] = None) -> None:
        """Answer the request of `unit_name`: the one that `get_csr_map()` last handed out here.

        `certificate` is PEM text, and reaches the unit as it is, with chain and text around the
        blocks. For a request that this unit has answered it replaces the answer. With `csr`, the
        CSR that the certificate was made for, it answers only if that is still the unit's request:
        for layers that sign later, or elsewhere, and call `get_csr_map()` meanwhile. CSRs are
        compared by the content of their blocks, not by line ends or the text around.

        Nothing is published, and the log says why, if the unit has asked anew or has left, if
        `get_csr_map()` on this unit handed out no request of it, if this unit no longer leads, or
        if the answer in the bag is another than when the request was handed out or answered here
        (another leader answered it, or `reissue` was called). What waits then is in
        `get_csr_map()`, here or on the leader.

        Raises TypeError if an argument is not a str; ValueError if `unit_name` is not the name of
        a unit of this application, or if `certificate` is longer than 64 KiB, has a NUL, has no
        sound PEM block CERTIFICATE, or holds a private key. Then nothing changes.
        """
        _require_unit(unit_name)
        _require('certificate for ' + unit_name, certificate, CERTIFICATE_LABELS)
        self._answer('certificate', unit_name, csr, certificate=certificate)

    def refuse_csr(self, unit_name: str, reason: str, csr: Optional[str] = None) -> None:
        """Answer the request of `unit_name` with a no; which request, and when not, as `set_cert`.

        On that unit `get_refusal()` returns `reason`, and its next `update-status` or
        `config-changed` sets "create certificate signing request". A certificate in use stays.
        The request is not handed out again. Another CSR of the unit is, and `reissue` lifts the
        refusal. For "not now", do not call it: a request without an answer goes on waiting.

        A reason may quote what the CSR says: it is cut to 1 kB, control characters become `?`, a
        private key `(a private key)`, and a blank reason `no reason given`.

        Raises TypeError if an argument is not a str; ValueError if `unit_name` is not the name of
        a unit of this application. Then nothing changes.
        """
        _require_unit(unit_name)
        _require('refusal for ' + unit_name, reason)
        self._answer('refusal', unit_name, csr, refusal=fit_reason(reason))

    def _answer(self, what, unit_name, csr, **answer):
        _require('CSR', '' if csr is None else csr)
        with self._opened() as (_, leader):
            obstacle = leader.answer(unit_name, csr, **answer)
            if obstacle:
                _log('{} for {} not published: {}'.format(what, unit_name, obstacle))

    def reissue(self, unit_name: Optional[str] = None) -> None:
        """Have the answered request of one unit, or of every unit, wait again; refused ones, too.

        For example after a change of CA. The requests are back in `get_csr_map()`, on whatever
        unit leads. Each unit keeps its certificate until `set_cert` brings another. What
        `get_csr_map()` handed out before is not answered any more until it hands that out again;
        a layer that signs later drops its open orders. It is part of this hook or action: if that
        is not committed, nothing was reissued.

        Raises TypeError if `unit_name` is not a str; ValueError if it is not the name of a unit of
        this application, if that unit has no answer, or if this unit does not lead, loses the
        leadership meanwhile, or cannot read or write the application bag.
        """
        if unit_name is not None:
            _require_unit(unit_name)
        with self._opened() as (_, leader):
            leader.reissue(unit_name)

    def get_requests(self) -> Dict[str, dict]:
        """{unit name: dict} of all members, this unit included; empty if it does not lead.

        state        'waiting' exactly for what `get_csr_map()` gives; 'answered', 'refused', or
                     'none' if there is no request, or none that can be read
        csr, csr_id  the request, as far as this unit sees it now, or None
        answer_id    the request that the answer is for, or `reissue-TOKEN`
        certificate  the certificate that is published for the unit, or None
        reason       why it was refused, or None
        in_use       True if the unit has confirmed that very certificate (`confirm_cert`)

        For a status, an action or a decision: it reads the bag of every member.
        """
        with self._opened() as (_, leader):
            return leader.view()

    # The look at the start of every hook.

    def look(self) -> None:
        """Bring record and flags in line with what the hook tells, or with all that is visible.

        Once a hook: a second look would take what this hook has written for committed.
        """
        record, context = Record.load(), os.environ.get('JUJU_CONTEXT_ID')
        if context and context == record.context:
            return
        is_first, record.context = record.context is None, context
        hook, (event, unit) = hookenv.hook_name(), self._event(record)
        applicant, leader = _sides(record)
        compared, early = None, hook.endswith(EARLY)
        if event == 'created' or (is_first or hook in FULL_LOOK) and not early:
            # created: leader-elected follows, or upgrade-charm has asked already.
            compared = self._look_at_all(applicant, leader, is_first or event != 'created')
        elif record.waiting:
            applicant.take()  # Juju need not tell a leader of its own write
        leader.drop_answered()
        self._hear(event, unit, applicant, leader)
        if compared is None and not (record.csr or early or is_flag_set(CREATE)):
            compared = self._look_at_own(applicant, leader)
        self._settle_flags(applicant, leader, compared)
        record.save()

    def _event(self, record: Record) -> Tuple[Optional[str], str]:
        """What this hook tells of the peer relation, and of which unit: ('changed', 'app/1').

        The unit is '' where all of the relation changed, or the application bag. A newer relation
        than the record's counts as created: that hook can be missed, since an agent that restarts
        assumes it done. Two ids are listed for one endpoint in Juju 3; the newest counts.
        """
        relation, event = hookenv.relation_id(), hookenv.hook_name().rsplit('-', 1)[-1]
        if relation and relation == record.relation:
            return event, hookenv.remote_unit() or ''
        if not relation or event == 'broken' \
                or self._newest([relation, record.relation]) != relation:
            return None, ''  # no relation's hook, another relation's, or an older one's
        record.relation, record.waiting = relation, {}
        return 'created', ''

    def _hear(self, event, unit, applicant: Applicant, leader: Leader) -> None:
        """Act upon what a hook of the peer relation tells."""
        record = leader.record
        if event == 'changed' and not unit:  # the application bag
            applicant.take()
        elif event == 'changed' and record.leads:  # a follower will look when it leads
            leader.survey({unit})
        elif event == 'departed':
            leader.see_off(unit)
        elif event == 'broken':
            record.relation, record.waiting, record.handed_out = None, {}, {}

    def _look_at_all(self, applicant: Applicant, leader: Leader, asks: bool) -> bool:
        """Work everything out from the bags; `asks` also which relation, and who leads."""
        record = applicant.record
        if asks:
            record.relation = self._newest_relation(record.relation)
            leader.answers()
        compared = applicant.compare()
        applicant.take()
        if record.leads:
            leader.survey()
        return compared

    def _look_at_own(self, applicant: Applicant, leader: Leader) -> bool:
        """For a unit without a request: is there one to adopt in its own bag?"""
        compared = applicant.compare()
        if applicant.record.id and applicant.record.leads:
            leader.survey({applicant.unit})
        return compared

    def _newest_relation(self, known: Optional[str]) -> Optional[str]:
        """The newest relation id that Juju lists; `known` if that cannot be read."""
        ids = _read(hookenv.relation_ids, self.relation_name)
        return self._newest([known] if ids is None else ids)

    def _newest(self, ids: Sequence[Optional[str]]) -> Optional[str]:
        """Of these relation ids; those of an endpoint that a refresh has renamed do not count."""
        ours = [each for each in ids if each and each.split(':')[0] == self.relation_name]
        return max(ours, key=lambda each: int(each.split(':')[1]), default=None)

    # The record and the flags.

    @contextmanager
    def _opened(self) -> Iterator[Tuple[Applicant, Leader]]:
        """Both sides with the record, for a method to change; it is saved unless that raises.

        Only those flags change that the change is about: a flag that the layer has cleared itself
        would else come back at once, and its handler would run again and again.
        """
        _start()  # a layer's own atstart may call a method before
        record = Record.load()
        if hookenv.cache.get(RECORD, asdict(record)) != asdict(record):
            hookenv.flush(str(record.relation))  # another process of this hook wrote: a bash handler
        applicant, leader = _sides(record)
        before = set(leader.due().items())
        yield applicant, leader
        due = set(leader.due().items())
        if not due or due - before:
            self._flag(SIGN, due)
        record.save()

    def _settle_flags(self, applicant: Applicant, leader: Leader, compared: Optional[bool]) -> None:
        """compared: whether this hook has seen the unit's own bag; None if it did not look."""
        record, is_set = applicant.record, is_flag_set(CREATE)
        may_ask = hookenv.hook_name() in ASK_AGAIN and compared is not False
        self._flag(CREATE, record.relation and (
            not record.csr and (compared or is_set) or record.refusal and (may_ask or is_set)))
        self._flag(SIGN, leader.due())
        self._flag(AVAILABLE, record.taken and is_flag_set(AVAILABLE))

    def _flag(self, flag, on) -> None:
        if on:
            _set(flag, self.relation_name)
        elif is_flag_set(flag):
            clear_flag(flag)


def _sides(record: Record) -> Tuple[Applicant, Leader]:
    relation = Relation(record)
    return Applicant(record, relation), Leader(record, relation)


def _set(flag, endpoint) -> None:
    # By this value charms.reactive finds the object for the handler. A flag that is set already
    # may have that of an endpoint since renamed.
    set_flag(flag, {'relation': endpoint, 'conversations': []})


def _read(tool, *arguments, **named):
    """What a hook tool says; None and a line in the log if it fails.

    A read that fails fails no hook: that would block the `update-status` that heals.
    """
    try:
        return tool(*arguments, **named)
    except (CalledProcessError, NotImplementedError, ValueError) as error:
        _log('{} of {} failed: {}'.format(tool.__name__, named or arguments, error))
        return None


def _require(what: str, text: str, labels: Sequence[str] = ()) -> None:
    """Raise what is wrong with the text, as PEM if there are labels."""
    if not isinstance(text, str):
        raise TypeError('{}: expected str, not {}'.format(what, type(text).__name__))
    fault = fault_in(text, labels) if labels else None
    if fault:
        raise ValueError('{}: {}'.format(what, fault))


def _require_unit(name: str) -> None:
    _require('unit name', name)
    application = hookenv.application_name()
    if not re.match('{}/(0|[1-9][0-9]*)\\Z'.format(re.escape(application)), name):
        raise ValueError('{!r:.80} is not the name of a unit of {}'.format(name, application))


def _log(message: str) -> None:
    # An argument of juju-log: no NUL, and not too long, whatever a bag holds.
    hookenv.log('interface:tls: ' + message.replace('\0', '?')[:2000], level=hookenv.WARNING)


def _start() -> None:
    """At the start of each hook, before any handler.

    `@hook` on a method gets no object outside relation hooks, and runs in no defined order.
    """
    endpoints = hookenv.role_and_interface_to_relations('peers', 'tls')
    if len(endpoints) > 1:
        raise ValueError('interface:tls: one endpoint of it, not ' + ' and '.join(endpoints))
    for endpoint in endpoints:
        TlsPeers(endpoint).look()


hookenv.atstart(_start)
