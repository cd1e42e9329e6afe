"""Small wrong variants of peers.py, each with a bug that interfaces of this kind really had.

test_broken.py shows that each is noticed: by a test of the promise that it breaks, and by the
search of all orders where two units can show it.
"""
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

PEERS = Path(__file__).parent.parent / 'peers.py'


class Variant(NamedTuple):
    name: str
    test: str                        # of test_promises.py; its name carries the promise
    edits: List[Tuple[str, str]]     # text of peers.py, once there -> what stands there instead
    arguments: Dict[str, Any] = {}   # of the test
    search: List[str] = []           # kinds of events after which a search notices it, too
    breaks: str = ''                 # the promise that the search names, if it is another

    def write(self, path):
        text = PEERS.read_text()
        for old, new in self.edits:
            assert text.count(old) == 1, '{}: peers.py has {} times {!r}'.format(
                self.name, text.count(old), old)
            text = text.replace(old, new)
        path.write_text(text)
        return path


VARIANTS = [
    Variant('the answer is in the unit bag of the leader',
            'p1_units_wait_for_a_leader_that_comes_late',
            [("relation_set(me['relation'], settings, app=True)",
              "relation_set(me['relation'], settings)")], search=['renew'], breaks='wire'),
    Variant('a new leader does not look at the requests that wait',
            'p4_a_new_leader_serves_what_was_asked_while_nobody_led',
            [("        if not me['leads']:\n", "        if False:\n")],
            search=['depose', 'renew'], breaks='P1'),
    Variant('the first look is taken in leader-elected only',
            'p4_leadership_lost_and_won_again_around_a_single_hook',
            [("        if not me['leads']:\n",
              "        if hookenv.hook_name() == 'leader-elected':\n")]),
    Variant('no csr_id: whatever certificate is there is taken',
            'p2_an_answer_to_a_request_that_only_a_cache_still_shows_is_not_taken',
            [("if answer(ANSWER_ID) != _own_id(me):", "if not answer(ANSWER_ID):")],
            search=['renew', 'status'], breaks='P10'),
    Variant('a bare counter as id', 'p8_a_name_used_again_finds_nothing_of_its_predecessor',
            [("'life': uuid.uuid4().hex", "'life': 'unit'")], {'departed_sent': False}),
    Variant('a bare random id, which has no order', 'p2_an_answer_never_lowers_the_number',
            [("not answered or answered[0] != asked[0] or answered[1] < asked[1]",
              "answered != asked")]),
    Variant('set_cert answers whatever request is current',
            'p2_nothing_is_published_for_a_unit_that_asked_anew',
            [("self._answer(me, unit, me['shown'][unit], **answer)",
              "self._answer(me, unit, self._request(me, unit)[0], **answer)"),
             ("if shown != self._request(me, unit)[0]:", "if False:")],
            search=['slow', 'renew', 'renew']),
    Variant('unitdata is trusted over the bag after a failed commit',
            'p5_a_request_is_published_again_with_its_id',
            [("me['seen'] = self._bag(me, local).get(CSR_ID) == _own_id(me)",
              "me['seen'] = True")], search=['uncommitted', 'renew'], breaks='P1'),
    Variant('answers count as published when the hook ends',
            'p5_an_answer_in_an_action_that_is_not_committed_is_missed',
            [("        me['answered'][unit] = csr_id\n", "")],
            search=['slow', 'renew', 'uncommitted'], breaks='P1'),
    Variant('answers are sent again after a failed commit',
            'p5_an_answer_is_signed_again_not_sent_again',
            [("        me['answered'][unit] = csr_id\n",
              "        me['answered'][unit] = csr_id\n"
              "        me.setdefault('sent', {})[unit] = csr_id, certificate\n"),
             ("            me['answered'] = {}\n",
              "            me['answered'] = {}\n"
              "            for name, (csr_id, certificate) in me.get('sent', {}).items():\n"
              "                if me['waiting'].get(name) == csr_id:\n"
              "                    self._answer(me, name, csr_id, certificate)\n"
              "                    del me['waiting'][name]\n")]),
    Variant('the flag stays after its unit has departed',
            'p8_a_waiting_request_leaves_with_its_unit',
            [("        me['waiting'].pop(unit, None)\n        me['answered'].pop(unit, None)\n"
              "        if unit in me['shown']", "        if unit in me['shown']"),
             ("hookenv.departing_unit() == unit and self._survey(me)", "False")],
            search=['slow', 'renew', 'remove']),
    Variant('a leaving leader wipes the answers', 'p8_a_leaving_leader_wipes_nothing',
            [("hookenv.departing_unit() == unit and self._survey(me)", "self._survey(me)")],
            {'leaver': 'tls/0'}, search=['remove']),
    Variant('any peer is believed', 'p3_a_forged_answer_is_not_believed',
            [("hookenv.relation_get(key.format(local), rid=me['relation'],\n",
              "hookenv.relation_get(\n                key.format(local), hookenv.remote_unit(), me"
              "['relation']) or hookenv.relation_get(key.format(local), rid=me['relation'],\n"),
             ("event not in ('joined', 'changed')", "event != 'joined'")]),
    Variant('the conversation of the running hook is used',
            'p8_no_handler_is_given_a_conversation',
            [("        self._relation_name = relation_name\n        self._conversations = []\n",
              "        super().__init__(relation_name, conversations)\n")]),
    Variant('what the object said first is trusted when the handler runs again',
            'p9_a_handler_that_runs_again_in_the_same_hook_is_given_what_waits_then',
            [("            self._survey(me, list(me['waiting']))\n",
              "            if hasattr(self, 'first'):\n                return self.first\n"
              "            self._survey(me, list(me['waiting']))\n"),
             ("            return {unit: self._request(me, unit)[1]",
              "            self.first = {unit: self._request(me, unit)[1]"),
             (" for unit in sorted(me['waiting'])}\n",
              " for unit in sorted(me['waiting'])}\n            return self.first\n")]),
    Variant("the predecessor's own bag is believed",
            'p8_a_name_used_again_finds_nothing_of_its_predecessor',
            [("if csr and not bag.get(CSR_ID) and", "if csr and")], {'departed_sent': True}),
    Variant('an identical renewal is ignored',
            'p7_the_certificate_in_use_stays_until_its_successor_is_there',
            [("if csr == me['csr'] and not me['taken']:", "if csr == me['csr']:")],
            {'text': 'tls/1 1', 'number': 2}),
    Variant('the same certificate is announced again',
            'p10_a_certificate_is_announced_once_though_others_are_answered',
            [("if not me['csr'] or me['taken'] and answer(ANSWER) == self.get_signed_cert() \\\n",
              "if not me['csr'] \\\n")], search=['renew']),
    Variant('the stored certificate is dropped while a renewal waits',
            'p7_the_certificate_in_use_stays_until_its_successor_is_there',
            [("            self._flag(AVAILABLE, False)\n",
              "            self._flag(AVAILABLE, False)\n"
              "            unitdata.kv().unset(ANSWER.format(unit))\n")],
            {'text': 'other', 'number': 1}, search=['renew']),
    Variant('a refused request is offered again',
            'p13_a_refused_request_is_not_offered_again',
            [("ANSWER_ID.format(unit): csr_id}):",
              "ANSWER_ID.format(unit): certificate and csr_id}):")],
            search=['refuse', 'renew'], breaks='wire'),
    Variant('a refusal loops', 'p13_a_layer_that_answers_blindly_does_not_loop',
            [("        if csr == me['csr'] and not me['taken']:",
              "        if csr == me['csr'] and not me['taken'] and not me['refused']:")]),
    Variant('a reissue is lost with the leader',
            'p14_a_change_of_leader_half_way_and_a_unit_added_meanwhile',
            [("            if self._write(me, {key.format(name): None\n" + 32 * " "
              + "for name in names for key in (ANSWER_ID, REFUSAL)}):\n",
              "            if True:\n                me['again'] = True\n"),
             ("            answers = self._answers(me)\n            me['waiting'] = {",
              "            answers = {} if me.get('again') else self._answers(me)\n"
              "            me['waiting'] = {"),
             ("            if csr_id and waits(csr_id,",
              "            if csr_id and me.get('again') or csr_id and waits(csr_id,")]),
    Variant('certificates are dropped for a reissue',
            'p14_every_unit_keeps_its_certificate_until_its_successor_is_there',
            [("for key in (ANSWER_ID, REFUSAL)}", "for key in (ANSWER, ANSWER_ID, REFUSAL)}")],
            {'notified': True}, search=['slow', 'reissue']),
]
