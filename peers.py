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
                       [unit-name]_csr_id             the id of the answered request: N-DIGEST;
                                                      or reissue-TOKEN: to be answered again

DIGEST is the SHA-256 of the CSR's text, so an id says what was asked. Only a certificate beside the
id of a CSR is taken for the answer to it, whatever was restored, reused or replayed. N only says
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

The record of a unit, which is what it remembers, is a cache; the bags are the truth. Hooks are
skipped, run twice or not committed, and disks and controllers are restored, so whatever the record
holds is checked again. Most hooks look only at what they are about. A full look, in `update-status`
at the latest, works everything out from the bags. A bag that cannot be read is unknown, which is
not the same as empty: nothing is decided by it, and a later look decides.

"JSRC A11" and the like are rules of Juju; tests/fakejuju/RULES.md lists them with their sources.
"""
import hashlib
import os
import re
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from subprocess import CalledProcessError
from typing import Dict, Iterator, List, NamedTuple, Optional, Set, Tuple

from charmhelpers.core import hookenv, unitdata
from charms.reactive import RelationBase, clear_flag, is_flag_set, set_flag

CREATE = 'create certificate signing request'
SIGN = 'sign certificate signing request'
AVAILABLE = 'signed certificate available'

# Keys of a unit's bag; then those of the application bag. The first of these is in unitdata, too.
CSR, CSR_NUMBER, IN_USE = 'csr', 'csr_number', 'certificate_in_use'
CERTIFICATE, REFUSAL, ANSWER_ID = '{}_signed_certificate', '{}_refusal', '{}_csr_id'

# Keys of unitdata: the one that the original's README reads, and `Record`.
SERVER_CERT, RECORD = 'tls.server.certificate', 'interface.tls'
TAKEN = {'taken': True}  # an outcome

# The most bytes of a request or a certificate, also of one that a peer wrote; and of a refusal.
MAX_BYTES, MAX_REASON = 64 * 1024, 1024
REQUEST_LABELS = ('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
CERTIFICATE_LABELS = ('CERTIFICATE',)
PEM_BEGIN = r'-----BEGIN (.*)-----[ \t]*\r?$'
PEM_BLOCK = (r'(?:\A\ufeff|^)' + PEM_BEGIN + r'\n((?:[ \t]*[0-9A-Za-z+/=][0-9A-Za-z+/= \t]*\r?\n)+)'
             r'-----END \1-----[ \t]*\r?$')
BASE64 = '(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?\\Z'
# How a private key begins: PEM, OpenSSH and OpenPGP; `openssl pkey -text`; PuTTY.
PRIVATE_KEY = (r'(?:-{0,5} ?BEGIN .*PRIVATE[ \t]+KEY([ \t]+BLOCK)?[ \t]*----|Private-Key:'
               r'|PuTTY-User-Key-File-|Private-Lines:)')

# The most digits of an N that counts: in an answer's id, in a unit's own bag as the unit reads it,
# and as a leader reads it. Each is more than the one before, so a unit can outnumber any N that
# counts.
ANSWER_DIGITS, OWN_DIGITS, REQUEST_DIGITS = 15, 17, 18
MOST_DIGESTS = 20  # of the answers to one unit that a leader remembers

# In these hooks the unit may be in no relation, though Juju lists one; that one must not be
# touched.
EARLY = ('install', '-storage-attached')
FULL_LOOK = ('update-status', 'leader-elected', 'upgrade-charm')
# Only these hooks ask a refused unit for another CSR, so no layer can loop.
ASK_AGAIN = ('update-status', 'config-changed')

Bag = Dict[str, Optional[str]]  # None: this hook has deleted the key


# Texts.

@lru_cache(maxsize=1024)
def fault_in(text: str, labels: Tuple[str, ...]) -> Optional[str]:
    """What is wrong with `text` as PEM blocks of these labels, or None.

    Text around the blocks is legal, and so are several blocks. The openssl command reads whatever
    passes (after a byte order mark, only from version 3 on). What a block decodes to is not looked
    at.
    """
    size = len(text.encode('utf-8', 'replace'))
    if size > MAX_BYTES:
        return 'it has {} bytes, more than {}'.format(size, MAX_BYTES)
    # If a database ends the text at a NUL, the unit asks for ever.
    if re.search('[\0\ud800-\udfff]', text):
        return 'it has a NUL, or is not encodable as UTF-8'
    # At the start of a line only: text beside a certificate may quote any subject.
    if re.search('^\ufeff?(?:\\w+ (?=Private))?' + PRIVATE_KEY, text, re.I | re.M):
        return 'it holds a private key, and everybody in the model can read relation data'
    blocks = re.findall(PEM_BLOCK, text, re.M)
    # openssl reads no further than a block that is cut off, whatever its label.
    if len(blocks) < len(re.findall('^\ufeff?' + PEM_BEGIN, text, re.M)) \
            or not {label for label, _ in blocks}.intersection(labels):
        return 'it has no PEM block {}, or one that is cut off'.format(' or '.join(labels))
    sound = all(re.match(BASE64, ''.join(body.split())) for _, body in blocks)
    return None if sound else 'it has a PEM block with undecodable base64'


def requests_in(text: str) -> List[str]:
    """The base64 in the request blocks of `text`, however the lines of these are broken."""
    blocks = re.findall('-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([^-]*)-----END', text)
    return [re.sub('[^0-9A-Za-z+/]', '', body) for body in blocks]


def fit_reason(reason: str) -> str:
    """`reason` in a form that every unit takes; it may quote what a peer put into its CSR."""
    fit = re.sub('[\0-\x1f\x7f-\x9f\ud800-\udfff]', '?', reason[:4 * MAX_REASON])
    fit = re.sub(PRIVATE_KEY + '.*', '(a private key)', fit, flags=re.I)
    fit = fit.encode()[:MAX_REASON].decode(errors='ignore')
    return fit if reason.strip() and fit.strip() else 'no reason given'


def is_reason(text: str) -> bool:
    """Whether a unit accepts `text` as the reason of a refusal."""
    return len(text.encode('utf-8', 'replace')) <= MAX_REASON and text.strip() != '' \
        and not re.search('\0|' + PRIVATE_KEY, text, re.I)


# The rules of the wire: plain values in, plain values out.

class Answer(NamedTuple):
    """An answer that a unit can take; Answer() stands for none."""
    id: Optional[str] = None    # of the request that it is for
    number: int = 0             # N of that id, 0 if it has too many digits to be believed
    certificate: Optional[str] = None
    refusal: Optional[str] = None


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()


def id_of(number: int, csr: str) -> str:
    return '{}-{}'.format(number, sha256(csr))


def number_in(text: Optional[str], digits: int) -> int:
    """The N that `text` is, or 0 if it is none or has more than that many digits."""
    return int(text) if text and re.match('[1-9][0-9]{,%d}\\Z' % (digits - 1), text) else 0


def request_in(bag: Optional[Bag]) -> Tuple[str, str]:
    """(id, CSR) in a unit's bag, as a leader reads it; ('', '') without a request."""
    number, csr = number_in((bag or {}).get(CSR_NUMBER), REQUEST_DIGITS), (bag or {}).get(CSR)
    return (id_of(number, csr), csr) if number and csr else ('', '')


