"""Configuration profiles and models that an appliance takes from a fleet, if its owner said so.

What is published is one small signed file, ``index.json`` with ``index.json.sig``: some numbers of
the configuration, the models that go with them, and to how many devices it is given. A device
applies it when its turn comes, watches itself for some minutes, and takes it back by itself.

Example:
    Fetch without rights, then apply as root what was fetched::

        fetch_profile(place, feed, settings.device.name, now_ms)
        print(apply_profile(place, print))
"""
