"""Beat detectors of Bluetooth sensors, in words for a methods section.

The rows tell it: an interval from an electrocardiogram has the error that was measured for the
detector here, an armband states an error of its own for each, in whole ms, and the Heart Rate
Service sends none.
"""

from __future__ import annotations

import json

from edge_agent.core.electrocardiogram import ECG_ERROR_S, ECG_HZ
from edge_agent.core.readings import VitalFlag
from edge_agent.core.vitals import VitalKind
from edge_agent.timeline.database.schema import SPANS
from edge_agent.timeline.export.source import ExportSource

_BLUETOOTH = "ble:"
_NOT_RECORDED = "its detector and sampling rate are not recorded"
_UNKNOWN = "what found the beats is not known here"
_HOW = {
    "ecg": (
        "between R waves that Affect Edge found in the electrocardiogram of a chest strap (Polar's "
        f"measurement protocol, {ECG_HZ} Hz); detector: two moving averages of the squared signal "
        "after a band-pass of 8 to 20 Hz (Elgendi, Jonkman & De Boer 2010, Frequency bands effects "
        "on QRS detection, BIOSIGNALS, 428-431), each beat at the top of a parabola through the "
        "largest samples"
    ),
    "ppi": (
        "between pulses that an optical armband found itself and sent with the error of each (PPI "
        f"of Polar's measurement protocol); {_NOT_RECORDED}"
    ),
    "imported": f"that were imported; {_UNKNOWN}",
    "simulated": "that are simulated",
    "service": (
        f"as the sensor sent them over the Heart Rate Service of Bluetooth; {_NOT_RECORDED}"
    ),
}
_COUNTS = f"""{SPANS}
    SELECT source,
        CASE WHEN instr(' ' || flags || ' ', ' {VitalFlag.SIMULATED} ') THEN 'simulated'
            WHEN import IS NOT NULL OR instr(' ' || flags || ' ', ' {VitalFlag.IMPORTED} ')
                THEN 'imported'
            WHEN error IS NULL THEN 'service' WHEN error = {ECG_ERROR_S} THEN 'ecg' ELSE 'ppi' END,
        count(*)
    FROM span CROSS JOIN vital ON at >= first AND at < last
    WHERE kind = '{VitalKind.RR_INTERVAL}' AND substr(source, 1, {len(_BLUETOOTH)}) = '{_BLUETOOTH}'
    GROUP BY 1, 2 ORDER BY 1, 2"""  # noqa: S608


def beats_in_words(source: ExportSource) -> dict[str, str]:
    """Return a paragraph for each Bluetooth sensor whose intervals between beats are exported.

    Its key is the source as recorded.
    """
    spans = json.dumps([(first, last, 0) for first, last in source.chosen.ranges])
    sentences: dict[str, list[str]] = {}
    for name, how, count in source.connection.execute(_COUNTS, (spans,)):
        intervals = f"{count:,} interval{'' if count == 1 else 's'}"
        sentences.setdefault(name, []).append(f"{intervals} {_HOW[how]}.")
    return {name: " ".join([f"RR intervals of {name}.", *own]) for name, own in sentences.items()}
