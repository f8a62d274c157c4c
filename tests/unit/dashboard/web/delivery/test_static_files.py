"""How pages and static files are sent: compressed, and kept by browsers where they may."""

from __future__ import annotations

import gzip
import re
import struct
from urllib.parse import urljoin

from starlette.testclient import TestClient

from dashboard.web.delivery import STATIC, imports_of, static_name


def test_a_page_names_its_files_by_their_content_and_browsers_keep_them(ada: TestClient) -> None:
    page = ada.get("/study").text
    addresses = re.findall(r'(?:href|src)="(/static/[^"]+\.(?:css|js|svg))"', page)
    assert addresses and all(one.startswith(f"/static/{static_name()}/") for one in addresses)
    for address in addresses:
        answer = ada.get(address)
        assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
        assert answer.headers["x-content-type-options"] == "nosniff"


def test_page_names_the_scripts_that_its_scripts_import(ada: TestClient) -> None:
    # live.js imports vitals.js, that sparkline.js: three round trips one after another
    page = ada.get("/live").text
    assert {"vitals.js", "sparkline.js", "messages.js"} <= set(imports_of("live.js"))
    for name in imports_of("live.js"):
        assert f'rel="modulepreload" href="/static/{static_name()}/js/{name}"' in page


def test_the_dashboard_can_be_installed_with_icons_that_are_there(ada: TestClient) -> None:
    ada.cookies.clear()  # a browser fetches the manifest without its cookies
    page = ada.get("/login")
    (address,) = re.findall(r'<link rel="manifest" href="([^"]+)"', page.text)
    answer = ada.get(address)
    assert answer.headers["content-type"] == "application/manifest+json"
    manifest = answer.json()
    assert {key: manifest[key] for key in ("name", "start_url", "scope", "display")} == {
        "name": "Affect Edge",
        "start_url": "/",
        "scope": "/",
        "display": "standalone",
    }
    assert manifest["theme_color"] and manifest["background_color"]
    for icon in manifest["icons"]:
        picture = ada.get(urljoin(address, icon["src"]))
        assert picture.headers["content-type"] == icon["type"]
        if icon["type"] == "image/png":
            width, height = struct.unpack(">II", picture.content[16:24])
            assert icon["sizes"] == f"{width}x{height}"
    policy = page.headers["content-security-policy"]
    assert "default-src 'self'" in policy and "manifest-src" not in policy


def test_a_file_is_compressed_once_and_the_same_as_on_the_disk(ada: TestClient) -> None:
    address = f"/static/{static_name()}/app.css"
    with ada.stream("GET", address, headers={"accept-encoding": "gzip"}) as answer:
        sent = b"".join(answer.iter_raw())
        assert answer.headers["content-encoding"] == "gzip"
        assert answer.headers["vary"] == "Accept-Encoding"
    assert gzip.decompress(sent) == (STATIC / "app.css").read_bytes()
    plain = ada.get(address, headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.content == (STATIC / "app.css").read_bytes()


def test_without_the_name_a_file_is_asked_for_each_time_and_not_sent_again(ada: TestClient) -> None:
    first = ada.get("/static/app.css")
    assert first.headers["cache-control"] == "public, no-cache"
    again = ada.get("/static/app.css", headers={"if-none-match": first.headers["etag"]})
    assert again.status_code == 304 and again.content == b""


def test_what_is_not_there_is_not_kept_and_nothing_beside_folder_is_sent(ada: TestClient) -> None:
    for path in ("nothing.css", "../app.py", "%2e%2e/app.py"):
        answer = ada.get(f"/static/{static_name()}/{path}")
        assert answer.status_code == 404, path
        assert "immutable" not in answer.headers.get("cache-control", "")


def test_pages_and_answers_are_compressed_but_no_download(ada: TestClient) -> None:
    for path in ("/live", "/api/v1/openapi.json"):
        answer = ada.get(path)
        assert answer.headers["content-encoding"] == "gzip", path
        assert answer.headers["cache-control"] == "no-store", path
        plain = ada.get(path, headers={"accept-encoding": "identity"})
        assert "content-encoding" not in plain.headers
    assert "content-encoding" not in ada.get("/export/nothing").headers
