"""Secrets of a configuration, and their removal from texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from edge_agent.config.settings import Settings
from edge_agent.core.addresses import Address, hide_each


def hider_of(*settings: Settings) -> Callable[[str], str]:
    """Return what removes the secrets of some configurations from a text.

    These are passwords and secret parts of addresses, plain or percent-encoded; and whatever else
    looks like one, see ``masked``.
    """
    secrets = [one for each in settings for one in _secrets_in(each)]
    words = {one.get_secret_value() for one in secrets if isinstance(one, SecretStr)}
    addresses = {one for one in secrets if isinstance(one, Address)} or {Address("")}

    def hide(text: str) -> str:
        for address in addresses:
            text = address.hide_in(text)
        return hide_each(words, text)

    return hide


def _secrets_in(value: Any) -> Iterator[SecretStr | Address]:
    if isinstance(value, SecretStr | Address):
        yield value
    elif isinstance(value, BaseModel):
        for _name, inner in value:
            yield from _secrets_in(inner)
    elif isinstance(value, Mapping):
        for inner in value.values():
            yield from _secrets_in(inner)
    elif isinstance(value, Iterable) and not isinstance(value, str | bytes):
        for inner in value:
            yield from _secrets_in(inner)
