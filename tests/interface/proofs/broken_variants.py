"""Small wrong variants of peers.py, each with a bug that interfaces of this kind really had.

test_broken_variants.py shows that each is noticed: by a test of the promise that it breaks, and by
the search of all orders where two units can show it.
"""
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Tuple

PEERS = Path(__file__).parents[3] / 'peers.py'


class Variant(NamedTuple):
    name: str
    test: str                        # of test_promises_*.py; its name carries the promise
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
            [("hookenv.relation_set(self.record.relation, settings, app=app)",
              "hookenv.relation_set(self.record.relation, settings)")],
            search=['renew'], breaks='wire'),
    Variant('a new leader does not look at the requests that wait',
            'p4_a_new_leader_serves_what_was_asked_while_nobody_led',
            [("FULL_LOOK = ('update-status', 'leader-elected', 'upgrade-charm')",
              "FULL_LOOK = ('update-status', 'upgrade-charm')")]),
    Variant('looks only where told: who leads, in leader-elected only',
            'p4_leadership_lost_and_won_again_around_a_single_hook',
            [("FULL_LOOK = ('update-status', ", "FULL_LOOK = (")],
            search=['renew', 'skip'], breaks='P1'),
    Variant('looks only where told: a request, in the changed of its unit only',
            'p15_the_leader_skipped_the_changed_of_a_peer',
            [("        if compares and record.leads:\n",
              "        if compares and record.leads and hook != 'update-status':\n")],
            {'resolved': False},
            search=['renew', 'skip'], breaks='P1'),
    Variant('looks only where told: an answer, in the changed of the application only',
            'p15_a_follower_skipped_the_changed_of_the_application_bag',
            [("        if full or record.waiting:  # Juju", "        if record.waiting:  # Juju")],
            search=['renew', 'skip'], breaks='P1'),
    Variant('believes its record: a request, though the bag has another',
            'p15_a_unit_whose_disk_was_restored_asks_its_layer',
            [("        compares = full or not (record.id",
              "        compares = event == 'created' or not (record.id")],
            search=['uncommitted', 'renew'], breaks='P1'),
    Variant('believes its bag: a request, though its key is lost',
            'p15_a_unit_whose_disk_was_restored_asks_its_layer',
            [("        return None, last, False\n", "        return csr, last, False\n")],
            search=['lose_disk'], breaks='P2'),
    Variant('an answer is dropped when its unit says something',
            'p15_every_hook_runs_again_after_its_commit',
            [("            leader.survey({peer})",
              "            leader.write(dict.fromkeys(keys_of(peer)), app=True)\n"
              "            leader.survey({peer})")], search=['again', 'renew'], breaks='P4'),
    Variant('believes its record: a request that was not committed',
            'p5_a_request_is_published_again_with_its_id',
            [("return record.csr, last, number < last and text != str(last)",
              "return record.csr, last, False")]),
    Variant('no csr_id: whatever certificate is there is taken',
            'p2_an_answer_to_a_request_that_only_a_cache_still_shows_is_not_taken',
            [("        if answer.id != record.id:\n", "        if not answer.id:\n")],
            search=['renew', 'status']),
    Variant('an id counted by the unit alone',
            'p2_no_unit_takes_the_certificate_of_the_key_before_its_disk_was_restored',
            [("return '{}-{}'.format(number, sha256(csr))",
              "return '{}-{}'.format(number, 64 * '0')"),
             ("return record.csr, next_number(record.csr, max(last, answered), stands), True",
              "return record.csr, record.number + 1, True")],
            {'answered': True}),
    Variant('a unit outnumbers nobody',
            'p3_an_id_that_a_compromised_leader_made_up_is_outnumbered',
            [("if record.unpublished or answered > last and",
              "if record.unpublished or False and")],
            {'number': '9' * 15}),
    Variant('an id without an order', 'p2_an_answer_never_lowers_the_number',
            [("return request_id != answer.id and number >= answer.number",
              "return request_id != answer.id")],
            search=['restore_bag', 'renew'],
            breaks='P4'),
    Variant('an id is an answer, whatever is beside it',
            'p3_the_own_id_beside_no_certificate_keeps_no_unit_unserved',
            [("        if match and is_usable else Answer()", "        if match else Answer()")],
            {'junk': 'junk'}),
    Variant('set_cert answers whatever request is current',
            'p2_nothing_is_published_for_a_unit_that_asked_anew',
            [("if request_id != ordered if csr is None else", "if csr is not None and")],
            search=['slow', 'renew', 'renew']),
    Variant('set_cert does not compare the CSR that it is given',
            'p2_with_csr_nothing_is_published_for_a_unit_that_asked_anew',
            [("if request_id != ordered if csr is None else requests_in(csr) != "
              "requests_in(current):",
              "if csr is None and request_id != ordered:")]),
    Variant('a refusal by csr makes an old order one for it',
            'p2_a_refusal_with_csr_does_not_make_an_old_order_the_order_for_it',
            [("self.record.handed_out[unit] = [order[0], ",
              "self.record.handed_out[unit] = [new[ANSWER_ID.format(unit)], ")]),
    Variant('compares the ids of answers alone',
            'p4_an_old_order_does_not_replace_what_another_leader_answered_meanwhile',
            [("    if digest_of(answers, unit) not in digests \\\n", "    if False \\\n")]),
    Variant('takes what it published for what stands there',
            'p4_an_answer_whose_commit_failed_can_be_given_again',
            [("[digest_of(new, unit), digest_of(answers, unit), *order[1:]]",
              "[digest_of(new, unit)]")]),
    # No search notices: what is not committed then waits for an update-status, which each unit
    # runs before the search asks whether all are served. P5 promises it at once.
    Variant('answers count as published when the hook ends',
            'p5_an_answer_in_an_action_that_is_not_committed_is_missed',
            [("self.record.waiting[unit] = new[ANSWER_ID.format(unit)]",
              "self.record.waiting.pop(unit, None)")]),
    Variant('answers are sent again after a failed commit',
            'p5_an_answer_is_signed_again_not_sent_again',
            [("        self.record.waiting[unit] = new[ANSWER_ID.format(unit)]\n",
              "        self.record.waiting[unit] = new[ANSWER_ID.format(unit)]\n"
              "        unitdata.kv().set('sent', new)\n"),
             ("        if full or record.waiting:  # Juju",
              "        if record.waiting and unitdata.kv().get('sent'):\n"
              "            unit.write(unitdata.kv().get('sent'), app=True)\n"
              "        if full or record.waiting:  # Juju")]),
    Variant('looks twice in a hook',
            'p5_a_cache_that_is_cleared_in_the_middle_of_a_hook_loses_nothing',
            [("if context and context == record.context:", "if False:")]),
    Variant('the flag stays after its unit has departed',
            'p8_a_waiting_request_leaves_with_its_unit',
            [("        self.record.waiting.pop(unit, None)\n        self.record.handed_out",
              "        self.record.handed_out")], search=['slow', 'renew', 'remove']),
    Variant('a leaving leader wipes the answers', 'p8_a_leaving_leader_wipes_nothing',
            [("if self.record.leads and hookenv.departing_unit() == unit \\\n",
              "if self.record.leads \\\n")], {'leaver': 'tls/0'}, search=['remove']),
    Variant('relation-list alone says who is there',
            'p8_a_removed_unit_of_which_no_survivor_is_told',
            [("expected = expected if self.unit in expected else set()", "expected = set()")],
            {'asked': True}),
    Variant('a goal-state that lists nobody is believed',
            'p8_a_subordinate_is_deleted_by_no_goal_state',
            [("expected = expected if self.unit in expected else set()",
              "expected = expected or {self.unit}")]),
    Variant('any peer is believed', 'p3_a_forged_answer_is_not_believed',
            [("        answers = self.bag(app=self.app) if record.id else None\n",
              "        answers = self.bag(app=self.app) if record.id else None\n"
              "        if hookenv.remote_unit():\n"
              "            answers = self.bag(unit=hookenv.remote_unit())\n"),
             ("        if event == 'changed' and not peer:  # the",
              "        if event == 'changed':  # the")]),
    Variant('the conversation of the running hook is used',
            'p8_no_handler_is_given_a_conversation',
            [("        self._relation_name, self._conversations = relation_name, []\n",
              "        super().__init__(relation_name, conversations)\n")]),
    Variant('what the object said first is trusted when the handler runs again',
            'p9_a_handler_that_runs_again_in_the_same_hook_is_given_what_waits_then',
            [("            leader.survey(set(leader.due()))\n",
              "            if hasattr(self, 'first'):\n                return self.first\n"
              "            leader.survey(set(leader.due()))\n"),
             ("            return requests\n\n    def set_cert",
              "            self.first = requests\n            return requests\n\n"
              "    def set_cert")]),
    Variant('a read that fails fails the hook', 'p15_any_call_of_a_full_look_may_fail',
            [("except (CalledProcessError, NotImplementedError, OSError, ValueError) as error:",
              "except NotImplementedError as error:")], {'unit': 'tls/1'}),
    Variant('an identical renewal is ignored',
            'p7_the_certificate_in_use_stays_until_its_successor_is_there',
            [("if csr == record.csr and record.outcome != TAKEN:\n"
              "                if record.outcome:",
              "if csr == record.csr:\n                if 'refused' in record.outcome:")],
            {'text': 'tls/1 1', 'number': 2}),
    Variant('the same certificate is announced again',
            'p10_a_certificate_is_announced_once_though_others_are_answered',
            [("if answer.certificate and not (had_taken and answer.certificate == "
              "unitdata.kv().get(key)):", "if answer.certificate:")],
            search=['renew']),
    Variant('the stored certificate is dropped while a renewal waits',
            'p7_the_certificate_in_use_stays_until_its_successor_is_there',
            [("            _flag(AVAILABLE, self.relation_name, False)\n",
              "            _flag(AVAILABLE, self.relation_name, False)\n"
              "            unitdata.kv().unset(CERTIFICATE.format(unit.unit))\n")],
            {'text': 'other', 'number': 1}, search=['renew']),
    Variant('a refused request is offered again',
            'p13_a_refused_request_is_not_offered_again',
            [("(*answer, request_in(self.bag(unit=unit))[0])",
              "(*answer, request_in(self.bag(unit=unit))[0] if answer[0] else None)"),
             ("waiting[unit] = new[ANSWER_ID.format(unit)]",
              "waiting[unit] = request_in(self.bag(unit=unit))[0]")],
            search=['refuse', 'renew'], breaks='wire'),
    Variant('a refused CSR is published again',
            'p13_the_same_csr_is_not_published_again_another_is_a_new_request',
            [("if csr == record.csr and record.outcome != TAKEN:",
              "if csr == record.csr and not record.outcome:")]),
    Variant('a refused unit is asked again at once',
            'p13_a_certificate_may_follow_a_refusal_and_the_other_way_round',
            [("else hook in ASK_AGAIN and compared is not False", "else True")]),
    Variant('a reissue is lost with the leader',
            'p14_a_change_of_leader_half_way_and_a_unit_added_meanwhile',
            [("            if again and not leader.write(again, app=True) or leader.answers()",
              "            unitdata.kv().set('again', again)\n"
              "            if leader.answers()"),
             ("        rid = self.record.relation\n",
              "        rid = self.record.relation\n"
              "        if unitdata.kv().get('again') and rid and 'app' in owner:\n"
              "            return dict(hookenv.relation_get(rid=rid, **owner),\n"
              "                        **unitdata.kv().get('again'))\n")]),
    Variant('certificates are dropped for a reissue',
            'p14_every_unit_keeps_its_certificate_until_its_successor_is_there',
            [("new = None, 'reissue-' + os.urandom(16).hex()",
              "new = None, None, 'reissue-' + os.urandom(16).hex()"),
             ("zip(keys_of(unit)[1:], new)", "zip(keys_of(unit), new)")],
            {'notified': True}, search=['slow', 'reissue']),
]
