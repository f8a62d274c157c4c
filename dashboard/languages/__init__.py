"""The languages of screens and reports: one catalogue of texts, numbers and dates by locale.

English is the language of the source, so a text that a catalogue lacks is shown in English.

    >>> from dashboard.languages.current import gettext, speaking
    >>> with speaking("en"):
    ...     gettext("Participants")
    'Participants'
"""
