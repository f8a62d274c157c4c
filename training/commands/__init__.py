"""The commands of ``python -m training``, one function each.

Example::

    python -m training --help
    python -m training evaluate NAME.tflite --data fer2013.csv --usage PublicTest --json
"""
