"""The faults of a hook, by the names that `fakejuju run` and the pytest fixture use."""
from typing import Any, Dict

# {fault: a function that gives the arguments for Juju.run}. Those of WITH_NUMBER have a number: of
# a call of a hook tool, or the exit code.
FAULTS: Dict[str, Any] = {
    'kill': lambda juju, number: {'kill_at': number},
    'fail': lambda juju, number: {'fail_at': number},
    'interrupted': lambda juju, number: {'interrupted_at': number},
    'regained': lambda juju, number: {'on_call': {number: lambda: regain(juju.model)}},
    'exit': lambda juju, number: {'exit': number},
    'uncommitted': lambda juju, number: {'fail_commit': True},
    'deposed': lambda juju, number: {'depose_before_commit': True},
    'again': lambda juju, number: {'again': True},
    'skipped': None,
}
WITH_NUMBER = 'kill', 'fail', 'interrupted', 'regained', 'exit'


def regain(model):
    leader = model.leader
    model.depose()
    if leader:
        model.elect(leader)


def calls(run):
    """How many calls of hook tools count for faults: all but those of juju-log."""
    return len([call for call in run.calls if call.argv[0] != 'juju-log'])


def met(run, kind, at):
    """Whether the fault was met: there was a hook to run, and it made that many calls."""
    return bool(run.env) and (kind == 'exit' or calls(run) >= at)
