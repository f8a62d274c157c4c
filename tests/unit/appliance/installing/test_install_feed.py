"""``install.sh`` and the daily look for newer releases: its units are there with a feed only."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.appliance.installer import run


@pytest.mark.parametrize(
    ("text", "is_set"),
    [
        ('[updates]\nfeed = "https://releases.example.org"   # where\n', "yes"),
        ('[mqtt]\nport = 1\n\n[updates]\nfeed = "/srv/releases"\n', "yes"),
        ('[updates]\n# feed = "https://releases.example.org"\n', "no"),
        ('[updates]\n[other]\nfeed = "/srv"\n', "no"),
        ("", "no"),
    ],
)
def test_the_configuration_says_whether_somebody_looks(
    tmp_path: Path, text: str, is_set: str
) -> None:
    (tmp_path / "affect-edge.toml").write_text(text)
    done = run(tmp_path, "if feed_is_set; then echo yes; else echo no; fi")
    assert done.stdout.strip() == is_set, done.stderr


def test_only_a_release_looks(tmp_path: Path) -> None:
    done = run(tmp_path, "main --arrange-feed")
    assert done.returncode == 1 and "no complete release" in done.stderr
