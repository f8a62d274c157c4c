"""Recordings of the Lab Streaming Layer (XDF), as LabRecorder writes them.

``container`` walks the chunks of a file and keeps where they lie, ``description`` reads the XML in
them, ``samples`` lets pyxdf read one stream and correct its clock, ``streams`` decides what a
stream becomes, ``recording`` gives readings, markers and faces at times of day.
"""
