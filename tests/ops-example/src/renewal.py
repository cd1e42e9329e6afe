"""When a unit asks for another certificate, though it has an answer."""
from datetime import timedelta
from typing import Optional

import pki
import pki_files
from options import Options


def is_due(chain: str, unit: str, address: Optional[str], options: Options) -> bool:
    """Whether another chain would be better than this one, which was answered."""
    if pki_files.unfit(chain):
        return True
    start = pki.certificates(chain)[0].not_valid_before_utc
    if start > pki.now():  # the leader's clock is ahead; another would start later still
        in_use = pki_files.in_use()
        latest = pki.now() + timedelta(days=1) if pki_files.unfit(in_use) \
            else pki.certificates(in_use)[0].not_valid_after_utc
        return start > latest
    return bool(pki.untimely(chain)) or pki.is_to_renew(chain, options.days) \
        or address is not None and not pki.is_for(chain, unit, options.names_with(address))
