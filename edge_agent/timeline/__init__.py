"""The timeline in SQLite: short transactions that write, one at a time; any number of readers.

Example:
    >>> from edge_agent.timeline.database.upgrade import migrate
    >>> from edge_agent.timeline.read.reader import Reader
    >>> from edge_agent.timeline.write.recorder import Recorder
    >>> migrate(path)
    >>> recorder = Recorder(path)
    >>> recorder.start()
    >>> Reader(path).latest_vitals()
"""
