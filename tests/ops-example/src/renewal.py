"""When a unit asks for another certificate, though it has an answer."""
import json
from datetime import timedelta
from typing import Any, Dict, Optional

import pki
import pki_files
from options import Options

ASKED = pki_files.HOME / 'asked'  # why this unit asked anew, when, and how patient it is
PATIENCE = 3600  # seconds before it asks again for the same reason; from then on twice as long


def is_due(chain: str, unit: str, address: Optional[str], options: Options) -> bool:
    """Whether to ask for another chain than this one, which was answered.

    Not if this unit has just asked for the very same reason: where a clock is wrong, the leader
    would else sign in each `update-status`.
    """
    reason, last, now = reason_to_ask(chain, unit, address, options), remembered(), pki.now()
    if not reason:
        ASKED.unlink(missing_ok=True)
        return False
    is_again, seconds = reason == last.get('reason'), now.timestamp()
    if is_again and abs(seconds - last['time']) < last['patience']:
        return False
    pki_files.write(ASKED, json.dumps({
        'reason': reason, 'time': seconds,
        'patience': 2 * last['patience'] if is_again else PATIENCE}))
    return True


def remembered() -> Dict[str, Any]:
    """What `is_due` has written; empty if that is lost or anything else."""
    try:
        found = json.loads(pki_files.read(ASKED))
        return {'reason': str(found['reason']), 'time': float(found['time']),
                'patience': float(found['patience'])}
    except (ValueError, TypeError, KeyError):
        return {}


def reason_to_ask(chain: str, unit: str, address: Optional[str],
                  options: Options) -> Optional[str]:
    """Why that chain does not do, or not for long; None if it does."""
    if pki_files.unfit(chain):
        return 'of no use'
    start = pki.certificates(chain)[0].not_valid_before_utc
    if start > pki.now():  # the leader's clock is ahead; another would start later still
        in_use = pki_files.in_use()
        latest = pki.now() + timedelta(days=1) if pki_files.unfit(in_use) \
            else pki.certificates(in_use)[0].not_valid_after_utc
        return 'too late' if start > latest else None
    if pki.untimely(chain):
        return 'over'
    if pki.is_to_renew(chain, options.days):
        return f'to last {options.days} days'
    if address is not None and not pki.is_for(chain, unit, options.names_with(address)):
        return f'to be for {options.names_with(address)}'
    return None
