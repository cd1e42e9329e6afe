"""The peer relation of interface:tls in ops: the rules of its README's "On the wire", to copy.

Everything is worked out from the bags, which are the relation data of the units and of the
application. Nothing is kept beside them.
"""
import functools
import hashlib
import json
import re
import secrets
import subprocess
from typing import (
    Collection, Dict, Iterable, List, Mapping, Match, NamedTuple, Optional, Set)

import ops

CSR_KINDS = ('CERTIFICATE REQUEST', 'NEW CERTIFICATE REQUEST')
CERTIFICATE_KINDS = ('CERTIFICATE',)
KEYS = ('signed_certificate', 'refusal', 'csr_id')  # each behind the unit's name and '_'
MAX_BYTES, MAX_REASON = 65536, 1024
# Digits of N in a unit's bag as a leader reads it and as the unit itself does, and in an answer.
# Each can still be followed by a number that the one before it allows.
REQUEST_DIGITS, OWN_DIGITS, ANSWER_DIGITS = 18, 17, 15

BEGIN = re.compile(r'^\ufeff?-----BEGIN .*-----[ \t]*\r?$', re.MULTILINE)
BLOCK = re.compile(r'(?:\A\ufeff|^)-----BEGIN (.*)-----[ \t]*\r?\n'
                   r'((?:[ \t]*[0-9A-Za-z+/=][0-9A-Za-z+/= \t]*\r?\n)+)'
                   r'-----END \1-----[ \t]*\r?$', re.MULTILINE)
BASE64 = re.compile('(?:[0-9A-Za-z+/]{4})*(?:[0-9A-Za-z+/]{2}==|[0-9A-Za-z+/]{3}=)?')
# How a private key begins: in PEM, of OpenSSH, of OpenPGP; of PuTTY; by `openssl pkey -text`.
KEY_BEGIN = (r'(?:-----BEGIN [A-Z0-9 ]*PRIVATE KEY( BLOCK)?-----|PuTTY-User-Key-File-'
             r'|Private-Lines:|([A-Z0-9]+ )?Private-Key:)')
KEY_IN_TEXT = re.compile('^\ufeff?' + KEY_BEGIN, re.MULTILINE)
KEY_IN_REASON = re.compile(KEY_BEGIN + '.*', re.DOTALL)
CONTROL = re.compile('[\0-\x08\x0a-\x1f\x7f-\x9f]')


def number_in(text: str, digits: int) -> int:
    """The N that the text is; 0 if it is no number, has a leading zero, or more digits."""
    return int(text) if re.fullmatch('[1-9][0-9]{,%d}' % (digits - 1), text) else 0


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def fault_in(text: str, kinds: Collection[str]) -> Optional[str]:
    """Why the text is not usable as a CSR or certificate of these kinds of PEM block, or None."""
    if len(text.encode()) > MAX_BYTES:
        return f'it has {len(text.encode())} bytes, more than {MAX_BYTES}'
    if '\0' in text:
        return 'it contains a NUL'
    if KEY_IN_TEXT.search(text):
        return 'it contains a private key, and everybody in the model can read relation data'
    blocks = BLOCK.findall(text)
    if len(blocks) < len(BEGIN.findall(text)) or not any(kind in kinds for kind, _ in blocks):
        return f'it has no PEM block {" or ".join(kinds)}, or one that is cut off'
    if not all(BASE64.fullmatch(''.join(body.split())) for _, body in blocks):
        return 'it has a PEM block with undecodable base64'
    return None


def is_usable_refusal(text: str) -> bool:
    return bool(text.strip()) and len(text.encode()) <= MAX_REASON and '\0' not in text \
        and not KEY_IN_REASON.search(text)


def fit_reason(text: str) -> str:
    """A reason as it may be published, whatever a CSR that it quotes has brought in."""
    text = KEY_IN_REASON.sub('(a private key)', text)
    text = CONTROL.sub('?', text).encode(errors='replace')[:MAX_REASON].decode(errors='ignore')
    return text if text.strip() else 'no reason given'


class Request(NamedTuple):
    """What stands in a unit's own bag; '' and 0 for what does not."""

    csr: str
    number: int

    @property
    def id(self) -> str:
        """Its id, or '' if it is no request."""
        return f'{self.number}-{digest(self.csr)}' if self.csr and self.number else ''


class Answer(NamedTuple):
    """What the leader has answered under a unit's name; all '' if nothing that counts."""

    certificate: str
    refusal: str
    id: str

    @property
    def number(self) -> int:
        return number_in(self.id.partition('-')[0], ANSWER_DIGITS)


