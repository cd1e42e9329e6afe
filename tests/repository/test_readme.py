"""README.md says what is there, and can be read; see also test_repository.py.

The lines to build and deploy run in test_repository.py, the recipes in test_recipes.py and
test_signing_later.py. The diagram is made again in test_end_to_end.py, and
`demo.py --still` compares the excerpt of the demo.
"""
import inspect
import re
from collections import Counter

import pytest

import peers
import wire
from world import ROOT, TESTS

README = (ROOT / 'README.md').read_text()
CODE_BLOCKS = re.findall(r'^```(\w*)\n(.*?)^```$', README, re.DOTALL | re.MULTILINE)
TEXT = re.sub(r'^```.*?^```$', '```', README, flags=re.DOTALL | re.MULTILINE)
PYTHON = [text for language, text in CODE_BLOCKS if language == 'python']
CODE = {name: (TESTS / name).read_text() for name in (
    'layers/recipes/reactive/recipes.py', 'layers/later/reactive/later.py',
    'example/tests/test_units.py')}
SCRIPTS = {name: (TESTS / 'layers/recipes/actions' / name).read_text()
           for name in ('renew', 'sign-again')}
ALL_TESTS = set(re.findall(r'^def (test_\w+)', ''.join(
    path.read_text() for path in TESTS.glob('*/test_*.py')), re.MULTILINE))


def table_after(heading):
    """The rows of the first table in that section, each a list of cells."""
    section = re.search('^## {}\n(.*?)(?=^## |\\Z)'.format(re.escape(heading)), README,
                        re.DOTALL | re.MULTILINE).group(1)
    rows = [row.strip('|').split(' | ') for row in re.findall(r'^\|.*\|$', section, re.MULTILINE)]
    return [[cell.strip() for cell in row] for row in rows[2:]]


def test_it_is_short_enough_to_be_read():
    assert len(README.splitlines()) <= 450
    for paragraph in re.split(r'\n\n|\n(?=- |[0-9]+\. )', TEXT):
        if not paragraph.startswith('|'):
            assert len(paragraph.splitlines()) <= 4, paragraph
    assert not [line for line in README.splitlines() if len(line) > 100 and line[0] != '|']


def test_the_contents_have_each_section_in_its_order():
    contents = re.search(r'^\*\*Contents:\*\*.*?\n\n', README, re.DOTALL | re.MULTILINE).group()
    assert README.index(contents) < README.index('\n## ')
    linked = re.findall(r'\(#([a-z-]+)\)', contents)
    sections = re.findall('^## (.*)$', README, re.MULTILINE)
    assert linked == [title.lower().replace(' ', '-') for title in sections]
    assert set(re.findall(r'\(#([a-z-]+)\)', README)) <= set(linked)


def test_other_pages_link_to_sections_that_are_there():
    pages = ''.join(page.read_text() for page in TESTS.rglob('*.md'))
    linked = re.findall(r'\(\.\.(?:/\.\.)?/README\.md#([a-z-]+)\)', pages)
    sections = re.findall('^## (.*)$', README, re.MULTILINE)
    assert linked and set(linked) <= {title.lower().replace(' ', '-') for title in sections}


def test_each_code_block_is_of_a_kind_that_is_checked():
    assert Counter(language for language, _ in CODE_BLOCKS) == {
        'python': len(PYTHON), 'sh': 1, 'mermaid': 1, 'text': 1, 'yaml': 1, '': 4}


@pytest.mark.parametrize('shown', PYTHON, ids=lambda shown: re.search(r"\w+(?=\()", shown).group())
def test_python_code_is_that_of_a_file_that_tests_run(shown):
    parts = [part.strip('\n') for part in shown.split('\n\n\n')]
    assert shown in SCRIPTS.values() or any(
        all('\n' + part + '\n' in code for part in parts) for code in CODE.values())


def test_the_files_of_the_actions_are_shown_whole():
    assert set(SCRIPTS.values()) <= {text for language, text in CODE_BLOCKS}


def test_the_lines_to_install_are_those_of_the_manual():
    manual = (TESTS / 'fakejuju/README.md').read_text()
    lines, = [text for language, text in CODE_BLOCKS if 'pytest' in text and language == '']
    assert lines in manual and 'fakejuju' in lines


def test_the_flags_are_those_of_the_interface():
    assert [row[0].strip('`') for row in table_after('Flags')] == [
        peers.CREATE, peers.SIGN, peers.AVAILABLE]


