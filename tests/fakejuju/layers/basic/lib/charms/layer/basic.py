"""Stands in for the library of layer:basic in tests: nothing is installed.

Hooks and actions run on the Python of the tests, with the packages that are in it.
"""
import os
import platform

from charms import layer


def bootstrap_charm_deps():
    """Have the libraries of all layers imported, and the charm's `bin` on the PATH."""
    os.environ['PATH'] += os.pathsep + os.path.join(os.environ['JUJU_CHARM_DIR'], 'bin')
    activate_venv()


def activate_venv():
    """Have the libraries of all layers imported; an action in Python calls this first."""
    if not hasattr(platform, 'linux_distribution'):
        # charmhelpers 1.2.1 refuses to be imported on Debian; it asks this function first, which
        # Python 3.8 has removed.
        setattr(platform, 'linux_distribution', lambda: ('Ubuntu', '', ''))
    layer.import_layer_libs()


def init_config_states():
    """Set `config.changed`, and for each option `config.changed.OPTION` if its value is another
    than in the last hook, `config.set.OPTION` if it has one, `config.default.OPTION` if it has
    its default.
    """
    from charmhelpers.core import hookenv
    from charms.reactive import set_flag, toggle_flag
    config = hookenv.config()
    for option, definition in options_of_the_charm().items():
        if config.changed(option):
            set_flag('config.changed')
            set_flag('config.changed.' + option)
        toggle_flag('config.set.' + option, config.get(option))
        toggle_flag('config.default.' + option, config.get(option) == definition.get('default'))


def clear_config_states():
    """Clear what `init_config_states` has set: these flags last for one hook."""
    from charmhelpers.core import unitdata
    from charms.reactive import clear_flag
    clear_flag('config.changed')
    for option in options_of_the_charm():
        for kind in 'changed', 'set', 'default':
            clear_flag('config.{}.{}'.format(kind, option))
    unitdata.kv().flush()


def options_of_the_charm():
    """The options in config.yaml, {name: definition}."""
    import yaml
    from charmhelpers.core import hookenv
    path = os.path.join(hookenv.charm_dir(), 'config.yaml')
    if not os.path.exists(path):
        return {}
    with open(path) as file:
        return (yaml.safe_load(file) or {}).get('options') or {}