def keys_of(unit: str) -> List[str]:
    """The keys of the answer to that unit."""
    return [key.format(unit) for key in (CERTIFICATE, REFUSAL, ANSWER_ID)]


def values_in(bag: Bag, unit: str) -> List[Optional[str]]:
    """[certificate, refusal, id] in the application bag for that unit, usable or not."""
    return [bag.get(key) for key in keys_of(unit)]


def answer_in(bag: Bag, unit: str) -> Answer:
    """The answer that stands in the application bag for that unit.

    A certificate that is not usable is no answer, even with a refusal beside it.
    """
    certificate, refusal, request_id = values_in(bag, unit)
    match = re.match('([1-9][0-9]*)-[0-9a-f]{64}\\Z', request_id or '')
    refusal = None if certificate else refusal
    is_usable = is_reason(refusal or '') if not certificate \
        else not fault_in(certificate, CERTIFICATE_LABELS)
    return Answer(request_id, number_in(match.group(1), ANSWER_DIGITS), certificate, refusal) \
        if match and is_usable else Answer()


def waits(request_id: str, answer: Answer) -> bool:
    """Whether that request needs another answer than this one, which stands in the bag."""
    number = number_in(request_id.split('-')[0], REQUEST_DIGITS)
    return request_id != answer.id and number >= answer.number


def next_number(csr: str, last: int, stands: Optional[str]) -> int:
    """The N for a new request: greater than `last`, and such that its id is not `stands`."""
    return last + 2 if id_of(last + 1, csr) == stands else last + 1


