"""Offers odd streams, and sends odd samples, in a process of its own: liblsl may hang in such ones.

A line of JSON on the standard input names the streams, each with its samples; ``offered`` is
written when they are there. An empty line lets them send; then ``sent`` is written. It ends with
its standard input.
"""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pylsl


def outlet(stream: dict[str, Any]) -> Any:
    """Return the outlet of a stream."""
    info = pylsl.StreamInfo(
        stream["name"],
        stream["content"],
        stream["channels"],
        stream["rate"],
        stream["format"],
        stream["content"],
    )
    channels = info.desc().append_child("channels")
    channels.append_child("channel").append_child_value("label", stream["label"])
    # The library of a sender hangs, too, where there is no room for a sample.
    is_slow = 0 < stream["rate"] < 1
    return pylsl.StreamOutlet(info, max_buffered=1_000_000 if is_slow else 360)


def main() -> None:
    """Offer, send, and wait for the end."""
    streams = json.loads(sys.stdin.readline())
    outlets = [outlet(stream) for stream in streams]
    print("offered", flush=True)
    sys.stdin.readline()
    for number in range(max(len(stream["samples"]) for stream in streams)):
        for stream, sender in zip(streams, outlets, strict=True):
            value, is_relative, stamp_s = stream["samples"][number]
            if is_relative:
                stamp_s += pylsl.local_clock()
            sender.push_sample([value] * stream["channels"], stamp_s)
    print("sent", flush=True)
    sys.stdin.read()
    os._exit(0)  # its threads may hang


if __name__ == "__main__":
    main()
