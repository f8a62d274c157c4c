"""Streams of the Lab Streaming Layer: expressions, readings and markers, for recorders.

``outlet`` loads pylsl and is one stream, ``streams`` are all of them, ``worker`` finds new markers
and sessions in the database and feeds the streams from one thread. ``inlet`` reads numeric streams
of other programs as sources of readings.
"""
