"""What people say of pictures is kept at once, read again, and compared."""

from __future__ import annotations

import csv
import socket
from pathlib import Path

import cv2
import numpy as np
import pytest
from fastapi.testclient import TestClient

from dashboard.statistics.agreement import Judgement, cohens_kappa
from training.data.labelling import (
    ANSWERS,
    HOST,
    LONGEST,
    NO_FACE,
    SETTLED,
    Labels,
    PictureLabel,
    label_app,
    open_socket,
    pair_agreement,
)
from training.errors import DataError


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    folder = tmp_path / "pictures"
    (folder / "more").mkdir(parents=True)
    for name in ("a.png", "b.png", "c.png", "more/d.png"):
        cv2.imwrite(str(folder / name), np.full((20, 30), 90, np.uint8))
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "labels"


def merged_rows(out: Path) -> list[list[str]]:
    with (out / "labels.csv").open(newline="") as file:
        return list(csv.reader(file))


def test_a_label_is_kept_at_once_for_the_next_start(pictures: Path, out: Path) -> None:
    Labels(pictures, out).set("Ada", PictureLabel("more/d.png", "fear"))
    again = Labels(pictures, out)

    assert again.people == ("Ada",)
    assert again.marks_of("Ada") == {"more/d.png": PictureLabel("more/d.png", "fear")}
    assert merged_rows(out) == [["file", "emotion"], ["more/d.png", "fear"]]
    again.set("Ada", PictureLabel("more/d.png", None))
    assert merged_rows(out) == [["file", "emotion"]]


def test_what_people_differ_on_waits_until_it_is_settled(pictures: Path, out: Path) -> None:
    labels = Labels(pictures, out)
    for name, said in (("Ada", "anger"), ("Ben", "disgust")):
        labels.set(name, PictureLabel("a.png", "neutral"))
        labels.set(name, PictureLabel("b.png", said))
        labels.set(name, PictureLabel("c.png", NO_FACE))
    labels.set("Ben", PictureLabel("more/d.png", "sadness", doubtful=True))

    assert labels.to_settle() == ["b.png", "more/d.png"]
    assert labels.merge() == {"a.png": "neutral"}
    labels.set(SETTLED, PictureLabel("b.png", "anger"))
    labels.set(SETTLED, PictureLabel("more/d.png", NO_FACE))
    assert Labels(pictures, out).merge() == {"a.png": "neutral", "b.png": "anger"}
    assert labels.people == ("Ada", "Ben")


def test_each_person_sees_the_pictures_in_an_order_of_their_own(pictures: Path, out: Path) -> None:
    labels = Labels(pictures, out)
    orders = {tuple(labels.order_for(name)) for name in ("Ada", "Ben", "Cleo", "Dan", "Eve")}
    assert len(orders) > 1
    assert all(sorted(order) == [0, 1, 2, 3] for order in orders)
    assert labels.order_for("Ada") == Labels(pictures, out).order_for("Ada")


@pytest.mark.parametrize(
    ("table", "fault"),
    [
        ("file,emotion\na.png,anger\n", "row 1: column doubtful is missing"),
        ("file,emotion,doubtful\na.png,joy,no\n", "row 2, column emotion: 'joy'"),
        ("file,emotion,doubtful\na.png,anger,maybe\n", "row 2, column doubtful: 'maybe'"),
        ("file,emotion,doubtful\na.png,anger,no\na.png,fear,no\n", "has a row further up"),
        ("file,emotion,doubtful\na.png,ang", "holds 2 columns"),
    ],
)
def test_a_torn_table_stays_as_it_is(pictures: Path, out: Path, table: str, fault: str) -> None:
    out.mkdir()
    (out / "labels-Ada.csv").write_text(table)
    with pytest.raises(DataError, match=fault):
        Labels(pictures, out)
    assert (out / "labels-Ada.csv").read_text() == table


def test_labels_of_pictures_that_have_gone_stay_in_the_table(pictures: Path, out: Path) -> None:
    Labels(pictures, out).set("Ada", PictureLabel("a.png", "anger"))
    (pictures / "a.png").unlink()
    labels = Labels(pictures, out)
    labels.set("Ada", PictureLabel("b.png", "fear"))
    assert set(labels.marks_of("Ada")) == {"a.png", "b.png"}
    assert labels.merge() == {"b.png": "fear"}


def test_kappa_is_the_one_of_the_dashboards_statistics() -> None:
    rng = np.random.default_rng(3)
    first = rng.integers(0, len(ANSWERS), 60)
    second = np.where(rng.random(60) < 0.6, first, rng.integers(0, len(ANSWERS), 60))
    said = [
        {f"{n}.png": PictureLabel(f"{n}.png", ANSWERS[one]) for n, one in enumerate(answers)}
        for answers in (first, second)
    ]
    expected = cohens_kappa(
        Judgement(str(n), ANSWERS[a], ANSWERS[b])
        for n, (a, b) in enumerate(zip(first, second, strict=True))
    )
    found = pair_agreement(("Ada", "Ben"), *said)
    assert found.kappa == pytest.approx(expected.kappa, abs=1e-12)
    assert found.same == int((first == second).sum())
    assert sum(count for _, _, count in found.confused) == 60 - found.same


def test_where_both_say_one_category_of_all_there_is_no_kappa() -> None:
    said = {"a": PictureLabel("a", "anger")}
    assert pair_agreement(("Ada", "Ben"), said, said).kappa is None
    assert pair_agreement(("Ada", "Ben"), said, {}).pictures == 0


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


def test_nobody_sees_labels_of_others_before_the_end(client: TestClient, labels: Labels) -> None:
    labels.set("Ada", PictureLabel("a.png", "anger"))
    labels.set("Ben", PictureLabel("a.png", "fear"))
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


def test_other_sites_and_host_names_are_refused(client: TestClient, labels: Labels) -> None:
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
