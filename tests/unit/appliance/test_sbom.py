"""The list of packages that goes with each release says what the pins say."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.build_release import ROOT, write_sbom
from tools.pin_requirements import pins_in


@pytest.mark.deep
def test_the_bill_of_materials_names_every_pinned_package_with_its_hash(tmp_path: Path) -> None:
    # They load for seconds, which every worker would do while it looks for tests.
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    pins = ROOT / "requirements/linux-aarch64-py3.13.txt"
    out = tmp_path / "sbom/packages.cdx.json"
    write_sbom(pins, "1.2.3", out)
    text = out.read_text(encoding="utf-8")
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    about = bill["metadata"]["component"]
    assert (about["name"], about["version"]) == ("affect-edge", "1.2.3")
    lines = [
        f"{part['name']}=={part['version']} --hash=sha256:{reference['hashes'][0]['content']}"
        for part in bill["components"]
        for reference in part["externalReferences"]
    ]
    assert sorted(lines) == sorted(pins_in(pins))
