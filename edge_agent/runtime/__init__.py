"""The running agent: its parts put together, summaries, health, the live feed and what systemd is
told.
"""
