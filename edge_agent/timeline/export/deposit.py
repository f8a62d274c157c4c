"""A deposit: a BIDS data set and the bundle's tables, with a description that a reviewer can check.

The description is an RO-Crate (version 1.1, researchobject.org): one graph that says who measured
what with which device, sensors and models, by which settings and which preregistration, under which
consent and terms, and lists every file with its SHA-256. ``METHOD.md`` says the same as text.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any
from urllib.parse import quote

from edge_agent import __version__
from edge_agent.core.instruments import method_of
from edge_agent.timeline.export.appliance import DepositFacts
from edge_agent.timeline.export.bids import BIDS_VERSION, write_dataset
from edge_agent.timeline.export.bundle import count_text, write_bundle_folder
from edge_agent.timeline.export.deposit_facts import (
    Facts,
    FrozenPlan,
    UsedModel,
    method_text,
    read_facts,
)
from edge_agent.timeline.export.files import sha256_of
from edge_agent.timeline.export.preregistration_files import FOLDER as PREREGISTRATIONS
from edge_agent.timeline.export.source import ExportSource
from edge_agent.timeline.export.table_schemas import json_file

DESCRIPTOR = "ro-crate-metadata.json"
CRATE = "https://w3id.org/ro/crate/1.1"
METHOD = "METHOD.md"
README = "README.md"
_TITLE = "Timeline exported by Affect Edge"
_NOT_STATED = "Not stated"
_PROGRAM = "#affect-edge"
_DEVICE = "#device"
_EXPORT = "#export"
_FOLDERS = {
    "bids/": (
        "BIDS data set",
        (
            f"The sessions after the Brain Imaging Data Structure {BIDS_VERSION}: events, tables, "
            "recordings and their events, with data dictionaries"
        ),
    ),
    "tables/": (
        "Tables and scripts",
        (
            "All tables as CSV with their description, the question of the analysis and the "
            "scripts that compute its tests again"
        ),
    ),
}
_FORMATS = {
    ".csv": "text/csv",
    ".tsv": "text/tab-separated-values",
    ".json": "application/json",
    ".html": "text/html",
    ".md": "text/markdown",
    ".txt": "text/plain",
    ".svg": "image/svg+xml",
    ".py": "text/x-python",
    ".R": "text/x-r-source",
    ".gz": "application/gzip",
}
_PLAIN = "text/plain"
_LANGUAGES = {".R": "#r", ".py": "#python"}
_ABOUT_LANGUAGES = (
    ("#r", "R", "https://www.r-project.org/"),
    ("#python", "Python", "https://www.python.org/"),
)
Entity = dict[str, Any]


def write_deposit(source: ExportSource, root: Path) -> None:
    """Write a deposit of the chosen sessions into an empty folder."""
    for folder in _FOLDERS:
        (root / folder).mkdir()
    write_dataset(source, root / "bids")
    titles = {
        f"tables/{file.path}": file.title for file in write_bundle_folder(source, root / "tables")
    }
    facts = read_facts(source)
    about = DepositFacts.of(source.appliance)
    (root / METHOD).write_text(method_text(facts, source.appliance), encoding="utf-8")
    (root / README).write_text(_readme(source, about), encoding="utf-8")
    titles |= {METHOD: "Method, as text", README: "Read this first"}
    crate = _Crate(source, facts, about)
    text = json_file(crate.describe(root, titles))
    (root / DESCRIPTOR).write_text(text, encoding="utf-8")


def _readme(source: ExportSource, about: DepositFacts) -> str:
    readme = resources.files("edge_agent.timeline.export").joinpath("scripts/DEPOSIT.md")
    text = readme.read_text(encoding="utf-8")
    return text.format(
        title=about.title or _TITLE,
        created=source.created,
        version=__version__,
        device=source.appliance.device,
        bids=BIDS_VERSION,
    )


class _Crate:
    """The description of a deposit as entities that point at each other.

    Args:
        source: what is exported.
        facts: what was recorded by what.
        about: whose it is.
    """

    def __init__(self, source: ExportSource, facts: Facts, about: DepositFacts) -> None:
        self._source = source
        self._facts = facts
        self._about = about
        stated = [*about.authors, *filter(None, [about.institution])]
        self._addresses = Counter([*(one.address for one in stated), about.licence])

    def _named(self, address: str, otherwise: str) -> Entity:
        """Return the name of an entity, its address where nothing else has the same."""
        if not address:
            return {"@id": otherwise}
        is_own = self._addresses[address] == 1
        return {"@id": address if is_own else otherwise, "url": address}

    def describe(self, root: Path, titles: Mapping[str, str]) -> dict[str, Any]:
        """Return the content of the descriptor.

        Args:
            root: folder of the deposit, whose files are there.
            titles: what a file is, by its path; others are called by their names.
        """
        files = list(_files(root, titles))
        for one in files:
            one.update(self._of_file(root / one["name_of_path"]))
            del one["name_of_path"]
        graph = [
            {
                "@id": DESCRIPTOR,
                "@type": "CreativeWork",
                "conformsTo": {"@id": CRATE},
                "about": {"@id": "./"},
            },
            self._root(files),
            *_folders(files),
            *files,
            *self._people(),
            self._licence(),
            *self._made_by(),
            *map(self._model, self._facts.models),
            *map(self._preregistration, self._facts.plans),
            *self._consents(),
        ]
        return {"@context": f"{CRATE}/context", "@graph": graph}

    def _root(self, files: list[Entity]) -> Entity:
        about = self._about
        facts = self._facts
        people = f"{count_text(facts.participants, 'participant')} in "
        people += count_text(facts.sessions, "session")
        above = [one["@id"] for one in files if "/" not in one["@id"]]
        entity: Entity = {
            "@id": "./",
            "@type": "Dataset",
            "name": about.title or _TITLE,
            "description": f"Timeline of {people}, under participants' codes: {facts.origins}",
            "datePublished": self._source.created,
            "license": {"@id": self._licence()["@id"]},
            "author": _points([one["@id"] for one in self._authors()]),
            "publisher": {"@id": self._publisher()["@id"]},
            "hasPart": _points([*_FOLDERS, *above]),
            "mentions": _points(
                [
                    _EXPORT,
                    *(_id_of(one) for one in self._facts.models),
                    *(f"#instruments-{n + 1}" for n in range(len(self._facts.instruments))),
                    *(f"#preregistration-{one.id}" for one in self._facts.plans),
                    *(one["@id"] for one in self._consents()),
                ]
            ),
            "measurementTechnique": "METHOD.md has the method as text",
        }
        if self._facts.simulated:
            entity["keywords"] = "simulated: some or all of these data are made up"
        return entity

    def _authors(self) -> list[Entity]:
        if not self._about.authors:
            return [self._publisher()]
        return [
            {
                **self._named(one.address, f"#author-{place}"),
                "@type": "Person",
                "name": one.name,
                "affiliation": {"@id": self._publisher()["@id"]},
            }
            for place, one in enumerate(self._about.authors, start=1)
        ]

    def _people(self) -> list[Entity]:
        authors = self._authors() if self._about.authors else []
        return [*authors, self._publisher()]

    def _publisher(self) -> Entity:
        stated = self._about.institution
        if stated is None:
            return {
                "@id": "#publisher",
                "@type": "Organization",
                "name": _NOT_STATED,
                "description": "The settings of the appliance name no institution",
            }
        return {
            **self._named(stated.address, "#publisher"),
            "@type": "Organization",
            "name": stated.name,
        }

    def _licence(self) -> Entity:
        licence = self._about.licence
        if licence.startswith(("https://", "http://")):
            return {**self._named(licence, "#licence"), "@type": "CreativeWork", "name": licence}
        return {
            "@id": "#licence",
            "@type": "CreativeWork",
            "name": licence or _NOT_STATED,
            "description": "Terms of use of the data, as the settings of the appliance state them"
            if licence
            else "No terms are stated: ask the authors before you use the data",
        }

    def _made_by(self) -> Iterator[Entity]:
        """Yield program, device, sensors, and how the deposit was made."""
        source = self._source
        yield {
            "@id": _PROGRAM,
            "@type": "SoftwareApplication",
            "name": "Affect Edge",
            "softwareVersion": __version__,
            "version": __version__,
        }
        yield {
            "@id": _DEVICE,
            "@type": "Product",
            "name": source.appliance.device,
            "description": "The appliance that made this deposit, by its name in the settings",
        }
        for place, sensor in enumerate(self._facts.sensors, start=1):
            beats = self._facts.beats.get(sensor.source, "")
            yield {
                "@id": f"#sensor-{place}",
                "@type": "Product",
                "name": sensor.source,
                "description": ". ".join(filter(None, [sensor.described, beats])),
            }
        for place, (text, sessions) in enumerate(self._facts.instruments.items(), start=1):
            yield {
                "@id": f"#instruments-{place}",
                "@type": "CreativeWork",
                "name": f"Instruments of {count_text(sessions, 'session')}, as stated",
                "description": " ".join(method_of(text)),
                "text": text,
            }
        yield {
            "@id": _EXPORT,
            "@type": "CreateAction",
            "name": "Export of the deposit",
            "endTime": source.created,
            "instrument": _points(
                [
                    _PROGRAM,
                    _DEVICE,
                    *(f"#sensor-{place + 1}" for place in range(len(self._facts.sensors))),
                ]
            ),
            "object": {"@id": "tables/settings.json"},
            "result": {"@id": "./"},
            "agent": _points([one["@id"] for one in self._authors()]),
        }
        for identifier, name, url in _ABOUT_LANGUAGES:
            yield {"@id": identifier, "@type": "ComputerLanguage", "name": name, "url": url}

    def _model(self, one: UsedModel) -> Entity:
        entity: Entity = {
            "@id": _id_of(one),
            "@type": "SoftwareApplication",
            "name": one.name,
            "version": one.version,
            "softwareVersion": one.version,
            "identifier": f"sha256:{one.sha256}",
            "description": one.described,
        }
        if one.card:
            entity["softwareHelp"] = {"@id": f"tables/{one.card}"}
        return entity

    def _preregistration(self, plan: FrozenPlan) -> Entity:
        agree = "agree" if plan.intact else "do not agree"
        return {
            "@id": f"#preregistration-{plan.id}",
            "@type": "CreativeWork",
            "name": f"Preregistration {plan.id}",
            "dateCreated": plan.at,
            "identifier": f"sha256:{plan.sha256}",
            "description": f"Frozen then by the clock of the device; text and hash {agree}. "
            f"{plan.earlier}",
            "encoding": {"@id": f"tables/{PREREGISTRATIONS}/{plan.id}.json"},
            "about": {"@id": "./"},
        }

    def _consents(self) -> Iterator[Entity]:
        for version, people in self._facts.consents.items():
            yield {
                "@id": f"#consent-{quote(version, safe='')}",
                "@type": "CreativeWork",
                "name": f"Consent, version {version}",
                "version": version,
                "description": f"Text to which {people} of the participants agreed, as noted; "
                "tables/participant.csv says who and when, and who withdrew",
            }

    def _of_file(self, path: Path) -> Entity:
        ending = path.suffix
        entity: Entity = {
            "contentSize": str(path.stat().st_size),
            "encodingFormat": _FORMATS.get(ending, _PLAIN),
            "identifier": f"sha256:{sha256_of(path)}",
        }
        if ending in _LANGUAGES:
            entity["@type"] = ["File", "SoftwareSourceCode"]
            entity["programmingLanguage"] = {"@id": _LANGUAGES[ending]}
        return entity


def _files(root: Path, titles: Mapping[str, str]) -> Iterator[Entity]:
    for path in sorted(one for one in root.rglob("*") if one.is_file()):
        inside = path.relative_to(root).as_posix()
        yield {
            "@id": quote(inside),
            "@type": "File",
            "name": titles.get(inside, path.name),
            "name_of_path": inside,
        }


def _folders(files: list[Entity]) -> Iterator[Entity]:
    for folder, (name, about) in _FOLDERS.items():
        inside = [one["@id"] for one in files if one["@id"].startswith(folder)]
        entity: Entity = {
            "@id": folder,
            "@type": "Dataset",
            "name": name,
            "description": about,
            "hasPart": _points(inside),
        }
        yield entity


def _points(identifiers: list[str]) -> Any:
    """Return references: one alone is no list."""
    every = [{"@id": one} for one in dict.fromkeys(identifiers)]
    return every[0] if len(every) == 1 else every


def _id_of(one: UsedModel) -> str:
    return f"#model-{one.kind}-{one.sha256[:12]}-{one.prior}"
