"""The peer relation of interface:tls, in ops: what its README says "On the wire", and no more.

The bags are the truth and all of it: nothing is kept beside them, so there is nothing to take over.
"""
import hashlib
import json
import re
import subprocess
from typing import List, NamedTuple, Optional, Set

import ops

KINDS = 'signed_certificate', 'refusal', 'csr_id'
PRIVATE = re.compile(r'PRIVATE[ \t]+KEY([ \t]+BLOCK)?[ \t]*----', re.IGNORECASE)
BLOCK = re.compile(r'-----BEGIN CERTIFICATE-----\s[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----')


def number(text: str, digits: int) -> int:
    """0 for a text that is no number, or one of more digits."""
    return int(text) if re.fullmatch('[1-9][0-9]{{,{}}}'.format(digits - 1), text) else 0


def fits(text: str, most: int) -> bool:
    return len(text.encode()) <= most and not PRIVATE.search(text)


class Request(NamedTuple):
    """What a unit has published last; '' and 0 for what it has not."""

    csr: str
    number: int

    @property
    def id(self) -> str:
        return '{}-{}'.format(self.number, hashlib.sha256(self.csr.encode()).hexdigest())


class Answer(NamedTuple):
    """What stands under the name of a unit, '' where nothing does that a unit can take."""

    certificate: str
    refusal: str
    id: str

    @property
    def number(self) -> int:
        return number(self.id.partition('-')[0], 15)


class Certificates:
    """The relation as this unit sees it."""

    def __init__(self, relation: ops.Relation, unit: ops.Unit):
        self.relation = relation
        self.unit = unit
        self.answers = relation.data[unit.app]

    def request(self, unit: ops.Unit) -> Request:
        try:
            bag = self.relation.data[unit]
            # Of its own a unit reads a digit fewer: the greatest number can still be followed.
            return Request(bag.get('csr', ''),
                           number(bag.get('csr_number', ''), 17 if unit is self.unit else 18))
        except ops.ModelError:  # it is gone, and so is its bag
            return Request('', 0)

    def answer(self, unit: ops.Unit) -> Answer:
        certificate, refusal, id = (
            self.answers.get('{}_{}'.format(unit.name, kind), '') for kind in KINDS)
        refused = not certificate and refusal.strip() and '\0' not in refusal
        return Answer(certificate if BLOCK.search(certificate) and fits(certificate, 65536) else '',
                      refusal if refused and fits(refusal, 1024) else '', id)

    def ask(self, csr: str) -> None:
        """Publish a request that is newer than all that was asked or answered under this name."""
        last = max(self.request(self.unit).number, self.answer(self.unit).number)
        self.relation.data[self.unit].update({'csr': csr, 'csr_number': str(last + 1)})

    # The leader.

    def waits(self, unit: ops.Unit, again: bool = False) -> bool:
        """Whether its request has no answer; `again`: or has one that can be replaced."""
        request, answer = self.request(unit), self.answer(unit)
        return bool(request.csr) and request.number >= max(answer.number, 1) \
            and (again or request.id != answer.id
                 or not (answer.certificate or answer.refusal))

    def give(self, unit: ops.Unit, certificate: str = '', refusal: str = '') -> None:
        """Answer the request of that unit by the one or the other."""
        for kind, text in zip(KINDS, (certificate, refusal, self.request(unit).id)):
            self.answers['{}_{}'.format(unit.name, kind)] = text  # '' deletes

    def members(self, leaver: Optional[ops.Unit] = None) -> List[ops.Unit]:
        """This unit and its peers. Who has left is none of them, and its answer is deleted.

        On Juju 4 nobody is told who has left, but the plan does not list them any more.
        """
        planned = self.planned()

        def has_left(name: str) -> bool:
            return planned is not None and name not in planned \
                or leaver is not None and name == leaver.name != self.unit.name

        key = re.compile('({}/[0-9]+)_({})'.format(re.escape(self.unit.app.name), '|'.join(KINDS)))
        for found in [key.fullmatch(each) for each in self.answers]:
            if found and has_left(found[1]):
                self.answers[found[0]] = ''
        return sorted((unit for unit in self.relation.units | {self.unit}
                       if not has_left(unit.name)), key=lambda unit: unit.name)

    def planned(self) -> Optional[Set[str]]:
        """The names of the units by goal-state; None where it does not list this very unit."""
        try:
            state = json.loads(subprocess.check_output(['goal-state', '--format', 'json']))
            names = set(state['units'])
        except (OSError, subprocess.CalledProcessError, ValueError, TypeError, KeyError):
            return None
        return names if self.unit.name in names else None