def next_step(record: 'Record', unit: str, bag: Bag, answers: Bag, asks: bool) -> tuple:
    """What becomes of a unit's own request: (CSR, N, whether to publish that).

    It follows from the unit's record, its own bag and the application bag, case by case. `asks`:
    the layer has made the request in this hook, so whatever is in the bag is older.
    """
    csr, text, answered = bag.get(CSR), bag.get(CSR_NUMBER), answer_in(answers, unit).number
    stands = answers.get(ANSWER_ID.format(unit))  # however long, with or without an answer
    number = number_in(text, OWN_DIGITS)
    last, is_later = max(number, record.number), number > record.number
    # Nothing is remembered, and the bag has what the original published: adopt that.
    if not (record.csr or last or text) and csr and not fault_in(csr, REQUEST_LABELS):
        return csr, next_number(csr, answered, stands), True
    # The bag has a later request, or another request under this number or under one that does not
    # count: something was restored, and only the layer knows which key there is.
    is_other = text and number in (0, record.number) and not record.unpublished
    if not record.csr or csr != record.csr and not asks and (is_later or is_other):
        return None, last, False
    # The request has no number yet, or an answer with a greater one keeps it from being answered.
    if record.unpublished or answered > last and (is_later or record.outcome != TAKEN):
        return record.csr, next_number(record.csr, max(last, answered), stands), True
    # The bag has this request under a later number, which counts; or under an earlier one, or none:
    # publish it. (The number after the greatest that is read has a digit more.)
    return record.csr, last, number < last and text != str(last)


def obstacle(unit: str, bag: Optional[Bag], answers: Bag, csr: Optional[str], ordered, *digests):
    """Why the request in that bag cannot be answered by what was made for `csr` or for the id
    `ordered`; None if it can. digests: those of the answers that may be replaced."""
    request_id, current = request_in(bag)
    if not request_id or fault_in(current, REQUEST_LABELS):
        return 'its request cannot be read'
    if request_id != ordered if csr is None else requests_in(csr) != requests_in(current):
        return 'the unit has asked anew, or `csr` is not its request'
    # Compare and swap: ids alone would let an old order replace the answer of another leader, or
    # one that was made after `reissue`. What was never handed out may be answered while it waits.
    if digest_of(answers, unit) not in digests \
            and (request_id == ordered or not waits(request_id, answer_in(answers, unit))):
        return 'another answer stands there than when it was handed out or answered here'
    return None


def digest_of(bag: Bag, unit: str) -> str:
    """The digest of the three values that stand there for that unit."""
    return sha256(repr(values_in(bag, unit)))


def units_in(bag: Bag, application: str) -> Set[str]:
    """The units that the application bag has keys of; other keys are the layer's own."""
    name = '({}/(?:0|[1-9][0-9]*))_(?:signed_certificate|refusal|csr_id)\\Z'.format(application)
    return {each.group(1) for each in (re.match(name, key) for key in bag if bag[key]) if each}


@dataclass
class Record:
    """All that a unit remembers; a cache."""

    relation: Optional[str] = None   # relation id
    csr: Optional[str] = None        # the current request; None: the layer is to make one
    number: int = 0                  # its N; while it is unpublished, that of the last
    unpublished: bool = False        # the request has no N yet: a later look publishes it
    # Of the request: none yet, TAKEN, or {'refused': reason}.
    outcome: dict = field(default_factory=dict)
    leads: bool = False              # what is-leader answered last
    # On a leader, {unit: id}: the requests that no later hook has seen answered in the bag.
    waiting: Dict[str, str] = field(default_factory=dict)
    # {unit: [id that get_csr_map gave, digests of the answer that stood there and of those that
    # were written here since, the latest first]}. The commit of what was written may have failed.
    handed_out: Dict[str, list] = field(default_factory=dict)
    context: Optional[str] = None    # JUJU_CONTEXT_ID of the last look; None: this code is new

    @classmethod
    def load(cls) -> 'Record':
        """The record in unitdata; a new one if that has another shape, perhaps of a later version.

        A field that an earlier version did not have takes its default.
        """
        stored, shape = unitdata.kv().get(RECORD), vars(cls(relation='', csr='', context=''))
        known = {key: value for key, value in (stored if isinstance(stored, dict) else {}).items()
                 if value is not None}
        is_sound = all(type(value) is type(shape.get(key)) for key, value in known.items())
        return cls(**known) if is_sound else cls()

    def save(self) -> None:
        hookenv.cache[RECORD] = unitdata.kv().set(RECORD, asdict(self))

    @property
    def id(self) -> Optional[str]:
        """The id of the published request; None if there is none, so nothing answers it."""
        return id_of(self.number, self.csr) if self.csr and not self.unpublished else None


