"""The section ``[lsl]``: streams of the Lab Streaming Layer."""

from __future__ import annotations

from pydantic import Field

from edge_agent.config.section import Section


class LslSettings(Section):
    """What the agent offers as streams; everybody in the network can read them."""

    enabled: bool = Field(
        False, description="Whether the agent offers streams; needs install.sh --with lsl"
    )
    simulated: bool = Field(
        False, description="Whether streams of simulated and replayed values are offered, too"
    )
    estimated: bool = Field(
        False, description="Whether streams of values estimated from the camera are offered, too"
    )
