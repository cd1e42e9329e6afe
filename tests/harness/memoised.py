"""A third way to run hooks: what a hook did once is not run again.

What a hook does depends on its unit's files, its environment and what its hook tools answer. So
the first time it runs for real, and the calls and the end are kept as a tree: each call leads
by its answer to the next one. When the same hook starts again from the same files and
environment, its calls are answered by the model of now, along the tree; where an answer is new,
the hook runs for real, gets the answers of so far, and goes on with new ones.

Of a unit's files these are unitdata and the directory `disk`: for charms that keep nothing else.
For real means in this process, as inprocess.py does it.
"""
import functools
import json
import re
from collections import defaultdict
from typing import Any, Dict

from fakejuju.runner import Killed, Run, with_file
from inprocess import InProcessJuju


class Node:
    """What a hook does next: it calls a hook tool, or ends; neither, if nobody knows yet."""

    def __init__(self):
        self.call = None      # argv, stdin
        self.disk = None      # the unit's files at that time
        self.branches = {}    # answer -> Node
        self.end = None       # exit code, unitdata, files


class Root(Node):
    """What a hook does first, and what is needed to run it again."""

    def __init__(self, run, context, file, before):
        super().__init__()
        self.run, self.context, self.file = run, context, file
        self.before = before  # unitdata, files


class Recorder:
    """Answers a real run: with `past`, what was answered before; then by `answers`."""

    def __init__(self, node, past, disk, answers=None):
        self.node = node
        self.past = list(past)
        self.disk = disk
        self.answers = answers

    def __call__(self, argv, stdin, directory):
        if argv[0] == 'juju-log':  # no hook acts upon its answer
            return self.answers(argv, stdin, directory) if self.answers else (0, '', '')
        argv, stdin = with_file(argv, stdin, directory)
        call = tuple(argv), stdin
        self.node.call = self.node.call or call
        if renamed(repr(self.node.call)) != renamed(repr(call)):
            raise AssertionError('the hook called {}, and now {}'.format(self.node.call, call))
        self.node.disk = self.node.disk or self.disk()
        answer = self.past.pop(0) if self.past else self.answers(argv, stdin, directory)
        self.node = self.node.branches.setdefault(answer, Node())
        return answer


# What is read by `kv` and must not be changed: the same text gives the same object.
parsed = functools.lru_cache(maxsize=10000)(json.loads)


class MemoisedJuju(InProcessJuju):
    """A Juju that runs each hook once for each input, and can go back to a state that it had."""

    memories: Dict[str, Dict[Any, Root]] = defaultdict(dict)  # of all models of a charm

    def __init__(self, charm, directory, **knobs):
        super().__init__(charm, directory, **knobs)
        self.memory = self.memories[str(charm)]  # what a hook starts from -> Root
        self.used = {}          # what of that happened here
        self.lives = {}         # unit -> how many units have had that name
        self.real_runs = self.reused = 0

    def save(self):
        return super().save(), dict(self.lives)

    def load(self, state):
        super().load(state[0])
        self.lives = dict(state[1])

    def add_unit(self, name=None):
        name = super().add_unit(name)
        self.lives[name] = self.lives.get(name, 0) + 1
        return name

    def kv(self, unit):
        return parsed(self.unitdata[unit])

    def unitdata_text(self, unit):
        return self.unitdata[unit]

    def charm_directory(self, unit):
        return str(self.charm)  # also of a unit that this state does not have

    def starts_from(self, unit, hook):
        """All that a hook can know before it calls a hook tool: its environment follows from it."""
        return unit, hook._replace(version=0), self.model.version, self.lives[unit], \
            self.unitdata[unit], self.disks[unit]

    def does_nothing(self, unit):
        """Whether the unit's next hook calls no hook tool and changes no file."""
        hook, before = self.next_hook(unit), (self.unitdata[unit], self.disks[unit])
        if not self.hook_file(unit, hook):
            return True
        key = self.starts_from(unit, hook)
        if key not in self.memory:
            state = self.save()
            self.run(unit)
            self.load(state)
        return self.memory[key].end == (0, *before)

    def execute(self, run, context, file, answers):
        unit, before = run.unit, (self.unitdata[run.unit], self.disks[run.unit])
        key = self.starts_from(unit, run.hook)
        if key not in self.memory:
            self.memory[key] = Root(run, context, file, before)
        node, past = self.used.setdefault(key, self.memory[key]), []
        try:
            while node.call:
                past.append(answers(*node.call, '/'))
                node = node.branches.setdefault(past[-1], Node())
        except Killed as killed:
            run.exit_code, self.disks[unit] = -killed.signal, node.disk
            return
        if node.end:
            self.reused += 1
        else:
            recorder = Recorder(self.memory[key], past, functools.partial(self.laid_out, unit),
                                answers)
            end = self.execute_for_real(run, context, file, before, recorder)
            self.real_runs += 1
            if run.exit_code < 0:
                return
            node = recorder.node
            node.end = end
        run.exit_code, self.unitdata[unit], self.disks[unit] = node.end

    def execute_for_real(self, run, context, file, before, recorder):
        self.unitdata[run.unit], self.disks[run.unit] = before
        super().execute(run, context, file, recorder)
        # A context never comes again: which one it was makes no difference to any later hook.
        return run.exit_code, json.dumps(super().kv(run.unit), sort_keys=True).replace(
            context.id, 'past'), self.disks[run.unit]

    def ends(self):
        """(root, answers, end) of everything remembered of the hooks that were run here."""
        def below(node, past):
            if node.end:
                yield past, node.end
            for answer, branch in node.branches.items():
                yield from below(branch, past + [answer])
        for root in self.used.values():
            for past, end in below(root, []):
                yield root, past, end

    def run_again(self, root, past, end):
        """Run a remembered hook once more for real: it has to call the same and end the same."""
        recorder = Recorder(root, past, functools.partial(self.laid_out, root.run.unit))
        again = self.execute_for_real(Run(root.run.unit, root.run.hook), root.context, root.file,
                                      root.before, recorder)
        if (again[0], renamed(again[1]), again[2]) != (end[0], renamed(end[1]), end[2]):
            raise AssertionError('{} of {} ended with {}, and now {}'.format(
                root.run.hook.name, root.run.unit, end, again))


def renamed(text):
    """Random ids, and digests of answers, which may hold one, replaced by the order in which they
    appear; the digest in a request's id stays as it is.
    """
    names: Dict[str, str] = {}

    def name(match):
        return names.setdefault(match.group(), 'id {}'.format(len(names)))

    return re.sub('(?<![0-9a-f])[0-9a-f]{32}(?![0-9a-f])|(?<![-0-9a-f])[0-9a-f]{64}(?![0-9a-f])',
                  name, text)
