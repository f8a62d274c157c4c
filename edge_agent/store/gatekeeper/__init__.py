"""The process that writes the database for a program that may only read it.

Example::

    with Gatekeeper(database, Path("/run/affect-edge/database.sock")) as keeper:
        keeper.serve()
"""
