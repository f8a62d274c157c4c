"""What the page of labels answers, and to whom."""

from __future__ import annotations

import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from training.data.labelling import HOST, LONGEST, SETTLED, Labels, Mark, label_app, open_socket
from training.errors import DataError


@pytest.fixture
def labels(tmp_path: Path) -> Labels:
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.zeros((900, 1800, 3), np.uint8))
    cv2.imwrite(str(folder / "b.png"), np.zeros((40, 30, 3), np.uint8))
    (folder / "c.jpg").write_bytes(b"no picture")
    return Labels(folder, tmp_path / "out")


@pytest.fixture
def client(labels: Labels) -> TestClient:
    return TestClient(label_app(labels), base_url=f"http://{HOST}:8765")


def test_a_label_is_kept_and_counted(client: TestClient, labels: Labels) -> None:
    said = {"file": "a.png", "emotion": "anger", "doubtful": False}
    assert client.put("/people/Ada", json=said).json() == {"merged": 1}
    assert labels.marks_of("Ada") == {"a.png": Mark("a.png", "anger")}
    assert client.get("/people").json()["people"] == [{"name": "Ada", "labelled": 1}]


def test_nobody_sees_what_others_said_until_it_is_settled(
    client: TestClient, labels: Labels
) -> None:
    labels.set("Ada", Mark("a.png", "anger"))
    labels.set("Ben", Mark("a.png", "fear"))
    for one in client.get("/people/Cleo").json()["pictures"]:
        assert one["said"] == {} and one["emotion"] is None
    (differs,) = client.get(f"/people/{SETTLED}").json()["pictures"]
    assert {name: said["emotion"] for name, said in differs["said"].items()} == {
        "Ada": "anger",
        "Ben": "fear",
    }
    (pair,) = client.get("/agreement").json()["pairs"]
    assert (pair["pictures"], pair["same"], pair["kappa"]) == (1, 0, 0.0)


def test_a_large_picture_is_scaled_and_a_broken_one_is_named(client: TestClient) -> None:
    content = np.frombuffer(client.get("/pictures/0").content, np.uint8)
    decoded = cv2.imdecode(content, cv2.IMREAD_COLOR)
    assert decoded is not None and decoded.shape == (LONGEST // 2, LONGEST, 3)
    assert client.get("/pictures/1").status_code == 200
    broken = client.get("/pictures/2")
    assert broken.status_code == 415 and "c.jpg" in broken.json()["detail"]
    assert client.get("/pictures/3").status_code == client.get("/pictures/-1").status_code == 404


def test_a_wrong_name_or_label_is_refused_with_a_sentence(client: TestClient) -> None:
    refused = client.put("/people/a b", json={"file": "a.png", "emotion": "anger"})
    assert refused.status_code == 422 and "labeller" in refused.json()["detail"]
    assert client.get("/people/a b").status_code == 422


def test_other_sites_and_other_names_of_this_machine_are_refused(
    client: TestClient, labels: Labels
) -> None:
    said = {"file": "a.png", "emotion": "anger"}
    other = {"Sec-Fetch-Site": "cross-site"}
    assert client.put("/people/Ada", json=said, headers=other).status_code == 403
    rebound = {"Host": "attacker.example"}
    assert client.get("/people", headers=rebound).status_code == 400
    assert labels.people == ()


def test_the_page_loads_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/")
    assert "Label pictures" in page.text
    assert page.headers["content-security-policy"].startswith("default-src 'self'")
    assert client.get("/label.js").status_code == client.get("/label.css").status_code == 200


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(DataError, match=f"port {port}: cannot be used"):
            open_socket(port)
    with open_socket(0) as free:
        assert free.getsockname()[0] == HOST
