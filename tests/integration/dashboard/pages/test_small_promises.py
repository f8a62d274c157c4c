"""Promises of safe pages and scripts that no other test holds."""

from __future__ import annotations

import ast
import base64
import logging
import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from dashboard.accounts.roles import Role, Scope
from dashboard.accounts.second_factors import new_recovery_codes, new_secret
from dashboard.web.guards.permissions import QUIET_S, RefusalLog
from tests.support.dashboard import log_in_as
from tests.support.security.tokens import bearer, make_token

ROOT = Path(__file__).resolve().parents[4]
SOURCES = [
    path
    for product in ("affect_edge", "edge_agent", "dashboard", "collector")
    for path in (ROOT / product).rglob("*.py")
]
TEMPLATES = sorted((ROOT / "dashboard").rglob("*.html"))
SCRIPTS = sorted((ROOT / "dashboard/web/static").rglob("*.js"))
PAGES = ("/", "/login", "/health", "/api/v1/health", "/healthz", "/static/css/base.css")


def calls_in(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.func.id if isinstance(node.func, ast.Name) else node.func.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
    }


def test_no_text_is_run_as_code_or_as_a_template() -> None:
    assert len(SOURCES) > 300
    named = [path for path in SOURCES if "from_string" in path.read_text(encoding="utf-8")]
    assert [path for path in named if "from_string" in calls_in(path)] == []
    builtin = re.compile(r"(?<![\w.])(eval|exec)\(")
    assert [path for path in SOURCES if builtin.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize("path", PAGES)
def test_no_answer_lets_other_origins_read_it(ada: TestClient, path: str) -> None:
    for origin in ("https://evil.example", "null"):
        answer = ada.get(path, headers={"origin": origin})
        assert not [name for name in answer.headers if name.startswith("access-control-")]


@pytest.mark.parametrize("path", PAGES)
def test_no_request_is_traced(ada: TestClient, path: str) -> None:
    answer = ada.request("TRACE", path, headers={"x-secret": "a cookie"})
    assert answer.status_code in {403, 404, 405} and "a cookie" not in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/.git/config",
        "/static/.git/config",
        "/static/../../pyproject.toml",
        "/static/..%2f..%2f..%2fpyproject.toml",
        "/static/%2e%2e/%2e%2e/web/app.py",
        "/static/",
        "/static/js",
        "/static/js/",
    ],
)
def test_no_folder_and_nothing_of_the_source_is_served(ada: TestClient, path: str) -> None:
    answer = ada.get(path)
    assert answer.status_code in {400, 404, 405}, answer.text[:200]


def test_passwords_are_hidden_while_they_are_typed() -> None:
    fields = [
        (path.name, field)
        for path in TEMPLATES
        for field in re.findall(r"<input[^>]*>", path.read_text(encoding="utf-8"))
        if re.search(r'name="[^"]*password', field)
    ]
    assert fields
    for page, field in fields:
        assert 'type="password"' in field and "onpaste" not in field, field
        if page != "first_steps.html":  # that of the broker, which no browser needs to keep
            assert re.search('autocomplete="(current|new)-password"', field), field
    # the page Picture takes pictures that are pasted; it has no password
    pasted = re.compile(r"""addEventListener\(\s*["']paste["']""")
    scripts = [path for path in SCRIPTS if pasted.search(path.read_text(encoding="utf-8"))]
    assert [path.name for path in scripts] == ["picture.js"]


def test_codes_of_a_second_factor_are_drawn_with_bits_enough() -> None:
    secrets = {new_secret() for _ in range(50)}
    assert len(secrets) == 50 and all(len(base64.b32decode(one)) >= 20 for one in secrets)
    codes = [code for _ in range(20) for code in new_recovery_codes()]
    assert len(set(codes)) == len(codes)
    assert all(len(code.replace("-", "")) * 5 >= 80 for code in codes)


