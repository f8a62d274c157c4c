"""The shipped and installed models of an appliance, and the installation of another one.

Steps that can fail come first: the files are checked as the agent checks them, copied beside the
existing ones, and checked again. Then one file, the configuration, is replaced. If the power fails,
the configuration names a complete model: the old one or the new one.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edge_agent.config.editing import ConfigFile, check_settings, read_file, save, with_changes
from edge_agent.config.keys import variable_of
from edge_agent.config.settings import Settings
from edge_agent.core.errors import AffectEdgeError, ConfigError, ModelError
from edge_agent.core.files import make_folder, replace_file, take_lock
from edge_agent.core.owners import as_owner_of, asked_as, read_given
from edge_agent.timeline.database.files import sync_folder
from edge_agent.vision.models.card import (
    LARGEST_MODEL,
    ModelCard,
    find_model,
    read_card,
    read_model,
    shipped_models,
)
from edge_agent.vision.models.model import try_apart

FOLDER = "models"
"""Below the data folder: one folder a model, named by name, version and content of its card."""
KEYS = {"expression": "vision.expression_model", "face-detector": "vision.detector_model"}
"""Kind of a model → the key of the configuration that names it."""
_UNFINISHED = ".incoming"


@dataclass(frozen=True, slots=True)
class ListedModel:
    """A model on this appliance.

    Attributes:
        name: from its card, or the name of the file if the card cannot be read.
        kind, version: from its card; ``None`` if there is none, or it cannot be read.
        used: whether the configuration names it.
        shipped: whether it comes with the program.
        path: its card, or the ONNX file of a detector without one.
        problem: a sentence that says why it cannot be used; ``None``: its card can be read.
    """

    name: str
    kind: str | None
    version: str | None
    used: bool
    shipped: bool
    path: Path
    problem: str | None = None


def installed_cards(data: Path) -> list[Path]:
    """Return the cards of the installed models, by the names of their folders.

    Args:
        data: the data folder; it may be missing.
    """
    # Without hidden folders: `.incoming` holds a model that is not complete yet.
    return sorted((data / FOLDER).glob("[!.]*/*.json"))


def models_on(settings: Settings, data: Path) -> list[ListedModel]:
    """Return all models that this appliance has, the shipped ones first.

    Args:
        settings: the configuration.
        data: the data folder.
    """
    shipped = list(shipped_models().values())
    configured = list(dict.fromkeys(_configured_paths(settings)))
    # Each once, in this order, though a configured model may be shipped.
    paths = dict.fromkeys([*shipped, *installed_cards(data), *configured])
    return [_list_entry(path, used=path in configured, shipped=path in shipped) for path in paths]


def _configured_paths(settings: Settings) -> Iterator[Path]:
    for name in (settings.vision.expression_model, settings.vision.detector_model):
        try:
            yield find_model(name)
        except ModelError:  # listed as a file that is not there
            yield Path(name)


def _list_entry(path: Path, *, used: bool, shipped: bool) -> ListedModel:
    if path.suffix == ".onnx":  # a detector of OpenCV, which has no card
        problem = None if path.exists() else f"{path}: no such file."
        return ListedModel(path.stem, "face-detector", None, used, shipped, path, problem)
    try:
        card = read_card(path)
    except ModelError as error:
        return ListedModel(path.stem, None, None, used, shipped, path, str(error))
    return ListedModel(card.name, card.kind, card.version, used, shipped, path)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """The place where a model is installed.

    Attributes:
        config: the configuration file, which will name it.
        data: the data folder, which will hold it.
    """

    config: Path
    data: Path

    @property
    def folder(self) -> Path:
        """The folder that holds the installed models."""
        return self.data.absolute() / FOLDER


@dataclass(frozen=True, slots=True)
class ModelChange:
    """Another model is configured.

    Attributes:
        card: card of the model that is configured now.
        path: path of that card.
        key: the changed key of the configuration.
        before: its value before.
        copy: a copy of the configuration before; ``None``: nothing had to be changed.
    """

    card: ModelCard
    path: Path
    key: str
    before: str
    copy: Path | None


def install_model(place: ModelPlace, what: Sequence[str]) -> ModelChange:
    """Check a model, keep it below the data folder, and name it in the configuration.

    Args:
        place: the appliance.
        what: a card or its TFLite file, or both; or the name of a model on this appliance.

    Raises:
        ModelError: the files are missing, damaged, of two models, or not usable by the agent; or
            they cannot be stored. The model is the same as before.
        ConfigError: the configuration cannot be read or changed. The model is the same as before.
    """
    # Read once, so that what is written back belongs to what was checked.
    file = read_file(place.config)
    settings = check_settings(file)
    source = _card_of(what, place)
    card = read_card(source)
    _refuse_others(what, source, card)
    key = _key_of(card, source, settings)
    # In a separate process first: a model that crashes the runtime must not end this program.
    try_apart(source)
    if source in shipped_models().values():
        path, value = source, source.stem
        _check(settings, card, path)
    elif source in installed_cards(place.data.absolute()):
        path, value = source, str(source)
        _check(settings, card, path)
    else:
        path = _keep(place, source, card, settings)
        value = str(path)
    before = _value(settings, key)
    if value == before:
        return ModelChange(card, path, key, before, None)
    after = ConfigFile(file.path, with_changes(file.text, {key: value}))
    # The whole configuration once more, with the new value, before it is saved.
    check_settings(after)
    return ModelChange(card, path, key, before, save(file, after.text))


def _card_of(what: Sequence[str], place: ModelPlace) -> Path:
    """Return the card for the given name or files.

    Raises:
        ModelError: there is no such model, or there are two.
    """
    if len(what) == 1 and Path(what[0]).suffix not in {".json", ".tflite"}:
        return _find_card(what[0], place)
    cards = {Path(one).expanduser().absolute().with_suffix(".json") for one in what}
    if len(cards) > 1:
        raise ModelError(
            f"{', '.join(what)}: these are {len(cards)} models. Give one: NAME.tflite with "
            "NAME.json in the same folder."
        )
    (card,) = cards
    for one in what:
        file = Path(one).expanduser()
        if file.suffix not in {".json", ".tflite"}:
            raise ModelError(f"{one}: is not a file of a model. Give NAME.tflite or NAME.json.")
        if not file.is_file():
            raise ModelError(f"{one}: no such file. Check the path.")
    return card


def _find_card(name: str, place: ModelPlace) -> Path:
    shipped = shipped_models()
    if name in shipped:
        return shipped[name]
    installed = installed_cards(place.data.absolute())
    chosen = [card for card in installed if name in {card.stem, card.parent.name}]
    if len(chosen) == 1:
        return chosen[0]
    if chosen:
        folders = ", ".join(card.parent.name for card in chosen)
        raise ModelError(f"{name}: {len(chosen)} models have this name. Give one of: {folders}.")
    known = [*shipped, *(card.stem for card in installed)]
    raise ModelError(
        f"there is no model {name!r}. Here are: {', '.join(known)}; or give a file, NAME.tflite, "
        "with its card NAME.json beside it."
    )


def _refuse_others(what: Sequence[str], source: Path, card: ModelCard) -> None:
    """Refuse a TFLite file that the card beside it does not name."""
    for one in what:
        if one.endswith(".tflite") and Path(one).name != card.file:
            raise ModelError(
                f"{one}: the card beside it, {source}, belongs to {card.file}. Give that file."
            )


def _key_of(card: ModelCard, source: Path, settings: Settings) -> str:
    key = KEYS.get(card.kind)
    if card.kind == "classes":
        raise ModelError(
            f"{source}: is a model of your own classes. The appliance records, sends and tests the "
            "eight categories and cannot use it; other programs can, with its card. Kinds that can "
            f"be installed: {', '.join(KEYS)}."
        )
    if key is None:
        raise ModelError(
            f"{source}: a model of kind {card.kind!r} comes with the program and cannot be "
            f"installed. Kinds that can be installed: {', '.join(KEYS)}."
        )
    _refuse_environment(key)
    if card.kind == "face-detector" and settings.vision.detector == "yunet":
        raise ModelError(
            f"{source}: the configuration asks for YuNet, which is no TFLite model. First run: "
            "affect-edge config set vision.detector=tflite vision.detector_model="
        )
    return key


def _refuse_environment(key: str) -> None:
    variable = variable_of(key)
    if variable is not None:
        raise ConfigError(
            f"The environment variable {variable} overrides {key} of the configuration file. "
            "Remove it, then run the command again."
        )


def _check(settings: Settings, card: ModelCard, source: Path) -> None:
    """Load the model as the agent would, with the other models that are configured.

    Root has a process of the user do it who may have written one of them.

    Raises:
        ModelError: the agent would refuse it.
    """
    from edge_agent.agent.building import owner_of_models
    from edge_agent.vision.recognizer import open_recognizer

    key = "expression_model" if card.kind == "expression" else "detector_model"
    vision = settings.vision.model_copy(update={key: str(source)})

    def try_all() -> dict[str, Any]:
        try:
            open_recognizer(vision)
        except ModelError as error:
            return {"refused": str(error)}
        return {}

    told = asked_as(owner_of_models(settings.model_copy(update={"vision": vision})), try_all)
    if "not_measured" in told:
        raise ModelError(f"{source}: was not tried ({told['not_measured']}). Try again.")
    if told:
        raise ModelError(str(told["refused"]))


@contextmanager
def _writing(place: ModelPlace) -> Iterator[Path]:
    """Yield the folder of the installed models, locked against other writers.

    Raises:
        ModelError: something cannot be written.
        StoreError: another program has locked it.
    """
    folder = place.folder
    try:
        make_folder(folder)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            take_lock(folder, handle)
            yield folder
        finally:
            os.close(handle)
    except OSError as error:
        raise ModelError(
            f"{folder}: cannot be written ({error.strerror or error}). Make room, or give the "
            "command as a user who may write there (sudo)."
        ) from error


def _keep(place: ModelPlace, source: Path, card: ModelCard, settings: Settings) -> Path:
    """Copy a model into a folder of its own, whole or not at all, and return its card there."""
    text, content = _read(source), _read(source.with_name(card.file))
    # With the checksum of the card: another model of the same name and version gets its own folder.
    name = f"{card.name}-{card.version}-{hashlib.sha256(text).hexdigest()[:12]}"
    # card and file get one name, by which a backup knows that they belong together
    file = Path(card.file)
    kept = place.folder / name / file.with_suffix(".json").name
    with as_owner_of(place.folder):
        return _store(place, kept, (card, text, content), settings)


def _store(
    place: ModelPlace, kept: Path, read: tuple[ModelCard, bytes, bytes], settings: Settings
) -> Path:
    """Write card and network below the data folder, unless they are there; return the card."""
    card, text, content = read
    name = kept.parent.name
    if _is_whole(kept, card):
        _check(settings, card, kept)
        return kept
    with _writing(place) as folder:
        unfinished = folder / _UNFINISHED
        shutil.rmtree(unfinished, ignore_errors=True)  # of a start that did not come to its end
        try:
            make_folder(unfinished)
            replace_file(unfinished / Path(card.file).name, content, 0o640)
            replace_file(unfinished / kept.name, text, 0o640)
            # The copy, before it counts: it must work beside the other models that are configured.
            _check(settings, card, unfinished / kept.name)
            shutil.rmtree(folder / name, ignore_errors=True)  # of before, and damaged
            unfinished.rename(folder / name)
            sync_folder(folder)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
    return kept


def _read(file: Path) -> bytes:
    try:
        return read_given(file, LARGEST_MODEL)
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror or error}).") from error


def _is_whole(kept: Path, card: ModelCard) -> bool:
    try:
        return bool(read_card(kept) == card and read_model(kept.with_name(card.file), card))
    except AffectEdgeError:
        return False


def _value(settings: Settings, key: str) -> str:
    section, name = key.split(".")
    value: str = getattr(getattr(settings, section), name)
    return value
