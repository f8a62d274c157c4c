"""The switch of the camera over the API: true or false, and nothing that merely looks like it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

PATH = "/api/v1/capture"


@pytest.mark.parametrize("on", ["false", "true", 0, 1, 0.0, "", None, [], {}])
def test_value_that_is_no_boolean_switches_nothing(ada: TestClient, on: Any) -> None:
    answer = ada.put(PATH, json={"on": on})
    assert answer.status_code == 422 and "on" in answer.text
    assert ada.get(PATH).json()["on"] is True


def test_the_camera_is_switched_off_and_on_and_the_trail_says_by_whom(ada: TestClient) -> None:
    off = ada.put(PATH, json={"on": False}).json()
    assert off["on"] is False and off["by"] == "ada" and off["since"] > 0
    assert ada.get(PATH).json() == off
    assert ada.put(PATH, json={"on": True}).json() == {"on": True, "since": None, "by": ""}
