"""The manifests of a fleet's server: known to Kubernetes' own schemas, without secrets."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.fleet.postgres import INSTALL, postgres_programs, running_postgres

FOLDER = Path(__file__).parents[3] / "container/fleet/kubernetes"
KUSTOMIZATION = yaml.safe_load((FOLDER / "kustomization.yaml").read_text())
OBJECTS: list[dict[str, Any]] = [
    one
    for file in KUSTOMIZATION["resources"]
    for one in yaml.safe_load_all((FOLDER / file).read_text())
]
PODS = {
    one["metadata"]["name"]: one["spec"]["template"]["spec"]
    for one in OBJECTS
    if "template" in one.get("spec", {})
}
VERSIONS = (pytest.param("1.31", marks=pytest.mark.deep), "1.37")


def name_of(one: dict[str, Any]) -> str:
    return f"{one['kind']}/{one['metadata']['name']}"


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("one", OBJECTS, ids=name_of)
def test_kubernetes_own_schemas_know_every_word(one: dict[str, Any], version: str) -> None:
    schemas = pytest.importorskip("kubernetes_validate", reason="the dev extra is not installed")
    schemas.validate(one, version, strict=True)


def test_every_file_is_named_and_no_secret_is_among_them() -> None:
    files = {path.name for path in FOLDER.iterdir()} - {"kustomization.yaml"}
    assert files == set(KUSTOMIZATION["resources"])
    assert "Secret" not in {one["kind"] for one in OBJECTS}


@pytest.mark.parametrize("name", PODS)
def test_nobody_is_root_or_may_more_than_it_needs(name: str) -> None:
    pod = PODS[name]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    for container in pod["containers"]:
        assert container["securityContext"] == {
            "readOnlyRootFilesystem": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["readinessProbe"] and container["resources"]["requests"]
        assert {"memory"} == set(container["resources"]["limits"])


def test_a_collector_is_asked_by_the_file_that_it_writes() -> None:
    (collector,) = PODS["collector"]["containers"]
    command = collector["readinessProbe"]["exec"]["command"]
    file = collector["args"][collector["args"].index("--health-file") + 1]
    assert command == ["affect-edge", "health", "--collector", file]
    files = [one["value"] for one in collector["env"] if one["name"].endswith("_FILE")]
    files.append(collector["args"][collector["args"].index("--password-file") + 1])
    (secrets,) = [one for one in PODS["collector"]["volumes"] if one["name"] == "secrets"]
    items = [item for one in secrets["projected"]["sources"] for item in one["secret"]["items"]]
    assert set(files) == {f"/secrets/{item['path']}" for item in items}


def test_two_collectors_and_each_volume_is_there() -> None:
    (collector,) = [one for one in OBJECTS if name_of(one) == "Deployment/collector"]
    assert collector["spec"]["replicas"] == 2
    for one in OBJECTS:
        if "template" not in one.get("spec", {}):
            continue
        pod = one["spec"]["template"]["spec"]
        claims = one["spec"].get("volumeClaimTemplates", [])
        given = {each["name"] for each in pod["volumes"]}
        given |= {each["metadata"]["name"] for each in claims}
        mounted = {each["name"] for part in pod["containers"] for each in part["volumeMounts"]}
        assert mounted == given


@pytest.mark.skipif(postgres_programs() is None, reason=INSTALL)
def test_the_accounts_of_the_database_write_and_only_read(tmp_path: Path) -> None:
    psycopg = pytest.importorskip("psycopg", reason="pip install -e '.[fleet]'")
    from collector.database.schema import migrate

    (settings,) = [one for one in OBJECTS if name_of(one) == "ConfigMap/database"]
    script = tmp_path / "roles.sh"
    script.write_text(settings["data"]["roles.sh"])
    with running_postgres(synced=False) as server:
        there = {"PGHOST": str(server.folder), "PGPORT": str(server.port), "POSTGRES_USER": "fleet"}
        secrets = {"COLLECTOR_PASSWORD": "o'ne", "READER_PASSWORD": "two $x"}
        words = {**os.environ, **there, **secrets, "PGDATABASE": "postgres"}
        done = subprocess.run(
            ["sh", str(script)], env=words, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        where = f"host={server.folder} port={server.port} dbname=postgres"
        with psycopg.connect(f"{where} user=collector", autocommit=True) as connection:
            migrate(connection)
        with psycopg.connect(f"{where} user=reader", autocommit=True) as connection:
            assert connection.execute("SELECT count(*) FROM fleet.device").fetchone() == (0,)
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("DELETE FROM fleet.device")