class Relation:
    """Reads and writes the bags of the peer relation that the record names.

    None means "cannot be read", and nothing else; it is returned where there is no relation, too.
    The relation id is always passed, since the running hook may be another relation's.
    """

    def __init__(self, record: Record):
        self.record, self.unit, self.app = record, hookenv.local_unit(), hookenv.application_name()

    def bag(self, **owner: str) -> Optional[Bag]:
        """The bag of `unit` or of `app`, with what this hook has written. It is read whole, as Juju
        fetches all of it even for one key."""
        rid = self.record.relation
        return _read(hookenv.relation_get, rid=rid, **owner) if rid else None

    def write(self, settings: Bag, app: bool = False) -> bool:
        """Write into this unit's own bag, or the application bag. False if the tool fails."""
        try:
            hookenv.relation_set(self.record.relation, settings, app=app)
        except CalledProcessError as error:
            _log('{} not written: {}'.format('application bag' if app else 'request', error))
            hookenv.flush('is_leader')  # perhaps this unit leads no more
            return False
        bag = self.bag(app=self.app) if app else None
        if bag is not None:
            bag.update(settings)  # charmhelpers goes on showing this dict
        return True


class UnitSide(Relation):
    """This unit's own request: asked, compared with the bags, answered."""

    def compare(self, asks: bool = False) -> bool:
        """Bring record and own bag in line. False if a tool failed: then nothing has changed."""
        record, bag, answers = self.record, self.bag(unit=self.unit), self.bag(app=self.app)
        if bag is None or answers is None:
            return False
        csr, number, publish = next_step(record, self.unit, bag, answers, asks)
        if publish and not self.write({CSR: csr, CSR_NUMBER: str(number)}):
            return False
        is_same = (csr, number) == (record.csr, record.number)
        record.outcome = record.outcome if is_same else {}
        record.csr, record.number, record.unpublished = csr, number, False
        return True

    def take(self) -> None:
        """Store and announce the answer to the request, if the unit does not have it yet."""
        record, key = self.record, CERTIFICATE.format(self.unit)
        answers = self.bag(app=self.app) if record.id else None
        answer = answer_in(answers or {}, self.unit)
        answer = answer if answer.id == record.id else Answer()
        is_taken = answer.certificate or record.outcome == TAKEN  # else a refusal was lifted
        outcome = {'refused': answer.refusal} if answer.refusal else TAKEN if is_taken else {}
        is_new = outcome != record.outcome or answer.certificate not in (
            None, unitdata.kv().get(key))
        # The unit's bag may hold a later request than the record. It is read only for a new answer.
        if answers is not None and is_new and request_in(self.bag(unit=self.unit))[0] == record.id:
            record.outcome = outcome
            if answer.certificate:
                unitdata.kv().update({key: answer.certificate, SERVER_CERT: answer.certificate})
                _flag(AVAILABLE, str(record.relation).split(':')[0])


