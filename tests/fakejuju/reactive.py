"""What charms.reactive and charmhelpers keep on a unit: unitdata, and the flags in it."""
import json
import os
import shutil
import sqlite3
import tempfile

FLAGS = 'reactive.states.'
# What charms.reactive sets at the start of each dispatch, and reads only within it.
PASSING = 'reactive.dispatch.'


def kv(database):
    """Unitdata as a dict, as last committed; without what lasts for one hook only."""
    if not os.path.exists(str(database)):
        return {}
    try:
        return read(str(database), timeout=0)
    except sqlite3.OperationalError as error:
        if 'locked' not in str(error):
            raise
    # Another process is writing. A copy has no lock, and there the journal is rolled back.
    with tempfile.TemporaryDirectory() as directory:
        copy = os.path.join(directory, 'copy')
        for suffix in ('', '-journal', '-wal'):
            if os.path.exists(str(database) + suffix):
                shutil.copy(str(database) + suffix, copy + suffix)
        return read(copy)


def read(database, **options):
    connection = sqlite3.connect(database, **options)
    try:
        if not connection.execute("select 1 from sqlite_master where name = 'kv'").fetchone():
            return {}  # another framework's
        return {key: json.loads(data) for key, data in
                connection.execute('select key, data from kv order by key')
                if not key.startswith(PASSING)}
    finally:
        connection.close()


def restore(database, values):
    """Make unitdata hold this and nothing else."""
    connection = sqlite3.connect(str(database))
    try:
        with connection:
            connection.execute('create table if not exists kv (key text primary key, data text)')
            connection.execute('delete from kv')
            connection.executemany('insert into kv values (?, ?)', [
                (key, json.dumps(value)) for key, value in values.items()])
    finally:
        connection.close()


def flags(kv):
    return sorted(key[len(FLAGS):] for key in kv if key.startswith(FLAGS))
