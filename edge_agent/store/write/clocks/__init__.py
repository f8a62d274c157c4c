"""Which clock dated what, and moving rows to the time that turned out to be right.

A part of ``edge_agent.store.write``.
"""
