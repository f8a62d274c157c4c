"""The data folder in an encrypted container (LUKS2): made, filled, proven, and locked at a start.

Example:
    Move the data folder of this machine into a container of eight gigabytes::

        encrypt(Places(), passphrase, 8 * 10**9, print)
"""
