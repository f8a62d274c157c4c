"""Offers a stream and reads it back at its own address.

Run on the Pi's processor: prints the version of liblsl, such as 117, and what a reader received.
The reader does not look for the stream: qemu has no ``IP_MULTICAST_IF``, without which liblsl
sends no query.

python laboratory_stream.py
"""

from __future__ import annotations

from ctypes import c_void_p

from edge_agent.lsl.outlet import load_pylsl

LONG_S = 60.0


def main() -> None:
    """Send a marker to a reader of this process."""
    pylsl = load_pylsl()
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("pi", "Markers", 1, 0, "string", "pi"))
    described = outlet.get_info().as_xml()
    found = described.replace("<v4address></v4address>", "<v4address>127.0.0.1</v4address>")
    read = pylsl.lib.lib.lsl_streaminfo_from_xml
    read.restype = c_void_p
    info = pylsl.StreamInfo(handle=read(found.encode()))
    inlet = pylsl.StreamInlet(info, recover=False)
    inlet.open_stream(timeout=LONG_S)
    outlet.wait_for_consumers(LONG_S)
    outlet.push_sample(["stimulus_start/anger"])
    sample, _ = inlet.pull_sample(timeout=LONG_S)
    print(pylsl.library_version(), sample)


if __name__ == "__main__":
    main()
