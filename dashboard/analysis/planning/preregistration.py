"""What was decided before the data, and how what is asked now differs from it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from dashboard.analysis.request import AnalysisQuery, Model, QuestionInJson
from dashboard.json_numbers import OF_JSON
from dashboard.languages.current import N_, gettext
from edge_agent.store.gate.commands import Commands
from edge_agent.store.study.preregistrations import Preregistration, preregistrations

# what only adds a table beside the result, and which sessions there are by now
_WITHOUT_EFFECT = frozenset({"sensitivity"})


class PreregistrationDocument(Model):
    """What is decided. Bounds, correction, window and lags are part of the question."""

    question: QuestionInJson = Field(
        AnalysisQuery(), description="What will be asked of the data, with all its choices"
    )
    people: Annotated[int, Field(ge=1, le=100_000), OF_JSON] = Field(
        description="How many people will take part"
    )
    exclusions: str = Field(
        "", max_length=4000, description="Who and which readings will be left out, and why"
    )
    stopping: str = Field(
        min_length=1, max_length=4000, description="When recording ends and the data are tested"
    )
    expectation: str = Field("", max_length=4000, description="What is expected to be found")


class PreregistrationModel(Model):
    """A frozen preregistration."""

    id: int = Field(description="Its number")
    at_ms: int = Field(description="When it was frozen, UTC in milliseconds")
    sha256: str = Field(description="Of the time in milliseconds, a line feed, and the document")
    intact: bool = Field(description="Whether the SHA-256 is still that of time and document")
    document: PreregistrationDocument = Field(description="What was decided")


class PreregisteredModel(Model):
    """How what is asked now stands to the newest preregistration."""

    id: int = Field(description="Its number")
    at_ms: int = Field(description="When it was frozen, UTC in milliseconds")
    sha256: str = Field(description="Its SHA-256")
    as_preregistered: bool = Field(description="Whether nothing differs")
    differences: tuple[str, ...] = Field(description="What differs, a sentence each")


def preregister(path: Path, document: PreregistrationDocument, actor: str) -> PreregistrationModel:
    """Freeze what was decided.

    Raises:
        StoreError: the database cannot be written.
    """
    text = json.dumps(document.model_dump(mode="json"), ensure_ascii=False, sort_keys=True)
    return _model(Commands(path).preregister(text, actor=actor))


def frozen(path: Path) -> list[PreregistrationModel]:
    """Return all preregistrations, the newest first.

    Raises:
        StoreError: the database cannot be read.
    """
    return [_model(one) for one in preregistrations(path)]


def compared(path: Path, query: AnalysisQuery, participants: int) -> PreregisteredModel | None:
    """Return how a question stands to the newest preregistration; ``None`` where there is none.

    Raises:
        StoreError: the database cannot be read.
    """
    newest = next(iter(frozen(path)), None)
    if newest is None:
        return None
    differing = _differences(newest, query, participants)
    return PreregisteredModel(
        id=newest.id,
        at_ms=newest.at_ms,
        sha256=newest.sha256,
        as_preregistered=not differing,
        differences=differing,
    )


def choices(query: AnalysisQuery) -> dict[str, str]:
    """Return every choice of a question as text, by its name."""
    shown = query.model_dump(mode="json")
    texts = {name: _shown(value) for name, value in shown.items() if name not in _WITHOUT_EFFECT}
    if query.group is None:
        texts["group"] = N_("none")
    texts["family"] = " / ".join(query.family) or N_("all tests together")
    return texts


def _differences(
    newest: PreregistrationModel, query: AnalysisQuery, participants: int
) -> tuple[str, ...]:
    decided = choices(newest.document.question)
    current = choices(query)
    texts = [
        gettext("{choice}: preregistered {decided}, asked {current}.").format(
            choice=gettext(name.replace("_", " ")),
            decided=gettext(decided[name]),
            current=gettext(current[name]),
        )
        for name in decided
        if decided[name] != current[name]
    ]
    people = newest.document.people
    if participants != people:
        texts.append(
            gettext("People: preregistered {people}, {n} have readings so far.").format(
                people=people, n=participants
            )
        )
    if not newest.intact:
        texts.append(gettext("The frozen text does not fit its SHA-256: the database was changed."))
    return tuple(texts)


def _shown(value: Any) -> str:
    if value is None:
        return N_("each by its own")
    if isinstance(value, list):
        return ", ".join(str(one) for one in value) or N_("none")
    if isinstance(value, bool):
        return N_("yes") if value else N_("no")
    if isinstance(value, float):
        return f"{value:g}"
    return str(value)


def _model(one: Preregistration) -> PreregistrationModel:
    values = json.loads(one.document)
    try:
        document = PreregistrationDocument.model_validate(values)
    except ValidationError:  # of another release, which knew other choices
        known = set(AnalysisQuery.model_fields)
        values["question"] = {k: v for k, v in values["question"].items() if k in known}
        document = PreregistrationDocument.model_validate(values)
    return PreregistrationModel(
        id=one.id, at_ms=one.at_ms, sha256=one.sha256, intact=one.intact, document=document
    )
