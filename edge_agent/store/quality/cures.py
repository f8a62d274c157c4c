"""What to do about a face that could not be read, by what took most of the time."""

from __future__ import annotations

from edge_agent.core.expression import RejectReason
from edge_agent.core.texts import N_

CURES_OF_FACE = {
    RejectReason.TOO_DARK: N_(
        "Most was lost to darkness: put a lamp in front of the participant, not behind them."
    ),
    RejectReason.TOO_BRIGHT: N_(
        "Most was lost to glare: close the blinds, or turn the lamp away from the face."
    ),
    RejectReason.BLURRED: N_(
        "Most was lost to blur: clean and focus the camera, and give it more light."
    ),
    RejectReason.TURNED_AWAY: N_(
        "Most was lost to a turned head: put the camera on top of what the participant looks at."
    ),
    RejectReason.CUT_OFF: N_(
        "Most was lost at the edge of the picture: turn the camera towards the participant."
    ),
    RejectReason.COVERED: N_(
        "Most was lost because something covered the face: ask the participant "
        "to take off mask and dark glasses, and to keep hands and hair away from mouth and eyes."
    ),
    RejectReason.TOO_SMALL: N_("Most was lost to distance: move the camera nearer."),
    "no_face": N_(
        "Most was lost because no face was in the picture: aim the camera, and fix the chair."
    ),
    "stalled": N_(
        "Most was lost because the camera stopped: see the health page, and `affect-edge doctor`."
    ),
    "switched_off": N_(
        "Most was lost because the camera was switched off: turn it on before the session."
    ),
    "agent_stopped": N_(
        "Most was lost because the agent did not run: look for a loose plug or a weak "
        "power supply, and update or restart between sessions only."
    ),
    "not_written": N_(
        "Most was lost because it could not be written: free some space, or use a faster disk."
    ),
}


CURES_OF_LIGHT = {
    RejectReason.TOO_DARK: N_("Put a lamp in front of the participant, not behind them."),
    RejectReason.TOO_BRIGHT: N_("Close the blinds, or turn the lamp away from the face."),
}
