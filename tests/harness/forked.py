"""Hooks forked from a process that has the frameworks imported: fakejuju's own, by its old name."""
from fakejuju.forked import ForkedJuju, Forkserver

__all__ = ['ForkedJuju', 'Forkserver']
