"""The timeline as files for other programs, in one of several formats.

``formats/`` holds one module a format, ``rows/`` the rows that all of them write.

Example:
    >>> from edge_agent.timeline.export.format import format_named
    >>> from edge_agent.timeline.export.rows import ExportChoice
    >>> format_named("json").export(database, Path("session-3.json"), ExportChoice(sessions=(3,)))
    [PosixPath('session-3.json')]
"""
