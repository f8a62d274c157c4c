"""Writing the timeline: the recorder, its rows, the outbox, imports, and tombstones.

Example:
    >>> recorder = Recorder(path, RecorderOptions(interval=1.0))
    >>> recorder.start()
    >>> recorder.submit(reading)
"""
