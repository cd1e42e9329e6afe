"""A small, true Juju: a double for one application with peer relations.

    with Juju('path/to/built/charm', 'new/directory') as juju:
        juju.elect(juju.add_unit())
        juju.add_unit()
        juju.settle()
        print(juju.bag('app/0'), juju.app_bag())

For tests of a charm, use the pytest fixture of testing.py and plugin.py; README.md is the manual.
The hooks of the charm run for real, as processes of their own, against hook tools that are
executables on PATH and answer as Juju's do. model.py has the units, relation data, versions,
leadership and the choice of the next hook; context.py what one hook sees and writes; tools.py the
hook tools; runner.py starts hooks and commits or discards. forked.py is a faster way to run the
same hooks (20 ms each). Two more are in ../harness of the checkout: inprocess.py, and memoised.py,
which runs no hook twice. All of it follows Juju's sources and a running Juju. Their rules are cited
as JS n and JSRC Xn where they act; the tables in RULES.md have a test for each.

It can be told to fail: see `Juju.run`, and the knobs of `Model`.

Not modelled, and refused: relations with other applications, storage, ports, resources, secrets of
a unit, k8s specs; `juju exec` in forked hooks. Hooks run one at a time, so that a run can be
repeated: `on_call` and `fly` bring in what happens on other units while a hook runs. There is no
clock: retries, elections and update-status happen when the test says so.

cli.py is a `juju` command on top of it; timeline.py shows what a charm does.
"""
from .context import CommitFailed, Context
from .model import Hook, Model, NotModelled
from .runner import Call, Juju, Run

__all__ = ['Call', 'CommitFailed', 'Context', 'Hook', 'Juju', 'Model', 'NotModelled', 'Run']
