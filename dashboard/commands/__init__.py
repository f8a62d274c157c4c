"""The subcommands of ``python -m dashboard``, which need no browser."""
