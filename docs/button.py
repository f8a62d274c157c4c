# MicroPython program of a button that says whose face it is (docs/control.md, "Whose face it is").
# A push button between pin GP15 and ground of a Raspberry Pi Pico, or of another board with
# MicroPython and USB.
# Copy it to the board as main.py; it sends the byte 1 each time the button goes down.

import sys
import time

from machine import Pin

CODE = b"\x01"
SETTLES_MS = 50  # a contact bounces for some milliseconds

button = Pin(15, Pin.IN, Pin.PULL_UP)
was_down = False
while True:
    is_down = button.value() == 0
    if is_down and not was_down:
        sys.stdout.buffer.write(CODE)
    if is_down != was_down:
        was_down = is_down
        time.sleep_ms(SETTLES_MS)
    time.sleep_ms(5)
