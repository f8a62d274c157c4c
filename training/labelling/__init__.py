"""Labelling pictures by hand, by one person or several, and how far they agree.

Example::

    labels = Labels(Path("photographs"), Path("photographs-labels"))
    labels.set("Ada", Mark("a.jpg", "anger"))
    serve(labels, port=8765)
"""
