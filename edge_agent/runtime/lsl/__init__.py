"""Streams of the Lab Streaming Layer: what the agent sees, measures and is told, for recorders.

``library`` loads pylsl and reckons with its clock, ``outlet`` is one stream, ``streams`` are all of
them, ``study_watch`` finds new markers and sessions in the database, ``worker`` feeds the streams
from the agent, ``feed`` from the live feed.

https://labstreaminglayer.readthedocs.io
"""
