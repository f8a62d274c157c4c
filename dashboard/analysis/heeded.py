"""The matrix of what is recorded about a reading, and of what each conclusion does with it.

A row is a flag, a column, a table or a course that says something of readings; a column is a reader
that concludes. A contract walks all of them: a new flag, a column or a table that has no row is
red, and so is a row without a cell for each reader. ``USED``: the answer is another one, or has
another caution, where the recording is. A text is the reason why it is not; of ``OPEN`` cells it
should be.
"""

from __future__ import annotations

from collections.abc import Mapping

from dashboard.analysis.conclusions import Concluding, Open, RecordedRow, Used
from edge_agent.core.readings import DOUBTED, UNUSABLE, Bearing, VitalFlag

_PLANNING = "Plan reads no readings: difference and spread are typed in"
_TESTS = "tests/unit/dashboard/analysis/"
_CHOICES = "the rows are not tested, and the comparison above them has the caution"
_LOST = _TESTS + "test_loss.py::test_"
USED = Used()
Cell = Used | Open | str
"""A text: no, and why."""
_C = Concluding
_OF_VALUES = tuple(one for one in Concluding if one is not _C.PLANNING)
_ON_PAGE = (_C.COMPARISON, _C.HEART, _C.SKIN, _C.GROUPS, _C.CURVES, _C.WINDOWS, _C.COUPLING)
_OF_PEOPLE = (*_ON_PAGE, _C.CHOICES, _C.SENSORS)
_OF_FACES = (_C.COMPARISON, _C.GROUPS, _C.CURVES, _C.WINDOWS, _C.COUPLING, _C.CHOICES)


_WEEK = "tests/unit/dashboard/questions/test_week.py::test_"
_WITH_DOUBT = (_C.COMPARISON, _C.GROUPS, _C.CURVES, _C.WINDOWS, _C.SENSORS)
_OF_CUFF: Mapping[Concluding, Cell] = {
    **dict.fromkeys(
        (_C.HEART, _C.SKIN, _C.COUPLING),
        "a cuff gives it, which has neither beats nor a course; a strap adds poor_signal",
    ),
    _C.WEEK: Used(_WEEK + "week_is_judged_without_readings_unreliable_by_their_flags"),
    _C.CHOICES: _CHOICES,
    _C.PLANNING: _PLANNING,
}

