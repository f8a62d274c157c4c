"""The collector: takes the streams of many appliances from a broker into PostgreSQL.

It keeps nothing itself: as many processes as wanted do the same work side by side, and each may be
killed at any time. ``docs/fleet.md`` says how.

Example:
    Take what waits at the broker, once::

        writer = MessageWriter(connection)
        deliveries = transport.receive(most=500, timeout_s=1.0)
        confirmations = writer.write_deliveries(deliveries)
        transport.acknowledge(deliveries)
"""
