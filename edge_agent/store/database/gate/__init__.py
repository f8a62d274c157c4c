"""The gate: how a program writes a database whose file it may only read.

The dashboard talks to the network, so that it may read the database file and not write it. It sends
its statements through a socket to a process of the agent's user, which runs them with SQLite's
authorizer: tables of the study, of accounts and of messages may be written, the timeline may not.
What has to change the timeline (a reading by hand, an erasure) are a few functions of ours that are
called there by name. Whoever takes over the dashboard can so change neither an expression, a
reading nor a rollup by any statement.

Example::

    with write_transaction(path) as connection:  # goes through the gate where this user must
        connection.execute("INSERT INTO …")
"""
