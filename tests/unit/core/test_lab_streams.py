"""Samples of markers are decoded alike, whether they come from a file or from the network."""

from __future__ import annotations

import math

import pytest

from edge_agent.core.lab_streams import MarkerSample, MarkerSamples


@pytest.mark.parametrize(
    ("values", "sample"),
    [
        (["stimulus_start/joy"], MarkerSample("stimulus_start/joy")),
        ([" 12 ", "block 2"], MarkerSample("12", ("block 2",))),
        (["", "late", "", "press"], MarkerSample("late", ("press",))),
        ([12.0, 3.5], MarkerSample("12")),
        ([12], MarkerSample("12")),
        ([-0.25], MarkerSample("-0.25")),
        ([math.nan, 4.0], MarkerSample("4")),
        ([math.inf], MarkerSample("")),
        ([2**60], MarkerSample(str(2**60))),
    ],
)
def test_sample_is_its_first_text_and_the_other_ones_are_notes(
    values: list[object], sample: MarkerSample
) -> None:
    assert MarkerSamples().read(values, 0.0) == sample


@pytest.mark.parametrize(
    ("rate_hz", "events"), [(0.0, ["a", "a", "", "a", "b"]), (10.0, ["a", None, None, "a", "b"])]
)
def test_text_at_a_rate_is_an_event_where_it_changes(
    rate_hz: float, events: list[str | None]
) -> None:
    samples = MarkerSamples()
    found = [samples.read([text], rate_hz) for text in ("a", "a", "", "a", "b")]
    assert [one and one.text for one in found] == events


@pytest.mark.parametrize("rate_hz", [0.0, 10.0])
@pytest.mark.parametrize("press", [["", "1"], [math.nan, 1.0]])
def test_text_of_a_later_channel_alone_is_a_note_and_no_order(
    press: list[object], rate_hz: float
) -> None:
    samples = MarkerSamples()
    assert samples.read(["1", ""], rate_hz) == MarkerSample("1")
    assert samples.read(press, rate_hz) == MarkerSample("", ("1",))
    assert MarkerSamples(0).read(press, rate_hz) == MarkerSample("", ("1",)), "before the first"
