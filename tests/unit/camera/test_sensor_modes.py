"""Which mode of a Pi camera's sensor is asked for, judged by how Picamera2 itself scores modes."""

from __future__ import annotations

import ast
import importlib.util
import logging
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from edge_agent.camera.picamera import widest_view
from tests.unit.camera.test_picamera import IMX708, double, opened

Mode = dict[str, Any]
Score = Callable[[Mode, int, tuple[int, int]], float]


def mode(bits: int, size: tuple[int, int], crop: tuple[int, int, int, int], fps: float) -> Mode:
    """One entry of ``Picamera2.sensor_modes``."""
    return {
        "format": f"SRGGB{bits}_CSI2P",
        "unpacked": f"SRGGB{bits}",
        "bit_depth": bits,
        "size": size,
        "fps": fps,
        "crop_limits": crop,
        "exposure_limits": (1, 1_000_000),
    }


def each(depths: tuple[int, ...], *modes: tuple[Any, ...]) -> list[Mode]:
    return [mode(bits, *rest) for bits in depths for rest in modes]


# As the manual of Picamera2 and the drivers list them: size, what it sees of the sensor, frames/s.
MODES = {
    "imx219": each(
        (8, 10),
        ((640, 480), (1000, 752, 1280, 960), 103.3),
        ((1640, 1232), (0, 0, 3280, 2464), 41.9),
        ((1920, 1080), (680, 692, 1920, 1080), 47.6),
        ((3280, 2464), (0, 0, 3280, 2464), 21.2),
    ),
    "imx477": [
        mode(10, (1332, 990), (696, 528, 2664, 1980), 120.1),
        mode(12, (2028, 1080), (0, 440, 4056, 2160), 50.0),
        mode(12, (2028, 1520), (0, 0, 4056, 3040), 40.0),
        mode(12, (4056, 3040), (0, 0, 4056, 3040), 10.0),
    ],
    "imx708": each(
        (10,),
        ((1536, 864), (768, 432, 3072, 1728), 120.1),
        ((2304, 1296), (0, 0, 4608, 2592), 56.0),
        ((4608, 2592), (0, 0, 4608, 2592), 14.4),
    ),
    "ov5647": each(
        (10,),
        ((640, 480), (16, 0, 2560, 1920), 58.9),
        ((1296, 972), (0, 0, 2592, 1944), 46.3),
        ((1920, 1080), (348, 434, 1928, 1080), 32.8),
        ((2592, 1944), (0, 0, 2592, 1944), 15.6),
    ),
    "imx296": each((10,), ((1456, 1088), (0, 0, 1456, 1088), 60.4)),
    "a sensor that nobody here knows": each(
        (10,),
        ((800, 600), (1000, 1000, 1600, 1200), 90.0),
        ((1200, 1200), (0, 0, 3600, 3600), 30.0),
        ((3600, 3600), (0, 0, 3600, 3600), 5.0),
    ),
}
SMALL = (640, 480)
WIDE = (1280, 720)


@pytest.mark.parametrize(
    ("sensor", "picture", "chosen", "width", "height"),
    [
        ("imx219", SMALL, (1640, 1232), 1.0, 1.0),
        ("imx219", WIDE, (1640, 1232), 1.0, 0.75),
        ("imx477", SMALL, (2028, 1520), 1.0, 1.0),
        ("imx708", SMALL, (2304, 1296), 0.75, 1.0),
        ("imx708", WIDE, (2304, 1296), 1.0, 1.0),
        ("ov5647", SMALL, (640, 480), 0.99, 0.99),
        ("ov5647", WIDE, (1296, 972), 1.0, 0.75),
        ("imx296", SMALL, (1456, 1088), 1.0, 1.0),
        ("a sensor that nobody here knows", SMALL, (1200, 1200), 1.0, 0.75),
    ],
)
def test_the_smallest_mode_that_sees_all_is_chosen(
    sensor: str, picture: tuple[int, int], chosen: tuple[int, int], width: float, height: float
) -> None:
    view = widest_view(MODES[sensor], picture, 15)
    assert view is not None
    assert view.size == chosen
    assert (view.width, view.height) == pytest.approx((width, height), abs=0.011)
    assert view.bit_depth == max(mode["bit_depth"] for mode in MODES[sensor])


def test_a_rate_that_the_smallest_whole_mode_cannot_give_takes_another_that_sees_as_much() -> None:
    modes = each(
        (10,),
        ((1000, 750), (0, 0, 4000, 3000), 10.0),
        ((2000, 1500), (0, 0, 4000, 3000), 30.0),
        ((500, 375), (1000, 1000, 1000, 750), 90.0),
    )
    slow = widest_view(modes, SMALL, 5)
    quick = widest_view(modes, SMALL, 15)
    assert slow is not None
    assert quick is not None
    assert (slow.size, quick.size) == ((1000, 750), (2000, 1500))


@pytest.mark.parametrize("modes", [[], [{"format": "MJPEG"}], [{"format": "YUYV"}]])
def test_a_camera_that_says_nothing_of_its_modes_is_left_alone(modes: list[Mode]) -> None:
    assert widest_view(modes, SMALL, 15) is None


def test_the_mode_is_asked_of_the_camera_and_what_is_seen_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    module, device = double(sensor_modes=MODES["imx708"], cameras=[IMX708])
    with opened(module) as camera:
        assert (
            camera.view
            == "sees 75 % of the sensor's width and 100 % of its height: about 52° × 41°"
        )
    configuration = device.made[0].configuration
    assert configuration is not None
    assert configuration["sensor"] == {"output_size": (2304, 1296), "bit_depth": 10}
    assert "mode of 2304 × 1296, sees 75 %" in caplog.text


def score_of_picamera2() -> Score:
    """Return the function by which the installed Picamera2 scores modes, without its hardware."""
    spec = importlib.util.find_spec("picamera2")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("Picamera2's source is not installed: pip install --no-deps picamera2")
    source = Path(spec.submodule_search_locations[0]) / "picamera2.py"
    (function,) = (
        node
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef) and node.name == "score_mode"
    )
    names: dict[str, Any] = {"SensorFormat": _format}
    exec(compile(ast.Module([function], []), str(source), "exec"), names)
    score: Score = names["score_mode"]
    return score


def _format(name: str) -> SimpleNamespace:
    bits = re.search(r"\d+", name)
    assert bits is not None
    return SimpleNamespace(bit_depth=int(bits.group()))


@pytest.mark.parametrize("sensor", MODES)
@pytest.mark.parametrize("picture", [SMALL, WIDE, (1920, 1080)])
def test_picamera2_takes_the_mode_that_is_asked_for(sensor: str, picture: tuple[int, int]) -> None:
    score = score_of_picamera2()
    view = widest_view(MODES[sensor], picture, 15)
    assert view is not None
    taken = min(MODES[sensor], key=lambda mode: score(mode, view.bit_depth, view.size))
    assert (taken["size"], taken["bit_depth"]) == (view.size, view.bit_depth)


@pytest.mark.parametrize(("sensor", "cropped"), [("imx219", 0.39), ("imx708", 0.67)])
def test_left_alone_picamera2_takes_a_mode_that_sees_only_the_middle(
    sensor: str, cropped: float
) -> None:
    score = score_of_picamera2()
    taken = min(MODES[sensor], key=lambda mode: score(mode, 10, SMALL))
    widest = max(mode["crop_limits"][2] for mode in MODES[sensor])
    assert taken["crop_limits"][2] / widest == pytest.approx(cropped, abs=0.01)
