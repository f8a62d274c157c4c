"""Whom to tell of weaknesses, and until when a release is mended: no release without both."""

from __future__ import annotations

import re
import shutil
from datetime import date
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.web.routes import assets, health
from edge_agent.core.errors import ConfigError
from edge_agent.core.support import Support, read_support
from tests.support.dashboard import client_of, set_up
from tools.build_release import ROOT, SUPPORT, require_support, require_version, tell_support

FILLED = Support("mailto:security@example.org", date(2099, 12, 31))


def tree(folder: Path, text: str) -> Path:
    file = folder / SUPPORT
    file.parent.mkdir(parents=True)
    file.write_text(text, encoding="utf-8")
    return folder


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "contact = '': give the address"),
        ('contact = "somebody"\nsupport_until = "2099-12-31"', "contact = 'somebody': give"),
        ('contact = "https://example.org/r"', "give the last day of support"),
        ('contact = "https://example.org/r"\nsupport_until = "2020-01-01"', "is in the past"),
    ],
)
def test_no_release_is_built_without_address_and_day(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(SystemExit, match=f"(?s)support.toml is not filled in.*{why}"):
        require_support(tree(tmp_path, text))


def test_a_release_with_both_is_built_and_tells_them(tmp_path: Path) -> None:
    text = f'contact = "{FILLED.contact}"\nsupport_until = "{FILLED.until}"'
    require_support(tree(tmp_path, text))
    assert read_support(tmp_path / SUPPORT) == FILLED
    page = tmp_path / "SECURITY.md"
    shutil.copy(ROOT / "SECURITY.md", page)
    tell_support(page, FILLED)
    told = page.read_text(encoding="utf-8")
    assert "- Address: mailto:security@example.org\n" in told
    assert "- Supported until: 2099-12-31\n" in told
    assert "filled in" not in told


@pytest.mark.parametrize(
    ("version", "changelog", "is_built"),
    [
        ("0.2.0.dev0", "# Changelog\n\n## Unreleased\n\n- News.\n\n## 0.1.0 – 2026-11-27\n", False),
        ("0.2.0", "# Changelog\n\n## Unreleased\n\n- News.\n\n## 0.2.0 – 2026-12-27\n", False),
        ("0.2.0", "# Changelog\n\n## 0.2.0\n", False),
        ("0.2.0", "# Changelog\n\n## 0.2.0 – 2026-12-27\n\n- News.\n", True),
    ],
)
def test_no_release_is_built_of_a_version_that_the_changelog_does_not_date(
    tmp_path: Path, version: str, changelog: str, is_built: bool
) -> None:
    (tmp_path / "edge_agent").mkdir()
    (tmp_path / "edge_agent/__init__.py").write_text(f'__version__ = "{version}"\n')
    (tmp_path / "CHANGELOG.md").write_text(changelog, encoding="utf-8")
    if is_built:
        require_version(tmp_path)
    else:
        with pytest.raises(SystemExit, match=f"{re.escape(version)} is not released"):
            require_version(tmp_path)


def test_a_file_that_is_no_calendar_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="support.toml: Invalid isoformat"):
        read_support(tree(tmp_path, 'support_until = "soon"') / SUPPORT)


@pytest.fixture
def ada(tmp_path: Path) -> TestClient:
    return set_up(client_of(tmp_path), tmp_path)


def test_the_health_page_and_security_txt_tell_both(
    ada: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (health, assets):
        monkeypatch.setattr(module, "read_support", lambda: FILLED)
    page = ada.get("/health").text
    assert "supported until 2099-12-31" in page and 'href="mailto:security@example.org"' in page
    told = ada.get("/api/v1/health").json()
    assert (told["support_contact"], told["support_until"]) == (FILLED.contact, "2099-12-31")
    ada.cookies.clear()
    answer = ada.get("/.well-known/security.txt")
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.text.splitlines() == [
        "Contact: mailto:security@example.org",
        "Expires: 2099-12-31T23:59:59Z",
        "Preferred-Languages: en",
    ]


def test_a_build_that_promises_nothing_says_so(
    ada: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (health, assets):
        monkeypatch.setattr(module, "read_support", lambda: Support("", None))
    assert "No support is promised for this build" in ada.get("/health").text
    assert ada.get("/.well-known/security.txt").status_code == 404
