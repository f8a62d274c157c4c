"""The matrix of what is recorded about a reading, and of what each conclusion does with it.

A row is a flag, a column, a table or a course that says something of readings; a column is a reader
that concludes. A contract walks all of them: a new flag, a column or a table that has no row is
red, and so is a row without a cell for each reader. ``USED``: the answer is another one, or has
another caution, where the recording is. A text is the reason why it is not; of ``OPEN`` cells it
should be.
"""

from __future__ import annotations

from dashboard.analysis.conclusions import Concluding, Open, Recorded, Used
from edge_agent.core.readings import UNUSABLE, VitalFlag

_PLANNING = "Plan reads no readings: difference and spread are typed in"
_TESTS = "tests/unit/dashboard/analysis/"
_UNEQUAL = "readings that one state lost are no caution here"
_MOVED = "who moves more has another heart rate, and nothing says so here"
_LOST = _TESTS + "test_loss.py::test_"
USED = Used()
Cell = Used | Open | str
"""A text: no, and why."""
_C = Concluding
_OF_VALUES = tuple(one for one in Concluding if one is not _C.PLANNING)
_ON_PAGE = (_C.COMPARISON, _C.HEART, _C.SKIN, _C.GROUPS, _C.CURVES, _C.WINDOWS, _C.COUPLING)
_OF_PEOPLE = (*_ON_PAGE, _C.CHOICES, _C.SENSORS)
_OF_FACES = (_C.COMPARISON, _C.GROUPS, _C.CURVES, _C.WINDOWS, _C.COUPLING, _C.CHOICES)


_OF_CUFF = {
    **dict.fromkeys(
        (_C.HEART, _C.SKIN, _C.COUPLING),
        "a cuff gives it, which has neither beats nor a course; a strap adds poor_signal",
    ),
    _C.PLANNING: _PLANNING,
}

