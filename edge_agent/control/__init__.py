"""Programs and devices of a laboratory that set markers and run sessions.

``listening`` hears a stream of the Lab Streaming Layer and a serial port; ``orders`` carries out
what they ask for, at the time at which it was asked.
"""
