"""The wire as data: wire_vectors.json, with its texts resolved."""
import hashlib
import json
import re

import pytest

from world import TESTS

WIRE = json.loads((TESTS / 'interface/wire_vectors.json').read_text())
UNIT = WIRE['unit']
RULES = {rule['id']: rule['text'] for rule in WIRE['rules']}


def text_of(template):
    """The text with its placeholders resolved, as `about` in the file says."""
    return re.sub('{([^{}]+)}', lambda match: resolved(match[1]), template)


def resolved(expression):
    digest = re.fullmatch('(sha256|SHA256) (.*)', expression, re.DOTALL)
    if digest:
        text = ''.join(map(resolved, digest[2].split('+')))
        result = hashlib.sha256(text.encode()).hexdigest()
        return result if digest[1].islower() else result.upper()
    times = re.fullmatch(r'(.*) \* ([0-9]+)', expression, re.DOTALL)
    if times:
        return resolved(times[1]) * int(times[2])
    return WIRE['texts'].get(expression, expression)


def bag_of(case, owner):
    return {key: text_of(template) for key, template in case[owner].items()}


def stated(case):
    """What the case says that follows."""
    return {name: case[name] for name in ('waits', 'refused', 'takes', 'publishes', 'next',
                                          'in_use') if name in case}


def name_of(case):
    same = [each for each in WIRE['cases'] if each['rule'] == case['rule']]
    return '{}-{}'.format(case['rule'], same.index(case) + 1)


each_case = pytest.mark.parametrize('case', WIRE['cases'], ids=name_of)


def check(case, follows):
    """That what follows is what the case says; it may say less."""
    assert {name: follows[name] for name in stated(case)} == stated(case), case['why']