_FLAGS = (
    *(Recorded(flag, _OF_VALUES, otherwise=_PLANNING) for flag in VitalFlag if flag in UNUSABLE),
    Recorded(
        VitalFlag.SIMULATED,
        (*_ON_PAGE, _C.WEEK),
        {
            _C.CHOICES: "the table stands on the page of the comparison, under its warning",
            _C.SENSORS: Open("two sources agree whether or not one is made up: no word says so"),
        },
        _PLANNING,
    ),
    Recorded(VitalFlag.MANUAL, otherwise="who types a reading off a device changes nothing of it"),
    Recorded(VitalFlag.IMPORTED, otherwise="the way by which a reading came changes nothing of it"),
    Recorded(
        VitalFlag.REPLAYED,
        otherwise="a recording that is played again has the flag simulated beside it, which counts",
    ),
    *(
        Recorded(
            flag,
            cells=_OF_CUFF,
            otherwise=Open("a cuff doubts its own pressure, and the mean takes it as any other"),
        )
        for flag in (
            VitalFlag.BODY_MOVEMENT,
            VitalFlag.CUFF_LOOSE,
            VitalFlag.IRREGULAR_PULSE,
            VitalFlag.IMPROPER_POSITION,
        )
    ),
    *(
        Recorded(flag, otherwise="the pulse beside a pressure was out of the cuff’s range, not it")
        for flag in (VitalFlag.PULSE_HIGH, VitalFlag.PULSE_LOW)
    ),
)
_COLUMNS = (
    Recorded(
        "vital.error",
        cells={
            _C.HEART: Open("errors that differ between states make a difference of RMSSD"),
            _C.WEEK: Open("errors of a week that are larger than usual raise its RMSSD"),
        },
        otherwise="sensors state errors of intervals between beats alone, which this does not read",
    ),
    Recorded("vital.device_time", otherwise="a device’s clock that differs is a flag of its own"),
    Recorded("vital.boot_ms", otherwise="the wall clock beside it is what states and stimuli have"),
    Recorded("vital.boot", otherwise="it says by which start of the machine a time can be mended"),
    Recorded("vital.import", otherwise="it says what an undo of an import deletes"),
    Recorded("expression.boot_ms", otherwise="as vital.boot_ms"),
    Recorded("expression.boot", otherwise="as vital.boot"),
    Recorded("expression.import", otherwise="as vital.import"),
    Recorded(
        "expression.interval_ms",
        (_C.WEEK,),
        otherwise="a row counts once; rows of one recording have one length (record.interval)",
    ),
    Recorded(
        "expression.track",
        (_C.WEEK,),
        otherwise="is_primary says whether the face is the participant’s; a week says how often "
        "another one was followed",
    ),
    *(
        Recorded(
            f"expression.{column}",
            otherwise="what cannot be read well is no row, but one of unfit; the quality report "
            "has the rest",
        )
        for column in ("frames", "face_size", "quality")
    ),
    *(
        Recorded(
            f"expression.{column}",
            (*_OF_FACES, _C.WEEK),
            {_C.SENSORS: "sources of vitals are compared, not faces", _C.PLANNING: _PLANNING},
            "it is not made of faces, but by observed emotion, which is the comparison’s",
        )
        for column in ("is_primary", "attribution")
    ),
    Recorded(
        "expression.simulated",
        (*_ON_PAGE, _C.WEEK),
        {
            _C.CHOICES: "the table stands on the page of the comparison, under its warning",
            _C.SENSORS: "sources of vitals are compared, not faces",
        },
        _PLANNING,
    ),
)
_OF_OBSERVED = Used(
    _TESTS + "test_own_neutral.py::test_observed_emotions_are_tested_with_and_without_own_neutral"
)
_OF_STATES = Used(_LOST + "readings_that_never_come_in_a_state_are_a_caution_with_its_size")
_OF_MEASURES = Used(_LOST + "measures_of_beats_and_skin_have_the_caution")
_TABLES = (
    Recorded(
        "gap",
        otherwise="it says why nothing was recorded; that nothing was is seen from the readings",
    ),
    Recorded("unfit", otherwise="a frame without a readable face has no value; see gap"),
    Recorded("ecg", otherwise="the beats that were found in it are readings themselves"),
    Recorded(
        "exclusion",
        _OF_PEOPLE,
        {
            _C.WEEK: "it is left out of the analysis of a study; a week tells what was recorded",
            _C.PLANNING: _PLANNING,
        },
    ),
    Recorded(
        "own_neutral",
        cells={
            _C.COMPARISON: _OF_OBSERVED,
            _C.WEEK: Used(
                "tests/unit/dashboard/questions/test_week.py::"
                "test_expressions_read_in_another_way_are_not_compared_and_readings_are"
            ),
            _C.PLANNING: _PLANNING,
            _C.SENSORS: "sources of vitals are compared, not faces",
        },
        otherwise="it shifts labels alone; by observed emotion the comparison beside says what "
        "they would be without",
    ),
    Recorded("marker_change", otherwise="the marker as it was corrected is in its place"),
    Recorded("vital_change", otherwise="the reading as it was corrected is in its place"),
    Recorded("alert", otherwise="it says that somebody was told of readings, which are there"),
    Recorded(
        "model",
        cells={
            _C.COMPARISON: Used(
                _TESTS + "test_own_neutral.py::"
                "test_comparison_across_a_change_of_model_or_prior_says_so"
            ),
            _C.WEEK: Used(
                "tests/unit/dashboard/questions/test_week.py::"
                "test_expressions_read_in_another_way_are_not_compared_and_readings_are"
            ),
            **dict.fromkeys(
                (_C.CURVES, _C.WINDOWS, _C.COUPLING),
                Open("faces that were read in another way in some sessions are no caution here"),
            ),
            _C.PLANNING: _PLANNING,
            _C.SENSORS: "sources of vitals are compared, not faces",
        },
        otherwise="the page that it stands on has the warning of the comparison",
    ),
)
_COURSES = (
    Recorded(
        "loss",
        cells={
            _C.COMPARISON: _OF_STATES,
            _C.HEART: _OF_MEASURES,
            _C.SKIN: _OF_MEASURES,
            _C.CURVES: Used(_LOST + "curves_with_bins_lost_after_one_event_say_so"),
            _C.WINDOWS: Used(_LOST + "windows_with_bins_lost_after_one_event_say_so"),
            _C.COUPLING: "a bin without a value makes no pair, in one’s own vital and in others’",
            _C.SENSORS: "only minutes in which both sources have readings are compared",
            _C.PLANNING: _PLANNING,
        },
        otherwise=Open(_UNEQUAL),
    ),
    Recorded(
        "motion",
        (_C.COMPARISON, _C.HEART, _C.SKIN),
        {
            _C.COUPLING: Used(
                _TESTS + "test_coupling.py::"
                "test_coupling_beside_motion_that_goes_with_both_is_not_tested"
            ),
            _C.CHOICES: "the rows are not tested, and the comparison above them has the caution",
            _C.SENSORS: "both sources are worn in the same minutes, and what a movement does to "
            "one of them is what is compared",
            _C.PLANNING: _PLANNING,
        },
        Open(_MOVED),
    ),
    Recorded(
        "source changed",
        _OF_PEOPLE,
        {
            _C.WEEK: Open("the mean of a week takes the readings of all sources together"),
            _C.PLANNING: _PLANNING,
        },
    ),
    Recorded(
        "session.simulated",
        _ON_PAGE,
        {
            _C.CHOICES: "the table stands on the page of the comparison, under its warning",
            _C.WEEK: "the readings of a demonstration are flagged themselves",
            _C.SENSORS: Used(
                "tests/unit/dashboard/analysis/test_agreement.py::"
                "test_sensors_of_demonstrations_are_apart_from_those_of_people"
            ),
            _C.PLANNING: _PLANNING,
        },
    ),
    Recorded(
        "session.origin",
        (*_ON_PAGE, _C.CHOICES),
        {
            _C.WEEK: Open("readings whose times are made up count on the day that was made up"),
            _C.SENSORS: Open("minutes that were made up are compared as if they were the same"),
            _C.PLANNING: _PLANNING,
        },
    ),
)

HEEDED = (*_FLAGS, *_COLUMNS, *_TABLES, *_COURSES)
"""Every row."""


def cell_of(recorded: Recorded, reader: Concluding) -> Cell:
    """Return what a reader does with a row; an empty text where nobody has said."""
    if reader in recorded.cells:
        return recorded.cells[reader]
    return USED if reader in recorded.used else recorded.otherwise
