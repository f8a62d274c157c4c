"""The sections ``[camera]``, which camera and how it is read, and ``[capture]``, when."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from edge_agent.config.section import STARTING, Editable, HomeAddress, HomePath, Section
from edge_agent.core.addresses import Address

Source = Literal["auto", "picamera2", "opencv", "snapshot", "pictures", "demo"]
Rotation = Literal[0, 90, 180, 270]
_BY_ADDRESS = frozenset({"opencv", "snapshot"})
"""Kinds of camera that an address leads to."""


class CameraSettings(Section):
    """The camera that gives the frames, and how they are read; each kind uses its own keys."""

    source: Editable[Source] = Field("auto", title="Kind of camera", description="Kind of camera")
    device: HomeAddress = Field(
        Address("0"),
        description="opencv: device number or path, video file, rtsp:// or http://; "
        "snapshot: http:// or https:// address of a JPEG picture",
    )
    folder: HomePath = Field(
        Path("pictures"), description="pictures: folder whose pictures are shown in name order"
    )
    number: Editable[int] = Field(
        0,
        ge=0,
        le=9,
        title="Number of the camera",
        description="picamera2: which of several cameras; the first is number 0",
    )
    width: Editable[int] = Field(
        640,
        ge=160,
        le=4096,
        title="Width of the picture, pixels",
        description="Width asked of the camera, pixels",
    )
    height: Editable[int] = Field(
        480,
        ge=120,
        le=3072,
        title="Height of the picture, pixels",
        description="Height asked of the camera, pixels",
    )
    fps: Editable[float] = Field(
        15.0,
        gt=0,
        le=120,
        title="Pictures per second",
        description="Frames per second asked of the camera, and of files",
    )
    loop: Editable[bool] = Field(
        False,
        title="Start files again at their end",
        description="Start video files and picture folders again at their end",
    )
    rotate: Editable[Rotation] = Field(
        0,
        title="Turn the picture, degrees",
        description="Clockwise rotation of every frame, degrees",
    )
    stall_seconds: Editable[float] = Field(
        5.0,
        ge=1,
        le=60,
        title="Reopen a silent camera after, seconds",
        description="After so many seconds without a new picture the camera is opened again",
    )
    # Two: one is filled while the agent has the other. More than eight only take memory.
    buffers: Editable[int] = Field(
        4,
        ge=2,
        le=8,
        title="Pictures that the camera has memory for",
        description="picamera2: pictures that the camera has memory for; fewer take less of it",
    )
    # at most 10: from 15 s on, the health report takes a frame for overdue
    snapshot_seconds: Editable[float] = Field(
        1.0,
        ge=0.1,
        le=10,
        title="Time between snapshots, seconds",
        description="snapshot: seconds from one picture to the next",
    )

    @field_validator("device")
    @classmethod
    def _leads_somewhere(cls, value: Address, info: ValidationInfo) -> Address:
        # Of another kind of camera it may be left from before.
        is_asked = STARTING not in (info.context or ()) and info.data.get("source") in _BY_ADDRESS
        if is_asked and (problem := value.problem):
            raise ValueError(f"device = {value.shown!r:.80} {problem}")
        return value

    @field_validator("rotate", mode="before")
    @classmethod
    def _as_number(cls, value: object) -> object:
        # a variable of the environment is a text, which no list of numbers contains
        return int(value) if isinstance(value, str) and value.isdecimal() else value


class CaptureSettings(Section):
    """When the camera is read."""

    mode: Literal["continuous", "sessions"] = Field(
        "continuous", description="Always, or only in an open session"
    )
    preview: Literal["never", "allowed"] = Field(
        "never",
        description="Whether an administrator may see the camera's picture on the page Live, for a "
        "minute at a time and not in a session; it is never stored",
    )
