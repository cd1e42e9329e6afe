"""What charms.reactive and charmhelpers keep on a unit: unitdata, and the flags in it."""
import json
import os
import sqlite3

FLAGS = 'reactive.states.'


def kv(database):
    """All of unitdata as a dict."""
    if not os.path.exists(str(database)):
        return {}
    connection = sqlite3.connect(str(database))
    try:
        return {key: json.loads(data) for key, data in
                connection.execute('select key, data from kv order by key')}
    finally:
        connection.close()


def flags(kv):
    return sorted(key[len(FLAGS):] for key in kv if key.startswith(FLAGS))
