"""The timeline in SQLite: one writer, any number of readers.

Example:
    >>> from edge_agent.store.database.upgrade import migrate
    >>> from edge_agent.store.read.reader import Reader
    >>> from edge_agent.store.write.recorder import Recorder
    >>> migrate(path)
    >>> recorder = Recorder(path)
    >>> recorder.start()
    >>> Reader(path).latest_vitals()
"""
