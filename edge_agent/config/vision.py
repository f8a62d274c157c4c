"""The section ``[vision]``: models, thresholds, smoothing, and the share of the processor."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, model_validator

from edge_agent.config.section import STARTING, Editable, HomeText, Section
from edge_agent.core.expression import Prior, Whose

Share = Annotated[float, Field(ge=0, le=1)]
FORMER_SEAT = [0.15, 0.05, 0.7, 0.9]
"""What files of earlier releases say of the seat where nobody drew one."""


class VisionSettings(Section):
    """The settings for finding and reading faces, and how much of the processor that may take."""

    expression_model: HomeText = Field(
        "expression-accurate", description="Name of a shipped model, or path of a card"
    )
    detector: Literal["tflite", "yunet"] = Field(
        "tflite", description="Kind of face detector; yunet runs in OpenCV"
    )
    detector_model: HomeText = Field(
        "face-detector",
        description="Name of a shipped model, or path of a card; yunet: path of its ONNX file",
    )
    threads: Editable[int] = Field(
        1, ge=1, le=8, title="Threads", description="Threads of one inference"
    )
    cpu_budget: Editable[float] = Field(
        0.4,
        ge=0.01,
        le=8,
        title="Processor cores it may use",
        description="Processor cores that the vision chain may use; above, faces are read less",
    )
    face_score: Editable[float | None] = Field(
        None,
        gt=0,
        lt=1,
        title="Lowest score of a face",
        description="Lowest score of a face; left out: the value in the model's card",
    )
    min_face: Editable[int] = Field(
        24,
        ge=8,
        le=1000,
        title="Smallest face, pixels",
        description="Smallest face that is read: its longer side in pixels of the frame",
    )
    max_faces: Editable[int] = Field(
        8,
        ge=1,
        le=50,
        title="Most faces in a picture",
        description="Maximum number of faces analysed in one frame",
    )
    uncertain_below: Editable[float | None] = Field(
        None,
        ge=0,
        le=1,
        title="Uncertain below this probability",
        description="Below this probability a face is uncertain; left out: the model card's",
    )
    prior: Editable[Prior] = Field(
        "fitted",
        title="How common the expressions are",
        description="How common the expressions are taken to be: as fitted on photographs (a model "
        "without such a fit: data), as in the data that the model learned from, or all alike "
        "(balanced), which finds rare ones and errs more often",
    )
    smoothing_seconds: Editable[float] = Field(
        0.6,
        ge=0,
        le=10,
        title="Smoothing, seconds",
        description="Time constant of the smoothing in seconds; 0: no smoothing",
    )
    hysteresis: Editable[float] = Field(
        0.08,
        ge=0,
        le=0.5,
        title="Lead that a new emotion needs",
        description="Lead in probability that a new label needs over the present one",
    )
    dwell_seconds: Editable[float] = Field(
        0.5,
        ge=0,
        le=10,
        title="Shortest time of an emotion, seconds",
        description="Shortest time between two changes of a label, seconds",
    )
    confirm_frames: Editable[int] = Field(
        3,
        ge=1,
        le=30,
        title="Pictures that a new face needs",
        description="Frames in a row, or two 0.3 s apart, that a new face needs",
    )
    memory_seconds: Editable[float] = Field(
        1.5,
        ge=0.1,
        le=10,
        title="Remember a hidden face for, seconds",
        description="A hidden face keeps its track for this long",
    )
    gate: Editable[bool] = Field(
        True,
        title="Count unfit faces, do not read them",
        description="Only count faces cut off, too small, turned away, badly lit, blurred or "
        "covered",
    )
    own_neutral: Editable[bool] = Field(
        False,
        title="Each person’s own neutral",
        description="Shift neutral by each person's own: the first baseline of a session sets how "
        "far neutral must lead in it; a session can say otherwise",
    )
    movements: Editable[bool] = Field(
        True,
        title="Read movements of the face",
        description="Read movements of the face, pose of the head and look",
    )
    blinks: Editable[bool] = Field(
        False,
        title="Count blinks",
        description="Count blinks of the participant's face, and how long each lasts; needs 15 "
        "frames per second",
    )

    whose: Editable[Whose] = Field(
        "leading",
        title="Whose face it is",
        description="Evidence that the followed face is the participant's: it leads (the largest "
        "and most central), it is in the seat, it is alone in view, or somebody declared it; "
        "without the evidence it counts as nobody's. A declaration counts with all of them",
    )
    seat: tuple[Share, Share, Share, Share] | None = Field(
        None,
        description="Where the participant sits: left, top, width and height in shares of the "
        "picture, 0 to 1; left out: no seat, and no face counts as in it",
    )

    @model_validator(mode="before")
    @classmethod
    def _undrawn_seat(cls, values: object, info: ValidationInfo) -> object:
        """Leave out the seat that an earlier release wrote unless it is asked for."""
        if not isinstance(values, dict):
            return values
        seat = values.get("seat")
        if values.get("whose", "leading") != "seat":
            if isinstance(seat, list | tuple) and list(seat) == FORMER_SEAT:
                return {name: value for name, value in values.items() if name != "seat"}
        elif seat is None and STARTING in (info.context or ()):
            return values | {"whose": "leading"}
        return values

    @model_validator(mode="after")
    def _seat_in_picture(self) -> VisionSettings:
        if self.seat is None:
            if self.whose == "seat":
                raise ValueError(
                    'whose = "seat" needs a seat: left, top, width and height in shares of the '
                    "picture, such as seat = [0.3, 0.2, 0.4, 0.5], drawn around the face that sits "
                    "there; the page of a standing session proposes it"
                )
            return self
        left, top, width, height = self.seat
        if width <= 0 or height <= 0 or left + width > 1.000001 or top + height > 1.000001:
            raise ValueError(
                f"seat = {list(self.seat)} does not lie in the picture: left + width and top + "
                "height are at most 1, width and height above 0"
            )
        return self

    @model_validator(mode="after")
    def _file_of_its_kind(self) -> VisionSettings:
        onnx = self.detector_model.lower().endswith(".onnx")
        if self.detector == "yunet" and not onnx:
            raise ValueError(
                'detector = "yunet" needs the path of YuNet\'s ONNX file in detector_model, '
                f"not {self.detector_model!r}"
            )
        if self.detector == "tflite" and onnx:
            raise ValueError(
                f"detector_model {self.detector_model!r} is an ONNX file; "
                'say detector = "yunet" with it'
            )
        return self
