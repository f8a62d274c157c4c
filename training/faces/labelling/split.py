"""Which photographs are kept from training: by a hash of their names, in given shares."""

from __future__ import annotations

import hashlib
import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError, model_validator

from training.errors import RecipeError
from training.learning.recipe import Section

Share = Annotated[float, Field(ge=0, lt=1)]


class Shares(Section):
    """Shares of an archive that are kept from training: ``test`` and ``valid``.

    The part ``test`` is for the evaluation, ``valid`` for choices.
    """

    test: Share = 0.0
    valid: Share = 0.05

    @model_validator(mode="after")
    def _leaves_some(self) -> Shares:
        if self.test + self.valid >= 1:
            raise ValueError("leaves nothing to learn from; the shares must sum to less than 1")
        return self

    def part(self, name: str) -> str:
        """The part of a picture by the hash of its name, the same on every machine."""
        place = int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big") / 2**32
        if place < self.test:
            return "test"
        if place < self.test + self.valid:
            return "valid"
        return "train"


def read_shares(recipe: Path) -> dict[str, Shares]:
    """``data.shares`` of a recipe: shares by name of the archive, without its ending.

    Raises:
        RecipeError: the file is missing, is not TOML, or has no usable ``data.shares``.
    """
    try:
        data = tomllib.loads(recipe.read_text(encoding="utf-8")).get("data", {})
        return TypeAdapter(dict[str, Shares]).validate_python(data["shares"])
    except OSError as error:
        raise RecipeError(f"{recipe}: cannot be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise RecipeError(f"{recipe}: is not a TOML file: {error}") from error
    except (KeyError, TypeError, AttributeError) as error:
        raise RecipeError(
            f"{recipe}: has no [data.shares], so it is unknown what was held out; add it"
        ) from error
    except ValidationError as error:
        fault = error.errors()[0]
        place = ".".join(map(str, fault["loc"]))
        raise RecipeError(f"{recipe}: data.shares.{place}: {fault['msg']}") from error
