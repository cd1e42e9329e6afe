"""The options of the charm, checked."""
import re
from typing import List, Mapping, Optional, Union

import pki


class Options:
    def __init__(self, config: Mapping[str, Union[str, int, float, bool]]):
        self.days = int(config['certificate-days'])
        self.names: List[str] = re.findall(r'[^\s,]+', str(config.get('certificate-names', '')))

    @property
    def fault(self) -> Optional[str]:
        """What is wrong with an option, or None. Until it is right nothing is signed or renewed."""
        if self.days not in pki.DAYS:
            return f'option certificate-days is {self.days}: give {pki.DAYS[0]} to {pki.DAYS[-1]}'
        try:
            for name in self.names:
                pki.general_name(name)
        except pki.Fault as fault:
            return f'option certificate-names: {fault}'
        return None

    def names_with(self, address: Optional[str]) -> List[str]:
        """The address and names of a certificate, beside the unit's own host name."""
        return ([address] if address else []) + self.names