class LeaderSide(Relation):
    """The requests of all units. On a unit that does not lead, nothing waits or is published."""

    def answers(self) -> Optional[Bag]:
        """The application bag, if this unit leads; None if it does not, or if that is unknown.

        In Juju 4 a leader that has lost the lease cannot read it (JSRC A11). Within a hook,
        leadership may be lost, but not won; once it is lost, a write fails.
        """
        leads = _read(hookenv.cached(hookenv.is_leader))
        self.record.leads = self.record.leads if leads is None else leads
        self.record.waiting = {} if leads is False else self.record.waiting
        return self.bag(app=self.app) if leads else None

    def unanswered(self) -> Dict[str, str]:
        """{unit: id} of what waits, by the bag with this hook's writes; all if that is unknown."""
        waiting = self.record.waiting
        answers = self.bag(app=self.app) if waiting else None
        return waiting if answers is None else {
            unit: each for unit, each in waiting.items() if waits(each, answer_in(answers, unit))}

    def due(self) -> Dict[str, str]:
        """{unit: id} of the requests that this unit is to answer now."""
        due = self.unanswered()
        return due if due and self.answers() is not None else {}

    def see_off(self, unit: str) -> None:
        """Forget `unit`, which has departed. Delete its answer if it is the one that leaves.

        A unit that is leaving runs a departed hook for each peer, but the peers stay.
        """
        self.record.waiting.pop(unit, None)
        self.record.handed_out.pop(unit, None)
        if self.record.leads and hookenv.departing_unit() == unit \
                and any(values_in(self.answers() or {}, unit)):
            self.write(dict.fromkeys(keys_of(unit)), app=True)

    def survey(self, units: Optional[Set[str]] = None) -> Set[str]:
        """Work out again whose requests wait, among all members or among `units`.

        Refuses what is malformed, and deletes the answers to units that are gone. Returns the units
        that it looked at; none if this unit does not lead, or cannot write.
        """
        record, answers, settings = self.record, self.answers(), {}
        if answers is None:
            return set()
        if units is None:
            units, gone = self._members(answers)
            settings.update(dict.fromkeys(key for unit in gone for key in keys_of(unit)))
        bags = [(unit, self.bag(unit=unit)) for unit in sorted(units)]
        # Where a bag cannot be read, what waits for that unit goes on waiting.
        for unit, bag in [(unit, bag) for unit, bag in bags if bag is not None]:
            (request_id, csr), known = request_in(bag), record.waiting.pop(unit, None)
            if not request_id and CSR_NUMBER in bag:
                _log('request of {} is left out: csr_number or csr is malformed'.format(unit))
            # What is known to wait may have been answered in this hook, which is not yet committed.
            if request_id and (request_id == known or waits(request_id, answer_in(answers, unit))):
                fault = fault_in(csr, REQUEST_LABELS)
                if fault:
                    _log('request of {} is refused: {}'.format(unit, fault))
                    settings.update(zip(keys_of(unit), (None, fault, request_id)))
                else:
                    record.waiting[unit] = request_id
        return units if not settings or self.write(settings, app=True) else set()

    def _members(self, answers: Bag) -> Tuple[Set[str], Set[str]]:
        """(the members, those who are gone and have an answer); forgets who is no member.

        In Juju 4 relation-list goes on listing units that are gone (JSRC F1); goal-state does not.
        To a unit of a subordinate charm it shows no units, so it counts only if it lists this very
        unit.
        """
        record, listed = self.record, _read(hookenv.related_units, self.record.relation)
        expected = set((_read(hookenv.goal_state) or {}).get('units') or ())
        expected = expected if self.unit in expected else set()
        members = {self.unit, *(record.waiting if listed is None else listed)}
        known, members = members | expected, members & expected if expected else members
        for kept, names in ((record.waiting, members), (record.handed_out, known)):
            for unit in set(kept) - names if listed is not None else ():
                del kept[unit]
        return members, units_in(answers, self.app) - expected if expected else set()

    def answer(self, unit, csr, answer) -> Optional[str]:
        """Publish (certificate, refusal) for the unit's request. Returns why not, or None."""
        order, answers = self.record.handed_out.get(unit, [None]), self.answers()
        if answers is None:
            return 'this unit does not lead, or cannot read the application bag'
        if order == [None] and csr is None:
            return 'the unit has left, or get_csr_map() never handed out a request of it here'
        if unit not in self.record.waiting and unit not in self._members(answers)[0]:
            return 'the unit has left, or has not joined yet'
        reason = obstacle(unit, self.bag(unit=unit), answers, csr, *order)
        if reason:
            return reason
        new = dict(zip(keys_of(unit), (*answer, request_in(self.bag(unit=unit))[0])))
        digests = [digest_of(new, unit), digest_of(answers, unit), *order[1:]]
        self.record.handed_out[unit] = [order[0], *list(dict.fromkeys(digests))[:MOST_DIGESTS]]
        # It waits until a later hook has seen the answer in the bag; so a leader also takes what
        # replaces its own.
        self.record.waiting[unit] = new[ANSWER_ID.format(unit)]
        return None if self.write(new, app=True) else 'a hook tool failed, see above'


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
        # Without conversations, the base class's would join one from whatever hook is running, even
        # one of another relation. None is needed here: every call names its unit.
        self._relation_name, self._conversations = relation_name, []

    # For every unit.

    def set_csr(self, csr: str) -> None:
        """Ask for a certificate: publish `csr` (PEM text) as this unit's request.

        The leader finds it in `get_csr_map()`. Its answer arrives as "signed certificate available"
        in a later hook; until then the certificate in use stays in unitdata. While the request
        waits, the same text changes nothing, and another text replaces it. After the answer every
        call is a new request, even with the same text: that is how to renew. A CSR that was refused
        (see `get_refusal`) is not published again, and the log says so.

        If the request cannot be published now (there is no relation yet, or a hook tool fails),
        it is kept, and a later hook publishes it: `update-status` at the latest.

        Raises TypeError if `csr` is not a str; ValueError if it is longer than 64 KiB, has a NUL,
        has no sound PEM block CERTIFICATE REQUEST, or holds a private key. Then nothing changes.
        """
        _require('CSR for ' + hookenv.local_unit(), csr, REQUEST_LABELS)
        with self._opened() as (unit, leader):
            record = unit.record
            if csr == record.csr and record.outcome != TAKEN:
                if record.outcome:
                    _log('this very CSR was refused, make another: ' + record.outcome['refused'])
                return
            if not record.relation and not hookenv.hook_name().endswith(EARLY):
                self._find_relation(record)
            record.csr, record.outcome, record.unpublished = csr, {}, True
            unit.compare(asks=True)
            _flag(CREATE, self.relation_name, False)
            _flag(AVAILABLE, self.relation_name, False)
            # No hook tells a unit of its own write: a leader's own request waits from here on.
            if record.id and record.leads and leader.answers() is not None:
                record.waiting[unit.unit] = record.id

    def get_signed_cert(self) -> Optional[str]:
        """This unit's certificate, as `set_cert` got it; None before the first.

        While a renewal waits it is still the old one, which is the one in use.
        """
        return unitdata.kv().get(CERTIFICATE.format(hookenv.local_unit()))

    def confirm_cert(self) -> None:
        """Tell the leader that the certificate of `get_signed_cert()` is in use.

        Optional. Call it in `update-status`, or where somebody waits for it, as in a change of CA:
        each certificate that is confirmed costs every peer a `changed` hook. The leader then has
        `in_use` True for this unit in `get_requests()`. Nothing happens without a certificate or a
        relation, or if that certificate is confirmed already.
        """
        with self._opened() as (unit, _):
            certificate, bag = self.get_signed_cert(), unit.bag(unit=unit.unit)
            if certificate and bag is not None and bag.get(IN_USE) != sha256(certificate):
                unit.write({IN_USE: sha256(certificate)})

    def get_refusal(self) -> Optional[str]:
        """Why the leader will not sign this unit's current request, or None.

        While there is a reason, each `update-status` and `config-changed` sets "create certificate
        signing request": the layer is to ask with another CSR. The leader lifts the refusal by
        calling `reissue`, or by signing after all.
        """
        with self._opened() as (unit, _):
            return unit.record.outcome.get('refused')

    # For the leader.

    def get_csr_map(self) -> Dict[str, str]:
        """{unit name: CSR} of the requests that wait now, the leader's own included.

        Empty on a unit that does not lead. The names are Juju's. The CSRs are what the units
        wrote: sound PEM that nobody has looked into, so take no name or address from them.
        `set_cert` and `refuse_csr` answer these very requests, in this hook or a later one.
        """
        with self._opened() as (_, leader):
            leader.survey(set(leader.due()))
            answers, requests = leader.bag(app=leader.app) or {}, {}
            for unit in sorted(leader.due()):
                request_id, csr = request_in(leader.bag(unit=unit))
                if request_id:  # else its bag cannot be read now
                    requests[unit] = csr
                    leader.record.handed_out[unit] = [request_id, digest_of(answers, unit)]
            return requests

    def set_cert(self, unit_name: str, certificate: str, csr: Optional[str] = None) -> None:
        """Answer the request of `unit_name`: the one that `get_csr_map()` last handed out here.

        `certificate` is PEM text, and reaches the unit as it is, with chain and text around the
        blocks. If this unit has answered that request already, the certificate replaces the answer.
        With `csr`, the CSR that the certificate was made for, it answers only if that is still the
        unit's request: for layers that sign later, or elsewhere, and call `get_csr_map()`
        meanwhile. CSRs are compared by the content of their blocks, not by line ends or the text
        around.

        Nothing is published, and the log says why, if the unit has asked anew or has left, if
        `get_csr_map()` on this unit handed out no request of it, if this unit no longer leads, or
        if the answer in the bag has changed since the request was handed out or answered here
        (another leader answered it, or `reissue` was called). What waits then is in
        `get_csr_map()`, here or on the leader.

        Raises TypeError if an argument is not a str; ValueError if `unit_name` is not the name of
        a unit of this application, or if `certificate` is longer than 64 KiB, has a NUL, has no
        sound PEM block CERTIFICATE, or holds a private key. Then nothing changes.
        """
        self._answer('certificate', unit_name, csr, certificate, CERTIFICATE_LABELS)

    def refuse_csr(self, unit_name: str, reason: str, csr: Optional[str] = None) -> None:
        """Refuse the request of `unit_name`: the same request, and when not, as for `set_cert`.

        On that unit `get_refusal()` returns `reason`, and its next `update-status` or
        `config-changed` sets "create certificate signing request". A certificate in use stays.
        The request is not handed out again. Another CSR of the unit is, and `reissue` lifts the
        refusal. For "not now", do not call it: a request without an answer goes on waiting.

        A reason may quote what the CSR says: it is cut to 1 kB, control characters become `?`, a
        private key `(a private key)`, and a blank reason `no reason given`.

        Raises TypeError if an argument is not a str; ValueError if `unit_name` is not the name of
        a unit of this application. Then nothing changes.
        """
        self._answer('refusal', unit_name, csr, reason)

    def _answer(self, what, unit_name, csr, text, labels=()):
        _require_unit(unit_name)
        _require('CSR', '' if csr is None else csr)
        _require('{} for {}'.format(what, unit_name), text, labels)
        answer = (text, None) if labels else (None, fit_reason(text))
        with self._opened() as (_, leader):
            why_not = leader.answer(unit_name, csr, answer)
            if why_not:
                _log('{} for {} not published: {}'.format(what, unit_name, why_not))

    def reissue(self, unit_name: Optional[str] = None) -> None:
        """Make the answered or refused request of one unit, or of every unit, wait again.

        For example after a change of CA. The requests are back in `get_csr_map()`, on whatever unit
        leads. Each unit keeps its certificate until `set_cert` brings another. What `get_csr_map()`
        handed out before is not answered any more until it hands that out again; a layer that signs
        later has to drop its open orders. All this is part of the hook or action: if that is not
        committed, nothing was reissued.

        Raises TypeError if `unit_name` is not a str; ValueError if it is not the name of a unit of
        this application, if that unit has no answer, or if this unit does not lead, loses the
        leadership meanwhile, or cannot read or write the application bag.
        """
        _require_unit(hookenv.local_unit() if unit_name is None else unit_name)
        with self._opened() as (_, leader):
            answers = leader.answers()
            # By the bag, not by who is listed: this leader may not have met every unit yet.
            units = {one for one in units_in(answers or {}, leader.app) if unit_name in (None, one)}
            if answers is not None and unit_name and not units:
                raise ValueError('reissue for {!r}: no answer to that unit'.format(unit_name))
            # A token, so that "answered, then reissued" is not mistaken for "never answered".
            new = None, 'reissue-' + os.urandom(16).hex()
            again = {key: value for unit in units for key, value in zip(keys_of(unit)[1:], new)}
            if again and not leader.write(again, app=True) or leader.answers() is None:
                raise ValueError('reissue: this unit {}, or cannot use the application bag'.format(
                    'lost the leadership' if again else 'does not lead'))
            leader.survey()

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
            requests, members = {}, leader.survey()
            answers, due = leader.bag(app=leader.app) or {}, leader.due()
            for unit in sorted(members):
                bag, (certificate, *others) = leader.bag(unit=unit) or {}, values_in(answers, unit)
                request_id, csr = request_in(bag)
                state = 'none' if not request_id else 'waiting' if unit in due \
                    else 'refused' if answer_in(answers, unit).refusal else 'answered'
                requests[unit] = dict(
                    zip(('reason', 'answer_id'), others), certificate=certificate, state=state,
                    csr=csr or None, csr_id=request_id or None,
                    in_use=bool(certificate) and bag.get(IN_USE) == sha256(certificate or ''))
            return requests

    # The look at the start of every hook.

    def look(self) -> None:
        """Bring record and flags in line with what the hook tells, or with all that is visible.

        It runs once a hook: a second look would take what this hook has written for committed.
        """
        record, context = Record.load(), os.environ.get('JUJU_CONTEXT_ID')
        if context and context == record.context:
            return
        is_first, record.context = record.context is None, context
        hook, (event, peer) = hookenv.hook_name(), self._event(record)
        early, unit, leader = hook.endswith(EARLY), UnitSide(record), LeaderSide(record)
        full = event == 'created' or (is_first or hook in FULL_LOOK) and not early
        if full and (is_first or event != 'created'):  # else leader-elected follows
            self._find_relation(record)
            leader.answers()
        # Who has published no request: is there one to adopt, or can it be published now?
        compares = full or not (record.id or early or is_flag_set(CREATE))
        compared = unit.compare() if compares else None
        if full or record.waiting:  # Juju need not tell a leader of its own write
            unit.take()
        if compares and record.leads:
            leader.survey(None if full else {unit.unit})
        record.waiting = leader.unanswered()
        self._hear(event, peer, unit, leader)
        asks = compared if not record.csr else hook in ASK_AGAIN and compared is not False
        lacks = record.relation and (not record.csr or 'refused' in record.outcome)
        _flag(CREATE, self.relation_name, lacks and (asks or is_flag_set(CREATE)))
        _flag(SIGN, self.relation_name, leader.due())
        _flag(AVAILABLE, self.relation_name, record.outcome == TAKEN and is_flag_set(AVAILABLE))
        record.save()

    def _event(self, record: Record) -> Tuple[Optional[str], str]:
        """What this hook tells of the peer relation, and of which peer: ('changed', 'app/1').

        The peer is '' if the hook is about the whole relation, or the application bag. A newer
        relation than the record's counts as created: that hook can be missed, since an agent that
        restarts assumes that it has run. In Juju 3 one endpoint may have two ids; the newest
        counts.
        """
        relation, event = hookenv.relation_id(), hookenv.hook_name().rsplit('-', 1)[-1]
        if relation and (relation == record.relation or event == 'broken'):
            return event, hookenv.remote_unit() or ''
        if self._number(relation) <= self._number(record.relation):
            return None, ''  # no relation's hook, another relation's, or an older one's
        record.relation, record.waiting = relation, {}
        return 'created', ''

    def _hear(self, event: Optional[str], peer: str, unit: UnitSide, leader: LeaderSide) -> None:
        """Act upon what a hook of the peer relation tells."""
        if event == 'changed' and not peer:  # the application bag
            unit.take()
        elif event == 'changed' and unit.record.leads:  # a follower will look when it leads
            leader.survey({peer})
        elif event == 'departed':
            leader.see_off(peer)
        elif event == 'broken' and unit.record.relation == hookenv.relation_id():
            unit.record.relation, unit.record.waiting, unit.record.handed_out = None, {}, {}

    def _find_relation(self, record: Record) -> None:
        """Settle on the newest relation id that Juju lists, if that can be read."""
        ids = _read(hookenv.relation_ids, self.relation_name)
        if ids is not None:
            record.relation = max(ids, key=self._number, default=None)

    def _number(self, relation_id: Optional[str]) -> int:
        """The number in the id; -1 for none, and for another endpoint, or one since renamed."""
        endpoint, _, number = (relation_id or '').partition(':')
        return int(number) if endpoint == self.relation_name else -1

    @contextmanager
    def _opened(self) -> Iterator[Tuple[UnitSide, LeaderSide]]:
        """Both sides, for a method to change their record; it is saved unless the method raises.

        Only flags that the change is about are touched: otherwise a flag that the layer has cleared
        itself would come back at once, and its handler would run again and again.
        """
        _start()  # a layer's own atstart may call a method before
        record = Record.load()
        if hookenv.cache.get(RECORD, asdict(record)) != asdict(record):
            hookenv.flush(str(record.relation))  # a handler in bash, another process, wrote it
        leader = LeaderSide(record)
        before = leader.due().items()
        yield UnitSide(record), leader
        due = leader.due().items()
        if not due or due - before:
            _flag(SIGN, self.relation_name, due)
        record.save()


