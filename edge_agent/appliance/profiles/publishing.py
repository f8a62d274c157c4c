"""Making and signing what devices pull, on the machine of who cares for them."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path

from edge_agent.appliance.feed.index import INDEX_NAME
from edge_agent.appliance.feed.signing import sign_file
from edge_agent.appliance.models.installing import KEYS
from edge_agent.appliance.profiles.allowed import read_values
from edge_agent.appliance.profiles.index import (
    ProfileIndex,
    PublishedFile,
    PublishedModel,
    profile_of,
    read_profile,
)
from edge_agent.appliance.trust import PROFILE_NAMESPACE
from edge_agent.core.errors import ModelError, UpdateError


def make_profile(folder: Path, profile: ProfileIndex, cards: Sequence[Path], key: Path) -> Path:
    """Publish a profile in a folder: models first, then the signed index; return the index.

    Args:
        folder: what devices pull from; made if needed.
        profile: what is published, without models.
        cards: of the models.
        key: signs it.

    Raises:
        UpdateError: its settings are refused, files cannot be written, or it cannot be signed.
        ModelError: a model is damaged, or of a kind that is not chosen.
    """
    read_values(profile.settings, profile.title)
    if not profile.settings.strip() and not cards:
        raise UpdateError("A profile without settings and models changes nothing. Give one.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        models = tuple(_publish(card, folder) for card in cards)
    except OSError as error:
        raise UpdateError(f"{folder}: cannot be written ({error.strerror}).") from error
    return sign_profile(folder, profile_of(**{**dict(profile), "models": models}), key)


def restage_profile(folder: Path, stage: int, key: Path, now_s: int) -> ProfileIndex:
    """Give the published profile to more or fewer devices, and sign it anew.

    Raises:
        UpdateError: there is none, it cannot be written, or it cannot be signed.
    """
    present = published_profile(folder)
    changed = profile_of(
        **{**dict(present), "stage": stage, "number": max(now_s, present.number + 1)}
    )
    sign_profile(folder, changed, key)
    return changed


def published_profile(folder: Path) -> ProfileIndex:
    """Return what is published in a folder.

    Raises:
        UpdateError: there is none, or it cannot be read.
    """
    return read_profile(folder / INDEX_NAME, str(folder / INDEX_NAME))


def sign_profile(folder: Path, profile: ProfileIndex, key: Path) -> Path:
    """Write the signed index; a device that looks between the two files looks again in an hour.

    Raises:
        UpdateError: it cannot be written or signed; what was published is.
    """
    new = folder / f".{INDEX_NAME}"
    try:
        new.write_text(f"{profile.model_dump_json(indent=2)}\n", encoding="utf-8")
        signature = sign_file(new, key, PROFILE_NAMESPACE)
        signature.replace(folder / f"{INDEX_NAME}.sig")
        return new.replace(folder / INDEX_NAME)
    except OSError as error:
        raise UpdateError(f"{folder}: cannot be written ({error.strerror}).") from error
    finally:
        new.unlink(missing_ok=True)


def _publish(source: Path, folder: Path) -> PublishedModel:
    from edge_agent.vision.models.card import read_card
    from edge_agent.vision.models.model import load_model

    card = read_card(source.with_suffix(".json"))
    load_model(source.with_suffix(".json"), kind=card.kind)
    if card.kind not in KEYS:
        raise ModelError(
            f"{source}: a model of kind {card.kind!r} is not chosen by a configuration. Kinds that "
            f"can be given to devices: {', '.join(KEYS)}."
        )
    return PublishedModel(
        card=_copied(source.with_suffix(".json"), folder),
        file=_copied(source.with_name(card.file), folder),
    )


def _copied(source: Path, folder: Path) -> PublishedFile:
    content = source.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    target = folder / source.name
    if target.resolve() != source.resolve():
        shutil.copyfile(source, target)
    return PublishedFile(name=source.name, size=len(content), sha256=digest)
