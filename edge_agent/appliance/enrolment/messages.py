"""What device and server say to each other when a device joins."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from edge_agent.appliance.enrolment.code import ID_SIGNS, SECRET_SIGNS

LARGEST_BYTES = 16_384
"""Of a message in either direction."""


class _Message(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, strict=True)


class JoinRequest(_Message):
    """A device asks to join.

    Attributes:
        id: of the code.
        secret: of the code.
        request: for a certificate (PEM), of a key that the device made and keeps.
    """

    id: str = Field(min_length=ID_SIGNS, max_length=ID_SIGNS)
    secret: str = Field(min_length=SECRET_SIGNS, max_length=SECRET_SIGNS, repr=False)
    request: str = Field(max_length=4_000)


class JoinAnswer(_Message):
    """What a device is given.

    Attributes:
        device: ``device.name`` from now on.
        account: at the broker.
        password: of the account.
        host: of the broker, the name in its certificate.
        port: of the broker, with TLS.
        authority: to trust (PEM).
        certificate: of the device (PEM); ``None``: the broker wants none.
        token: names this attempt; goes into the confirmation.
        at_ms: the server's time, UTC, milliseconds.
    """

    device: str = Field(pattern=r"^[A-Za-z0-9_-]{1,40}$")
    account: str = Field(min_length=1, max_length=64)
    password: str = Field(min_length=1, max_length=200, repr=False)
    host: str = Field(min_length=1, max_length=253)
    port: int = Field(ge=1, le=65_535)
    authority: str = Field(max_length=8_000)
    certificate: str | None = Field(max_length=8_000)
    token: str = Field(min_length=1, max_length=64)
    at_ms: int


class ConfirmRequest(_Message):
    """A device says that its account works and its configuration is written.

    Attributes:
        id, secret: of the code.
        token: of the answer that it uses.
    """

    id: str = Field(min_length=ID_SIGNS, max_length=ID_SIGNS)
    secret: str = Field(min_length=SECRET_SIGNS, max_length=SECRET_SIGNS, repr=False)
    token: str = Field(min_length=1, max_length=64)


class Refusal(_Message):
    """Why something is refused.

    Attributes:
        refusal: the kind, for programs.
        text: for a person.
    """

    refusal: str = Field(max_length=40)
    text: str = Field(max_length=2_000)
