"""Offers the streams of markers and sessions, and reads a marker back.

Run on the Pi's processor: prints the version of liblsl, such as 117, and what a reader received.

python laboratory_stream.py
"""

from __future__ import annotations

from edge_agent.config.laboratory import LslSettings
from edge_agent.core import clock
from edge_agent.lsl.outlet import load_pylsl
from edge_agent.lsl.streams import StreamOptions, Streams

LONG_S = 120.0


def main() -> None:
    """Send a marker to a reader of this process."""
    pylsl = load_pylsl()
    streams = Streams(StreamOptions("pi", LslSettings()))
    streams.offer_events()
    found = pylsl.resolve_byprop("source_id", "affect-edge/pi/markers", timeout=LONG_S)
    inlet = pylsl.StreamInlet(found[0])
    inlet.open_stream(timeout=LONG_S)
    streams.event("markers", clock.now(), "stimulus_start/anger")
    streams.send_held()
    sample, _ = inlet.pull_sample(timeout=LONG_S)
    print(pylsl.library_version(), sample)


if __name__ == "__main__":
    main()
