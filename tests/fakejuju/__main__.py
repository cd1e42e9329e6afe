"""The command `fakejuju`, also as `python -m fakejuju`."""
import argparse
import sys

from . import cli, timeline
from .build import LAYERS


def main(arguments=None):
    parser = argparse.ArgumentParser(prog='fakejuju', description='A double of Juju.')
    commands = parser.add_subparsers(dest='command', required=True)
    run = commands.add_parser('run', help='show what a built charm does', prog='fakejuju run',
                              description=timeline.__doc__,
                              formatter_class=argparse.RawDescriptionHelpFormatter)
    timeline.add_arguments(run)
    commands.add_parser('layers', help='print the directory for CHARM_LAYERS_DIR, which has '
                                       'stand-ins for layer:basic and layer:options')
    options = parser.parse_args(arguments)
    if options.command == 'layers':
        print(LAYERS)
        return 0
    if len(dict(options.fault)) < len(options.fault):
        run.error('a hook meets with one fault at most')
    return timeline.run(options)


def juju():
    """The command `juju`, by the name fakejuju-juju."""
    return cli.main(sys.argv[1:])


if __name__ == '__main__':
    sys.exit(main())
