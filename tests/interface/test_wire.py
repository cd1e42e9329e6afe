"""The wire as data: that wire_vectors.json is in order."""
import json

from wire import RULES, WIRE, bag_of


def test_every_rule_has_a_case_and_every_case_a_rule():
    assert {case['rule'] for case in WIRE['cases']} == set(RULES)


def test_no_case_stands_there_twice():
    bags = [json.dumps([bag_of(case, 'own'), bag_of(case, 'application'), case.get('asks')],
                       sort_keys=True) for case in WIRE['cases']]
    assert sorted(bags) == sorted(set(bags))
