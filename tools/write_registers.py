"""``python -m tools.write_registers``: write what scripts of pages need of registers in Python.

One JSON, as a module that scripts import: members with their words, the order of flaws, the forms
of answers, units and colours. A test says when it is due.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dashboard.protocols.steps import ScreenKind
from dashboard.web.delivery import STATIC
from edge_agent.core.errors import CameraState
from edge_agent.core.expression import RejectReason
from edge_agent.core.movements import LOOK, POSE
from edge_agent.core.own_neutral import OwnNeutralState
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import MarkerKind, QuestionKind
from edge_agent.core.texts import Worded
from edge_agent.core.vitals import VitalKind
from edge_agent.live.preview import PreviewEnded
from edge_agent.mqtt.broker import MqttState
from edge_agent.timeline.study.protocol_runs import RunState
from edge_agent.vision.drawing import AGAINST, SUPPORTS
from edge_agent.vision.governor import Limit
from edge_agent.vision.quality import ENOUGH_PIXELS, LEAST_PIXELS
from edge_agent.vision.reading_by_need import Effort

SCRIPT = STATIC / "js" / "registers.js"
WORDED: Mapping[str, type[Worded]] = {
    "flags": VitalFlag,
    "flaws": RejectReason,
    "markers": MarkerKind,
    "ownNeutral": OwnNeutralState,
    "runs": RunState,
    "cameras": CameraState,
    "brokers": MqttState,
    "previews": PreviewEnded,
    "efforts": Effort,
    "limits": Limit,
}
"""Registers whose members are shown by their words, by the name that scripts have for them."""


def registers() -> dict[str, Any]:
    """Return every register that scripts are given, by its name in them."""
    worded = {
        name: {one.value: _without_blanks(says=one.says, tone=one.tone) for one in members}
        for name, members in WORDED.items()
    }
    return worded | {
        "screens": {
            kind.value: {"section": kind.section, "isAnswered": kind.is_answered}
            for kind in ScreenKind
        },
        "questions": {
            kind.value: {"numbers": kind.numbers, "longest": kind.longest} for kind in QuestionKind
        },
        "vitals": {
            kind.value: {"unit": kind.spec.unit_shown, "digits": kind.spec.decimals}
            for kind in VitalKind
        },
        "pose": POSE,
        "look": LOOK,
        "face": {"leastPx": int(LEAST_PIXELS), "wantedPx": int(ENOUGH_PIXELS)},
        "evidence": {"supports": SUPPORTS, "against": AGAINST},
    }


def written() -> str:
    """Return the script as it should be."""
    body = "".join(f' "{name}": {_json(one)},\n' for name, one in registers().items())
    return (
        "// What Python knows once, for scripts of pages; written by `python -m "
        f"tools.write_registers`.\n\nexport const REGISTERS = {{\n{body}}};\n"
    )


def _json(register: Any) -> str:
    """Return a register as JSON, one member a line."""
    if not isinstance(register, dict):
        return json.dumps(register)
    lines = [f'  "{name}": {json.dumps(one, ensure_ascii=False)}' for name, one in register.items()]
    return "{\n" + ",\n".join(lines) + "\n }"


def _without_blanks(**texts: str) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text}


if __name__ == "__main__":
    SCRIPT.write_text(written(), encoding="utf-8")
