"""Whether a newer release was published where the owner looks for them.

What is published there is a small signed list, ``index.json`` with ``index.json.sig``, that names
the newest archive beside it. Nothing is ever installed because it is listed.

Example:
    Look, and say what there is::

        answer = look(feed, trust, state, now)
        print(answer.version)
"""
