"""Names that the data bring and pages look up: each is marked here, so that catalogues have it.

Names that people typed, such as participants' codes, conditions and devices, stay as they are.
"""

from __future__ import annotations


def N_(message: str) -> str:  # noqa: N802 - the name that catalogues of texts know
    """Mark a text for the catalogue, and return it as it is."""
    return message


EXPRESSIONS = (
    *(N_("neutral"), N_("happiness"), N_("surprise"), N_("sadness")),
    *(N_("anger"), N_("disgust"), N_("fear"), N_("contempt")),
    *(N_("uncertain"), N_("no face"), N_("no condition"), N_("none of these")),
)
PURPOSES = (
    *(N_("research"), N_("medical"), N_("safety"), N_("personal"), N_("demonstration")),
    *(N_("home"), N_("laboratory"), N_("clinic"), N_("workplace"), N_("education"), N_("other")),
)
VITALS = (
    *(N_("Heart rate"), N_("heart rate"), N_("Blood pressure"), N_("blood pressure")),
    *(N_("Systolic pressure"), N_("systolic pressure"), N_("systolic")),
    *(N_("Diastolic pressure"), N_("diastolic pressure"), N_("diastolic")),
    *(N_("Mean arterial pressure"), N_("mean arterial pressure"), N_("RR interval")),
    *(N_("Oxygen saturation"), N_("oxygen saturation"), N_("Skin temperature")),
    *(N_("skin temperature"), N_("Respiration rate"), N_("respiration rate")),
    *(N_("Body temperature"), N_("body temperature")),
)
FLAGS = (
    *(N_("out of range"), N_("contact lost"), N_("manual"), N_("estimated"), N_("simulated")),
    *(N_("imported"), N_("body movement"), N_("cuff loose"), N_("irregular pulse")),
    *(N_("pulse high"), N_("pulse low"), N_("improper position"), N_("clock differs")),
    *(N_("replayed"), N_("poor signal")),
)
MARKERS = (N_("stimulus start"), N_("stimulus end"), N_("baseline"), N_("note"))
FLAWS = (
    *(N_("cut off"), N_("too small"), N_("turned away"), N_("too dark"), N_("too bright")),
    *(N_("blurred"), N_("covered")),
    *(N_("cut off by the edge of the picture"), N_("too small to be read")),
    *(N_("turned away from the camera"), N_("mouth or eyes are covered")),
)
ATTRIBUTES = (
    *(N_("female"), N_("male"), N_("not told"), N_("sex"), N_("age band"), N_("medication")),
    *(N_("here"), N_("shared"), N_("under 18"), N_("80 and over")),
)
CHECKS = (
    *(N_("conditions"), N_("the face"), N_("the clock"), N_("unmatched readings")),
    *(N_("flagged readings"), N_("light"), N_("frames")),
)
OF_ALERTS = (
    *(N_("vital"), N_("sensor"), N_("camera"), N_("broker"), N_("disk")),
    *(N_("backup"), N_("agent")),
)
ACTIONS = (
    *(N_("account add"), N_("account disable"), N_("account enable"), N_("account link")),
    *(N_("account remove"), N_("account reset"), N_("account role"), N_("alert acknowledge")),
    *(N_("attributes agree"), N_("attributes set"), N_("clock set"), N_("consent give")),
    *(N_("consent withdraw"), N_("export"), N_("login"), N_("login end"), N_("login failed")),
    *(N_("participant view"), N_("session view"), N_("second factor on"), N_("second factor off")),
    *(N_("second factor codes"), N_("second factor failed")),
    *(N_("login link"), N_("logout"), N_("markers add"), N_("participant create")),
    *(N_("participant erase"), N_("preregister"), N_("reading correct"), N_("reading remove")),
    *(N_("restore"), N_("retention"), N_("session add"), N_("session start"), N_("session end")),
    *(N_("setup"), N_("study import"), N_("token make"), N_("token revoke"), N_("video import")),
    *(N_("password change"), N_("appliance")),
)
OF_MODELS = (N_("expression"), N_("face detector"), N_("detector"), N_("landmarks"))
IN_SCRIPTS = frozenset({*EXPRESSIONS, *PURPOSES, *VITALS, *FLAGS, *FLAWS})
"""Those that scripts of pages look up as well."""
