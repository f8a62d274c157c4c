"""What a shell is told of the commands: how words are completed, also of those of the dashboard.

The scripts in ``bash``, ``zsh`` and ``fish`` and the manual page are written by
``python -m tools.documents.write_manual``; the wheel installs them in ``share``.
"""
