"""The command `fakejuju`, also as `python -m fakejuju`."""
import argparse
import os
import sys

from . import cli, timeline
from .build import LAYERS, BuildFailed, build


def main(arguments=None):
    parser = argparse.ArgumentParser(prog='fakejuju', description='A double of Juju.')
    commands = parser.add_subparsers(dest='command', required=True)
    run = commands.add_parser('run', help='show what a built charm does', prog='fakejuju run',
                              description=timeline.__doc__,
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    timeline.add_arguments(run)
    commands.add_parser('layers', help='print the directory for CHARM_LAYERS_DIR, which has '
                                       'stand-ins for layer:basic and layer:options')
    make = commands.add_parser('build', help='build a charm layer offline, and print where it is')
    make.add_argument('layer', help='the directory of layer.yaml')
    make.add_argument('target', help='where the built charm goes, in a directory of its name')
    options = parser.parse_args(arguments)
    if options.command == 'build':
        return print_built(options.layer, options.target)
    if options.command == 'layers':
        print(LAYERS)
        return 0
    if len(dict(options.fault)) < len(options.fault):
        run.error('a hook can have only one fault')
    try:
        return timeline.run(options)
    except BrokenPipeError:  # `| head` has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def print_built(layer, target):
    try:
        print(build(layer, target))
        return 0
    except BuildFailed as error:
        print('ERROR', error, file=sys.stderr)
        return 1


def juju():
    """The command `juju`, by the name fakejuju-juju."""
    return cli.main(sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
