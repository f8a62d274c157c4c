"""nginx logs people in and names them to the dashboard, as docs/install.md shows it."""

from __future__ import annotations

import base64
import http.client
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from getpass import getuser
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.support.broker import free_port
from tests.support.dashboard import NAME, PASSWORD, DashboardProcess
from tests.support.security.crowd import post

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"
SECRET = "fedcba9876543210fedcba9876543210"
ROOT = Path(__file__).resolve().parents[3]
_AROUND = """
user {user}; daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log;
events {{ }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxied;
  fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
  server {{ listen 127.0.0.1:{port}; {location} }}
}}
"""


@pytest.fixture(scope="module")
def proxied(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, int]]:
    """Return the ports of nginx and of the dashboard behind it; NAME has an account in both."""
    tmp_path = tmp_path_factory.mktemp("proxied")
    (tmp_path / "secret").write_text(f"{SECRET}\n")
    keys = (
        '[dashboard]\nproxy_header = "X-Remote-User"\nproxy_addresses = ["127.0.0.1"]\n'
        f'proxy_secret_file = "{tmp_path}/secret"\n'
    )
    (tmp_path / "affect-edge.toml").write_text(keys)
    config = ("--config", str(tmp_path / "affect-edge.toml"))
    with DashboardProcess(tmp_path / "data", *config) as dashboard:
        form = {"code": dashboard.setup_code, "name": NAME, "password": PASSWORD}
        assert post(dashboard.port, "/setup", form, "127.0.0.1").status == 303
        port = free_port()
        location = shown_location(tmp_path, dashboard.port)
        (tmp_path / "people").write_text(f"{NAME}:{{PLAIN}}at the proxy\neve:{{PLAIN}}hers\n")
        file = tmp_path / "nginx.conf"
        file.write_text(
            _AROUND.format(user=getuser(), folder=tmp_path, port=port, location=location)
        )
        nginx = subprocess.Popen([NGINX, "-c", str(file), "-e", str(tmp_path / "error.log")])
        try:
            wait_until_it_listens(port, tmp_path)
            yield port, dashboard.port
        finally:
            nginx.terminate()
            nginx.wait(60)


def shown_location(folder: Path, port: int) -> str:
    """Return the lines for nginx of docs/install.md, for this dashboard without TLS."""
    text = (ROOT / "docs/install.md").read_text(encoding="utf-8")
    shown = re.search(r"^    location / \{\n(?:    .*\n)+?    \}\n", text, re.MULTILINE)
    assert shown, "docs/install.md shows them"
    location = re.sub(r"proxy_ssl_.*?;", "", shown[0])
    for old, new in (
        ("https://127.0.0.1:8080", f"http://127.0.0.1:{port}"),
        ("/etc/nginx/people", str(folder / "people")),
        ("THE-SECRET", SECRET),
    ):
        assert old in location
        location = location.replace(old, new)
    return location


def wait_until_it_listens(port: int, folder: Path) -> None:
    """Wait until nginx answers; fail with what it wrote."""
    end = time.monotonic() + 60
    while True:
        try:
            ask(port, "/", "")
        except OSError:
            said = (folder / "error.log").read_text() if (folder / "error.log").exists() else ""
            assert time.monotonic() < end, said
            time.sleep(0.1)
        else:
            return


def ask(
    port: int,
    path: str,
    who: str,
    headers: dict[str, str] | None = None,
    form: dict[str, str] | None = None,
) -> http.client.HTTPResponse:
    """Ask through nginx, with name and password for it."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    head = dict(headers or {})
    if who:
        head["Authorization"] = f"Basic {base64.b64encode(who.encode()).decode()}"
    body = None
    if form is not None:
        head["Content-Type"] = "application/x-www-form-urlencoded"
        head["Origin"] = f"http://127.0.0.1:{port}"
        body = urlencode(form)
    with closing(connection):
        connection.request("GET" if form is None else "POST", path, body, head)
        answer = connection.getresponse()
        answer.read()
        return answer


def cookie_of(answer: http.client.HTTPResponse) -> dict[str, str]:
    """Return the cookies that an answer sets, as a browser sends them back."""
    found = [value.partition(";")[0] for value in answer.headers.get_all("Set-Cookie") or []]
    return {"Cookie": "; ".join(found)}


def test_who_logs_in_at_nginx_works_in_the_dashboard(proxied: tuple[int, int]) -> None:
    port, _ = proxied
    ada = f"{NAME}:at the proxy"
    answer = ask(port, "/login?next=/study", ada)
    assert (answer.status, answer.headers["Location"]) == (303, "/study")
    cookie = cookie_of(answer)
    assert ask(port, "/study", ada, cookie).status == 200
    written = ask(port, "/study/participants", ada, cookie, {"code": "P-1"})
    assert written.status == 303, "a form of our own page passes the check of its origin"


def test_forged_proxy_headers_of_a_browser_are_ignored(proxied: tuple[int, int]) -> None:
    port, behind = proxied
    assert ask(port, "/login", "").status == 401, "nginx lets nobody through"
    forged = {"X-Remote-User": NAME, "Affect-Edge-Proxy": SECRET[::-1]}
    eve = ask(port, "/login", "eve:hers", forged)
    assert eve.status == 403 and "Set-Cookie" not in eve.headers, "nginx says that she is eve"
    past = ask(behind, "/login", "", forged)
    assert past.status == 200 and "Set-Cookie" not in past.headers, "past nginx, without the secret"
