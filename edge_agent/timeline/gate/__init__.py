"""The gate: named commands with which the dashboard changes what it may only read.

The dashboard talks to the network, so its user may read the database of the timeline and not write
it. It sends commands through a socket to a process of the agent's user, which checks and runs them
and writes who asked into the audit trail. There is no command for a statement of SQL, none for an
expression, a rollup, a clock or a line of the trail that exists. Where one user runs both, the same
commands run in the dashboard's own process.
"""
