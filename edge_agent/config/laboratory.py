"""The sections ``[control]``, of programs that set markers and run sessions, and ``[lsl]``."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from edge_agent.config.section import Section
from edge_agent.core.errors import StudyError
from edge_agent.core.study import WORDS, read_order


def _order(text: str) -> str:
    """Refuse what asks for nothing."""
    word = text.partition("/")[0].strip().lower()
    if word not in WORDS:
        raise ValueError(f"{text!r} begins with none of {', '.join(WORDS)}")
    try:
        read_order(text)
    except StudyError as error:
        raise ValueError(str(error).removesuffix(".")) from error
    return text


Code = Annotated[int, Field(ge=0, le=65535)]
OrderText = Annotated[str, AfterValidator(_order)]


class ControlSettings(Section):
    """Programs and devices that set markers and run sessions, beside HTTP and MQTT."""

    lsl_stream: str | None = Field(
        None, min_length=1, max_length=200, description="Name of a stream of markers to listen to"
    )
    serial_port: str | None = Field(
        None, min_length=1, description="Serial port whose bytes are codes; needs --with serial"
    )
    serial_baud: int = Field(115_200, ge=300, le=4_000_000, description="Speed of the serial port")
    codes: dict[Code, OrderText] = Field(
        default_factory=dict, description="What each code asks for, of serial bytes and of LSL"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> ControlSettings:
        if self.serial_port is not None and not self.codes:
            raise ValueError(
                "serial_port: without codes the bytes have no meaning; give codes, such as "
                '1 = "stimulus_start/anger" in [control.codes]'
            )
        if self.lsl_stream is not None and self.lsl_stream.startswith("AffectEdge "):
            raise ValueError(
                f"lsl_stream: {self.lsl_stream!r} is one of the streams offered here; name the "
                "stream of the program that sets markers"
            )
        return self


class LslSettings(Section):
    """The streams that the agent offers by LSL; everybody in the network can read them."""

    enabled: bool = Field(
        False, description="Whether the agent offers streams; needs install.sh --with lsl"
    )
    simulated: bool = Field(
        False, description="Whether streams of simulated and replayed values are offered, too"
    )
    estimated: bool = Field(
        False, description="Whether streams of values estimated from the camera are offered, too"
    )
