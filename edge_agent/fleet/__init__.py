"""The stream of the timeline to a place where many appliances report.

Nothing here is imported while ``[fleet] enabled`` is false. ``docs/fleet.md`` says how it works.

Example:
    Read what has changed since the start of the stream::

        log = ChangeLog(database)
        stream = log.begin()
        chunk = log.read(after=stream.confirmed, most_rows=500)
"""