_FLAGS = (
    *(RecordedRow(flag, _OF_VALUES, otherwise=_PLANNING) for flag in VitalFlag if flag in UNUSABLE),
    RecordedRow(
        VitalFlag.SIMULATED,
        (*_ON_PAGE, _C.WEEK, _C.SENSORS),
        {_C.CHOICES: "the table stands on the page of the comparison, under its warning"},
        _PLANNING,
    ),
    RecordedRow(
        VitalFlag.MANUAL, otherwise="who types a reading off a device changes nothing of it"
    ),
    RecordedRow(
        VitalFlag.IMPORTED, otherwise="the way by which a reading came changes nothing of it"
    ),
    RecordedRow(
        VitalFlag.REPLAYED,
        otherwise="a recording that is played again has the flag simulated beside it, which counts",
    ),
    *(RecordedRow(flag, _WITH_DOUBT, _OF_CUFF) for flag in VitalFlag if flag in DOUBTED),
    *(
        RecordedRow(
            flag, otherwise="the pulse beside a pressure was out of the cuff’s range, not it"
        )
        for flag in VitalFlag
        if flag.bearing is Bearing.BESIDE
    ),
)
_COLUMNS = (
    RecordedRow(
        "vital.error",
        cells={
            _C.HEART: Used(
                _TESTS + "test_heart.py::"
                "test_larger_stated_errors_in_a_state_are_a_caution_with_their_size"
            ),
            _C.WEEK: Used(
                "tests/unit/dashboard/questions/test_week_variability.py::"
                "test_errors_that_beats_state_are_no_variability_of_a_week"
            ),
        },
        otherwise="sensors state errors of intervals between beats alone, which this does not read",
    ),
    RecordedRow(
        "vital.device_time", otherwise="a device’s clock that differs is a flag of its own"
    ),
    RecordedRow(
        "vital.boot_ms", otherwise="the wall clock beside it is what states and stimuli have"
    ),
    RecordedRow(
        "vital.boot", otherwise="it says by which start of the machine a time can be mended"
    ),
    RecordedRow("vital.import", otherwise="it says what an undo of an import deletes"),
    RecordedRow("expression.boot_ms", otherwise="as vital.boot_ms"),
    RecordedRow("expression.boot", otherwise="as vital.boot"),
    RecordedRow("expression.import", otherwise="as vital.import"),
    RecordedRow(
        "expression.interval_ms",
        (_C.WEEK,),
        otherwise="a row counts once; rows of one recording have one length (record.interval)",
    ),
    RecordedRow(
        "expression.track",
        (_C.WEEK,),
        otherwise="is_primary says whether the face is the participant’s; a week says how often "
        "another one was followed",
    ),
    *(
        RecordedRow(
            f"expression.{column}",
            otherwise="what cannot be read well is no row, but one of unfit; the quality report "
            "has the rest",
        )
        for column in ("frames", "face_size", "quality")
    ),
    *(
        RecordedRow(
            f"expression.{column}",
            (*_OF_FACES, _C.WEEK),
            {_C.SENSORS: "sources of vitals are compared, not faces", _C.PLANNING: _PLANNING},
            "it is not made of faces, but by observed emotion, which is the comparison’s",
        )
        for column in ("is_primary", "attribution")
    ),
    RecordedRow(
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
    RecordedRow(
        "gap",
        otherwise="it says why nothing was recorded; that nothing was is seen from the readings",
    ),
    RecordedRow("unfit", otherwise="a frame without a readable face has no value; see gap"),
    RecordedRow("ecg", otherwise="the beats that were found in it are readings themselves"),
    RecordedRow(
        "exclusion",
        _OF_PEOPLE,
        {
            _C.WEEK: "it is left out of the analysis of a study; a week tells what was recorded",
            _C.PLANNING: _PLANNING,
        },
    ),
    RecordedRow(
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
    RecordedRow("marker_change", otherwise="the marker as it was corrected is in its place"),
    RecordedRow("vital_change", otherwise="the reading as it was corrected is in its place"),
    RecordedRow("alert", otherwise="it says that somebody was told of readings, which are there"),
    RecordedRow(
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
                (_C.CURVES, _C.WINDOWS),
                Used(
                    _TESTS + "test_responses.py::"
                    "test_curves_and_windows_across_a_change_of_model_say_so"
                ),
            ),
            _C.COUPLING: Used(
                _TESTS + "test_coupling.py::test_coupling_across_a_change_of_model_says_so"
            ),
            _C.PLANNING: _PLANNING,
            _C.SENSORS: "sources of vitals are compared, not faces",
        },
        otherwise="the page that it stands on has the warning of the comparison",
    ),
)
_COURSES = (
    RecordedRow(
        "loss",
        cells={
            _C.COMPARISON: _OF_STATES,
            _C.HEART: _OF_MEASURES,
            _C.SKIN: _OF_MEASURES,
            _C.CURVES: Used(_LOST + "curves_with_bins_lost_after_one_event_say_so"),
            _C.WINDOWS: Used(_LOST + "windows_with_bins_lost_after_one_event_say_so"),
            _C.COUPLING: "a bin without a value makes no pair, in one’s own vital and in others’",
            _C.SENSORS: "only minutes in which both sources have readings are compared",
            _C.GROUPS: Used(_LOST + "groups_that_lose_readings_in_a_state_say_so"),
            _C.CHOICES: _CHOICES,
            # What was lost in a part of the day alone makes that uncompared.
            _C.WEEK: Used(_WEEK + "vitals_are_compared_at_like_times_of_day"),
            _C.PLANNING: _PLANNING,
        },
    ),
    RecordedRow(
        "motion",
        (_C.COMPARISON, _C.HEART, _C.SKIN, _C.CURVES, _C.WINDOWS),
        {
            _C.GROUPS: Used(
                _TESTS + "test_motion.py::test_groups_of_which_one_moves_in_a_state_say_so"
            ),
            _C.COUPLING: Used(
                _TESTS + "test_coupling.py::"
                "test_coupling_beside_motion_that_goes_with_both_is_not_tested"
            ),
            _C.CHOICES: _CHOICES,
            _C.SENSORS: "both sources are worn in the same minutes, and what a movement does to "
            "one of them is what is compared",
            _C.WEEK: Used(_WEEK + "week_in_which_the_wearer_moved_more_says_so_beside_the_heart"),
            _C.PLANNING: _PLANNING,
        },
    ),
    RecordedRow(
        "source changed",
        _OF_PEOPLE,
        {
            _C.WEEK: Used(_WEEK + "week_by_another_sensor_than_usual_says_so"),
            _C.PLANNING: _PLANNING,
        },
    ),
    RecordedRow(
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
    RecordedRow(
        "session.origin", (*_ON_PAGE, _C.CHOICES, _C.SENSORS, _C.WEEK), {_C.PLANNING: _PLANNING}
    ),
)

HEEDED = (*_FLAGS, *_COLUMNS, *_TABLES, *_COURSES)
"""Every row."""


def cell_of(recorded: RecordedRow, reader: Concluding) -> Cell:
    """Return what a reader does with a row; an empty text where nobody has said."""
    if reader in recorded.cells:
        return recorded.cells[reader]
    return USED if reader in recorded.used else recorded.otherwise
