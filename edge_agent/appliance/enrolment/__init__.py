"""A device joins a fleet by a code that is good once, and can be put out again.

Where the broker runs, ``FleetEnrolment`` draws codes, takes devices in and puts them out; a small
service (``service``) asks it for who comes over the network. On the device ``FleetJoin`` fetches
the account, proves it at the broker, and writes the configuration.

Example:
    On the server, and what is typed at the device::

        code = FleetEnrolment(FleetPlace()).make_code("room-1", hours=24)
        print(code)
"""