def test_who_is_refused_stands_in_the_log_once(
    ada: TestClient, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "dashboard.web.guards")
    bob = log_in_as(ada, Role.VIEWER, "curious")  # nobody of this name was refused before
    for _ in range(3):
        assert bob.get("/study/participants/P-SECRET/attributes").status_code == 403
    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == 1 and "(viewer) may not GET /study" in lines[0]
    assert "P-SECRET" not in lines[0]


def test_a_refusal_is_reported_again_after_a_while(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("dashboard.web.guards.permissions.boot_seconds", lambda: now)
    refusals = RefusalLog()
    for _ in range(2):
        refusals.note("ada", "GET", "/x", "study")
    now += QUIET_S
    refusals.note("ada", "GET", "/x", "study")
    for number in range(600):
        refusals.note(f"guest {number}", "GET", "/x", "study")
    assert len([one for one in caplog.records if "ada" in one.getMessage()]) == 2
    assert len(refusals._noted) <= 500


def test_a_token_that_asks_too_much_stands_in_the_log(
    ada: TestClient, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING, "dashboard.web.guards")
    scopes = frozenset({Scope.READ})
    secret = make_token(tmp_path / "affect-edge.db", "curious robot", scopes, Role.VIEWER)
    answer = ada.post("/api/v1/participants", json={"code": "P-7"}, headers=bearer(secret))
    assert answer.status_code == 403
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith("refused: the token curious robot may not POST /api/v1/participants")


def values_in_patterns(path: Path) -> set[str]:
    """Return what stands in regular expressions that are put together, but for what is escaped."""
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    patterns = [
        call.args[0]
        for call in calls
        if ast.unparse(call.func).startswith("re.") and call.args
        if isinstance(call.args[0], ast.JoinedStr)
    ]
    values = [value for text in patterns for value in text.values]
    shown = {ast.unparse(one.value) for one in values if isinstance(one, ast.FormattedValue)}
    return {text for text in shown if not text.startswith("re.escape(") and not text.isupper()}


def test_what_goes_into_a_regular_expression_is_escaped_or_a_constant() -> None:
    named = [path for path in SOURCES if "re." in path.read_text(encoding="utf-8")]
    raw = {path.name: values_in_patterns(path) for path in named}
    assert {name: values for name, values in raw.items() if values} == {
        "support_bundle.py": {"choice"},  # of escaped words
        "dates.py": {"form"},  # of constants
        "device_report.py": {"wanted"},  # of constants
        "windows.py": {"'|'.join(EventKind)"},  # of words
        "shimmer.py": {"'|'.join((*_TIMES, *_KINDS, *_NOT_TAKEN))"},  # of words
    }


def test_dashboard_sends_no_requests_that_a_request_could_lead_elsewhere() -> None:
    clients = re.compile(
        r"^\s*(from|import) (urllib\.request|http\.client|httpx|requests|aiohttp)", re.M
    )
    pages = [path for path in SOURCES if path.is_relative_to(ROOT / "dashboard")]
    assert len(pages) > 100
    assert [path for path in pages if clients.search(path.read_text(encoding="utf-8"))] == []


@pytest.mark.parametrize(
    ("files", "pattern"),
    [
        (TEMPLATES, r"<(object|embed|applet|frame|frameset)\b"),
        (SCRIPTS, r"__proto__|setPrototypeOf|Object\.assign|\.prototype\b"),
    ],
    ids=["plug-ins", "merged objects"],
)
def test_pages_and_scripts_use_nothing_outdated_and_merge_no_objects(
    files: list[Path], pattern: str
) -> None:
    assert len(files) > 10
    ours = [path for path in files if "vendor" not in path.parts]
    assert [path for path in ours if re.search(pattern, path.read_text(encoding="utf-8"))] == []


def test_how_soon_a_weakness_is_fixed_is_written_down() -> None:
    text = " ".join((ROOT / "SECURITY.md").read_text(encoding="utf-8").split())
    assert "answer within seven days and a plan within thirty" in text
    assert "can be used over the network are fixed within thirty days" in text