class Certificates:
    """The relation as this unit sees it. Reading never writes."""

    def __init__(self, relation: ops.Relation, unit: ops.Unit):
        self.relation = relation
        self.unit = unit
        self.answers = relation.data[unit.app]

    def bag(self, unit: ops.Unit) -> Mapping[str, str]:
        """The bag of that unit; empty for a peer whose bag cannot be read (it may have left)."""
        bag = self.relation.data[unit]
        try:
            bag.get('csr')
            return bag
        except ops.ModelError:
            if unit is self.unit:  # unknown is not empty: this hook fails, and is run again
                raise
            return {}

    def request(self, unit: ops.Unit) -> Request:
        bag = self.bag(unit)
        return Request(bag.get('csr', ''), number_in(bag.get('csr_number', ''), REQUEST_DIGITS))

    def answer(self, unit: ops.Unit) -> Answer:
        """The id and the usable certificate, or usable refusal, that stand under its name."""
        certificate, refusal, id = (self.answers.get(f'{unit.name}_{key}', '') for key in KEYS)
        if not re.fullmatch('[1-9][0-9]*-[0-9a-f]{64}|reissue-.*', id):
            return Answer('', '', '')
        if certificate and not fault_in(certificate, CERTIFICATE_KINDS):
            return Answer(certificate, '', id)
        if not certificate and is_usable_refusal(refusal):
            return Answer('', refusal, id)
        return Answer('', '', '')

    # Any unit.

    def outcome(self) -> Optional[Answer]:
        """The answer to this unit's own request, or None while there is none."""
        answer = self.answer(self.unit)
        return answer if answer.id and answer.id == self.request(self.unit).id else None

    def is_to_ask(self, csr: str, served: bool) -> bool:
        """Whether to publish the CSR: the unit published none, another, or this one in vain.

        `served`: it has its certificate, so it need not outnumber what stands there.
        """
        own = self.request(self.unit)
        return own.csr != csr or not own.id \
            or not served and self.answer(self.unit).number > own.number

    def ask(self, csr: str) -> None:
        """Publish the CSR as a new request, newer than all that was asked or answered before.

        ValueError if it is not usable.
        """
        fault = fault_in(csr, CSR_KINDS)
        if fault:
            raise ValueError(f'CSR of {self.unit.name}: {fault}')
        bag, csr_id = self.relation.data[self.unit], self.answers.get(f'{self.unit.name}_csr_id')
        number = 1 + max(number_in(bag.get('csr_number', ''), OWN_DIGITS),
                         self.answer(self.unit).number)
        if Request(csr, number).id == csr_id:  # of 16 digits, or beside nothing usable
            number += 1
        bag.update({'csr': csr, 'csr_number': str(number)})

    def confirm(self, certificate: str) -> None:
        """Tell the leader that this unit uses that certificate, the text as it was taken."""
        bag = self.relation.data[self.unit]
        if bag.get('certificate_in_use') != digest(certificate):
            bag['certificate_in_use'] = digest(certificate)

    # The leader.

    def waits(self, unit: ops.Unit) -> bool:
        """Whether its request needs an answer."""
        request, answer = self.request(unit), self.answer(unit)
        return bool(request.id) and request.id != answer.id and request.number >= answer.number

    def state(self, unit: ops.Unit) -> str:
        """`none` for a unit without a request, else `waiting`, `refused` or `answered`."""
        if not self.request(unit).id:
            return 'none'
        if self.waits(unit):
            return 'waiting'
        return 'refused' if self.answer(unit).refusal else 'answered'

    def fault(self, unit: ops.Unit) -> Optional[str]:
        """Why the CSR of that unit is not usable, or None."""
        return fault_in(self.request(unit).csr, CSR_KINDS)

    def is_in_use(self, unit: ops.Unit) -> bool:
        """Whether the unit has confirmed the very certificate that stands under its name."""
        certificate = self.answers.get(f'{unit.name}_{KEYS[0]}', '')
        return bool(certificate) and self.bag(unit).get('certificate_in_use') == digest(certificate)

    def give(self, unit: ops.Unit, certificate: str = '', refusal: str = '') -> None:
        """Answer the request of that unit with a certificate or a refusal."""
        refusal = '' if certificate else fit_reason(refusal)
        for key, text in zip(KEYS, (certificate, refusal, self.request(unit).id)):
            self.answers[f'{unit.name}_{key}'] = text  # '' deletes

    def keys(self) -> List[Match[str]]:
        """The keys of answers in the application bag: [0] all of it, [1] the unit, [2] of KEYS."""
        key = re.compile(f'({re.escape(self.unit.app.name)}/(?:0|[1-9][0-9]*))_({"|".join(KEYS)})')
        return [found for found in map(key.fullmatch, self.answers) if found]

    def certificates(self) -> Dict[str, str]:
        """{unit name: usable certificate} of all that stand there, whatever the id."""
        standing = {key[1]: self.answers[key[0]] for key in self.keys() if key[2] == KEYS[0]}
        return {name: each for name, each in standing.items()
                if not fault_in(each, CERTIFICATE_KINDS)}

    def reissue(self, units: Iterable[ops.Unit]) -> None:
        """Have what was answered or refused wait again; certificates stay until the next."""
        for unit in units:
            if self.answer(unit).id:
                self.answers.update({f'{unit.name}_csr_id': f'reissue-{secrets.token_hex(16)}',
                                     f'{unit.name}_refusal': ''})

    def members(self, leaver: Optional[ops.Unit] = None) -> List[ops.Unit]:
        """This unit and its peers, without those that have left."""
        return sorted((unit for unit in self.relation.units | {self.unit}
                       if not self.has_left(unit.name, leaver)), key=lambda unit: unit.name)

    def forget_leavers(self, leaver: Optional[ops.Unit] = None) -> None:
        """Delete the answers to units that have left."""
        for key in self.keys():
            if self.has_left(key[1], leaver):
                self.answers[key[0]] = ''

    def has_left(self, name: str, leaver: Optional[ops.Unit]) -> bool:
        """Whether that unit is the one that departs, or none that Juju expects.

        Juju 4 tells nobody of a departure, and goes on listing who has left in the relation.
        """
        return self.planned is not None and name not in self.planned \
            or leaver is not None and name == leaver.name != self.unit.name

    @functools.cached_property
    def planned(self) -> Optional[Set[str]]:
        """The names of the units by goal-state; None where it does not list this very unit."""
        try:
            state = json.loads(subprocess.check_output(['goal-state', '--format', 'json']))
            names = set(state['units'])
        except (OSError, subprocess.CalledProcessError, ValueError, TypeError, KeyError):
            return None
        return names if self.unit.name in names else None