def _flag(flag: str, endpoint: str, on=True) -> None:
    if on:
        # By this value charms.reactive finds the object for the handler. A flag that is set
        # already may have that of an endpoint since renamed.
        set_flag(flag, {'relation': endpoint, 'conversations': []})
    elif is_flag_set(flag):
        clear_flag(flag)


def _read(tool, *arguments, **named):
    """What a hook tool says; None and a line in the log if it fails.

    A failed read does not fail the hook: that would block the `update-status` that heals.
    """
    try:
        return tool(*arguments, **named)
    except (CalledProcessError, NotImplementedError, OSError, ValueError) as error:
        _log('{} of {} failed: {}'.format(tool.__name__, named or arguments, error))
        return None


def _require(what: str, text: str, labels: Tuple[str, ...] = ()) -> None:
    """Raise what is wrong with the text, as PEM if there are labels."""
    if not isinstance(text, str):
        raise TypeError('{}: expected str, not {}'.format(what, type(text).__name__))
    fault = fault_in(text, labels) if labels else None
    if fault:
        # 28 characters of one line: the begin line of a private key, and nothing of the key.
        raise ValueError('{}: {}; it begins with {!r:.28}'.format(what, fault, text.split('\n')[0]))


def _require_unit(name: str) -> None:
    _require('unit name', name)
    if not re.match('{}/(0|[1-9][0-9]*)\\Z'.format(hookenv.application_name()), name):
        raise ValueError('{!r:.80} is not a unit of {}'.format(name, hookenv.application_name()))


def _log(message: str) -> None:
    # An argument of juju-log: no NUL, and not too long, whatever a bag holds.
    hookenv.log('interface:tls: ' + message.replace('\0', '?')[:2000], level=hookenv.WARNING)


def _start() -> None:
    """At the start of each hook, before any handler.

    A method with `@hook` would get no object outside relation hooks, and run in no defined order.
    """
    endpoints = hookenv.role_and_interface_to_relations('peers', 'tls')
    if len(endpoints) > 1:
        raise ValueError('interface:tls: one endpoint of it, not ' + ' and '.join(endpoints))
    for endpoint in endpoints:
        TlsPeers(endpoint).look()


hookenv.atstart(_start)
