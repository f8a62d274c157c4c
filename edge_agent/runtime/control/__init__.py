"""Programs and devices of a laboratory that set markers and run sessions.

``marker_stream`` listens to a stream of the Lab Streaming Layer, ``serial_codes`` to a serial port;
``orders`` carries out what they ask for, at the time at which it was asked.
"""
