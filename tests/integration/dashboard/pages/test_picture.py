"""Pictures that are sent: read as the command reads them, kept nowhere, refused with a reason."""

from __future__ import annotations

import io
import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from PIL import Image
from starlette.testclient import TestClient

from affect_edge import cli
from tests.support.dashboard import client_of, services_of, set_up
from tests.support.vision.portraits import SERIOUS_FILE, SMILING_FILE

HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(200)


@pytest.fixture
def ada(tmp_path: Path) -> Iterator[TestClient]:
    """Somebody who is logged in; the process that reads pictures ends with the test."""
    client = set_up(client_of(tmp_path), tmp_path)
    yield client
    services_of(client).pictures.close()


def send(client: TestClient, content: bytes) -> Any:
    return client.post("/api/v1/picture", content=content)


def encoded(image: Image.Image, form: str = "PNG", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def test_a_picture_is_read_as_the_command_reads_it(ada: TestClient) -> None:
    run = CliRunner().invoke(cli, ["classify", "--json", str(SMILING_FILE)])
    expected = json.loads(run.stdout.splitlines()[-1])
    answer = send(ada, SMILING_FILE.read_bytes())
    assert answer.status_code == 200
    told = answer.json()
    assert told["model"]["name"] == "expression-accurate"
    (face,) = told["faces"]
    evidence = face.pop("evidence")
    assert [face] == expected["faces"]
    assert (told["width"], told["height"]) == (expected["width"], expected["height"])
    assert face["emotion"] == "happiness" and face["flaw"] is None
    assert len(evidence["corners"]) == 4
    assert {len(rows) for rows in evidence["parts"].values()} == {6}
    sums = {name: sum(map(sum, rows)) for name, rows in evidence["parts"].items()}
    assert max(sums, key=lambda name: sums[name]) == "happiness", "the parts make the logit"


def test_a_picture_changes_no_file_and_leaves_no_line(
    ada: TestClient, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    ada.get("/picture")
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert send(ada, SERIOUS_FILE.read_bytes()).status_code == 200
    assert send(ada, b"\xff\xd8\xff\xe0 broken").status_code == 422
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before
    said = "".join(capfd.readouterr())
    assert "broken" not in said and "happiness" not in said and "neutral" not in said


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (HEIC, "is HEIC, which is not supported. Save it as JPEG"),
        (SMILING_FILE.read_bytes()[:40_000], "is broken or cannot be read"),
    ],
    ids=["empty", "heic", "cut short"],
)
def test_what_cannot_be_read_is_reported_with_what_to_do(
    ada: TestClient, content: bytes, why: str
) -> None:
    answer = send(ada, content)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("picture: ")
    assert why in answer.json()["detail"]


def test_what_cannot_be_read_is_reported_in_the_language_of_the_reader(ada: TestClient) -> None:
    ada.headers["Accept-Language"] = "de"
    assert (
        send(ada, HEIC).json()["detail"].startswith("Bild: ist HEIC, was nicht unterstützt wird.")
    )
    assert send(ada, b"").json()["detail"] == "picture: the file is empty.", "errors are English"


def test_too_many_pixels_are_refused_before_they_are_unpacked(ada: TestClient) -> None:
    huge = encoded(Image.new("L", (9000, 9000)))
    assert len(huge) < 200_000
    answer = send(ada, huge)
    assert answer.status_code == 422
    assert "is too large with 9000 × 9000; pictures up to 13 megapixels" in answer.json()["detail"]


def test_beyond_three_pictures_the_next_is_asked_to_come_again(ada: TestClient) -> None:
    pictures = services_of(ada).pictures
    free = threading.Event()
    held = threading.Semaphore(0)

    def hold() -> None:
        with pictures.place():
            held.release()
            free.wait(3600)

    with ThreadPoolExecutor(3) as others:
        try:
            for _ in range(3):
                others.submit(hold)
                assert held.acquire(timeout=60)
            answer = send(ada, SMILING_FILE.read_bytes())
        finally:
            free.set()
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "Send this one again in 2 seconds" in answer.json()["detail"]
    assert send(ada, SMILING_FILE.read_bytes()).status_code == 200


def test_other_pages_are_answered_while_a_picture_is_read(ada: TestClient) -> None:
    assert send(ada, SMILING_FILE.read_bytes()).status_code == 200
    pid = services_of(ada).pictures.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as other:
        answer = other.submit(send, ada, SMILING_FILE.read_bytes())
        try:
            assert ada.get("/healthz").status_code == 200
            assert not answer.done()
        finally:
            os.kill(pid, signal.SIGCONT)
        assert answer.result(60).status_code == 200


def test_the_page_says_that_nothing_is_kept_and_what_is_read(ada: TestClient) -> None:
    page = ada.get("/picture").text
    assert "kept nowhere" in page and "13 megapixels" in page
    assert "JPEG, PNG" in page