def test_the_methods_are_those_of_the_interface():
    methods = {}
    for name, method in vars(peers.TlsPeers).items():
        if callable(method) and not name.startswith('_') and name != 'look':
            _, *parameters = inspect.signature(method).parameters.values()
            methods[name] = '{}({})'.format(name, ', '.join(
                each.name + ('' if each.default is each.empty else '={}'.format(each.default))
                for each in parameters))
    assert sorted(row[0].strip('`') for row in table_after('Methods')) == sorted(methods.values())


def test_the_keys_on_the_wire_are_those_of_the_interface():
    keys = [row[1].strip('`') for row in table_after('On the wire') if len(row) == 3]
    assert keys == [key.format('[unit-name]') for key in (
        peers.CSR, peers.CSR_NUMBER, peers.IN_USE, peers.CERTIFICATE, peers.REFUSAL,
        peers.ANSWER_ID)]


def test_each_sentence_about_the_wire_is_a_rule_with_cases():
    """test_wire.py sees that each rule has some, and that peers.py does as they say."""
    rows = [row for row in table_after('On the wire') if len(row) == 2 and row[0] != 'about']
    told = [rule for _, rules in rows for rule in rules.split('<br>')]
    assert [rule for rule in told if rule != '---'] == list(wire.RULES.values())


@pytest.mark.parametrize('page', ['PROMISES.md', 'WIRE.md'])
def test_the_pages_beside_the_tests_name_what_there_is(page):
    text = (TESTS / 'interface' / page).read_text()
    promises = re.compile(r'^- \*\*(P[0-9]+ [a-z -]+)\.\*\*', re.MULTILINE)
    assert promises.findall(text) in ([], promises.findall(README))
    assert set(re.findall('`(test_[a-z0-9_]+)`', text)) <= ALL_TESTS
    rows = re.findall(r'^\|.*\|$', text, re.MULTILINE)[2:]
    assert all(re.search(r'`test_\w+` \|$', row) for row in rows)
    assert bool(promises.findall(text)) != bool(rows)


def test_the_costs_are_those_that_are_asserted():
    asserted = re.findall(r'\((\d+), (\d+)[,)]', (TESTS / 'interface/test_cost.py').read_text())
    told = re.findall(r'(\d+) with (\d+)', README)
    assert [(units, calls) for calls, units in told] == asserted != []


def test_the_limits_that_promises_name_are_there():
    limits = re.findall(r'^(\d+)\. ', README, re.MULTILINE)
    assert limits == [str(number) for number in range(1, len(limits) + 1)]
    named = re.findall(r'\(limit (\d+)\)', README)
    assert named and set(named) <= set(limits)


# The life of a request: a state of the picture is what the cases say follows from the bags.

LIFE = re.findall(r'^    (\S+) --> (\S+): (.*)$',
                  (TESTS / 'interface/WIRE.md').read_text(), re.MULTILINE)
ANSWERED = {'certificate': 'answered', 'refusal': 'refused'}


def state_in(case):
    """The state of the picture that the case is an example of, or None."""
    is_reissue = case['application'].get(wire.UNIT + '_csr_id', '').startswith('reissue-')
    if not case['own']:
        return None if case['application'] else '[*]'
    if case['waits']:
        return 'reissued' if is_reissue else 'waiting'
    if case['takes'] == 'certificate' and case.get('in_use'):
        return 'confirmed'
    return ANSWERED.get(case['takes'])


def differences(one, other):
    """{(who writes it, key)} of what is in one of two cases only, or differs."""
    return {(writer, key.replace(wire.UNIT + '_', ''))
            for writer, owner in (('unit', 'own'), ('leader', 'application'))
            for key in set(one[owner]) | set(other[owner])
            if one[owner].get(key) != other[owner].get(key)}


@pytest.mark.parametrize('before, after, label', LIFE)
def test_a_step_in_the_life_of_a_request_is_one_between_two_cases(before, after, label):
    writer, what = label.split(' ', 1)
    keys = {(writer, key) for key in re.findall('[a-z]+(?:_[a-z]+)+|csr|refusal', what)}
    cases = [case for case in wire.WIRE['cases'] if 'waits' in case and 'takes' in case]
    assert any(differences(one, other) == keys for one in cases if state_in(one) == before
               for other in cases if state_in(other) == after)


def test_the_life_of_a_request_has_each_state():
    assert {state for step in LIFE for state in step[:2]} == {
        '[*]', 'waiting', 'answered', 'refused', 'confirmed', 'reissued'}
    assert {before for before, _, _ in LIFE} == {state for step in LIFE for state in step[:2]}
