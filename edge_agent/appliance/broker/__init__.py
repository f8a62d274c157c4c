"""Accounts at the MQTT broker that ``install.sh`` set up: who may read, and who may write what.

Example:
    Let a watch send its readings, and show the password once::

        print(accounts.add("watch", [Right.READINGS]))
"""
