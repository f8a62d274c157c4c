"""Writing the timeline: the recorder, its rows, the outbox, imports, and tombstones.

Example:
    >>> recorder = Recorder(path, RecorderOptions(interval_s=1.0))
    >>> recorder.start()
    >>> recorder.submit(reading)
"""
