"""The registry of vital signs, and the Bluetooth sensors of them, as frozen values. No I/O.

``SPECS`` holds one ``VitalSpec`` for each ``VitalKind``, and nothing else lists kinds: database,
validation, files, MQTT, exports, charts, pages and the scripts of a bundle read it. CONTRIBUTING.md
says how to add a kind.

    >>> VitalKind.SYSTOLIC.spec.label
    'Systolic pressure'
    >>> VitalKind.SYSTOLIC.spec.units["kpa"].convert(16.0)
    120.009872
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial
from typing import NamedTuple

MMHG_IN_KPA = 7.500_617
_HELD_S = 5.0
"""For how long a reading stands for an even rate, where no later one comes."""
_LATE_S = 1.0
"""By how much later than its window a count may come: a window ends with a frame after it."""
_LONGEST_UNIT = 40
_MICRO = ("u", "\u00b5", "\u03bc")  # two signs look like µ: the micro sign and the Greek letter
_DEGREE = r"(°|º|˚|deg(ree)?s?\.?|grad|o)?"
# Spanish counts pulsaciones and latidos, Chinese and Japanese 次, 回 and 拍.
_COUNT = r"(1|counts?|beats?|breaths?|cycles?|pulses?|blinks?|pulsaciones|latidos|[次回拍])?"
_MINUTE = r"(min(ute|uto)?|分)"
_SPELLINGS: Mapping[str, Mapping[str, str]] = {
    "/min": {
        rf"{_COUNT}((/|per){_MINUTE}|[.·*]?{_MINUTE}[\^]?[({{]?-1[)}}]?)|bpm|ppm|lpm": "/min",
        "hz|hertz|1/s|s-1": "hz",
    },
    "Cel": {
        rf"{_DEGREE}(c|celsius|centigrade)|c°": "cel",
        rf"{_DEGREE}(f|fahrenheit)|f°": "[degf]",
        rf"{_DEGREE}(k|kelvin)": "k",
    },
    "%": {"percent(age)?|pct|prozent|%(spo2|o2)": "%", "fraction|ratio": "share"},
    "mm[Hg]": {r"mm\[?hg\]?|millimet(er|re)s?(of)?(mercury|hg)": "mmhg", "kilopascals?": "kpa"},
    "s": {"sec(ond)?s?": "s", "m(illi)?sec(ond)?s?": "ms"},
    "ms": {"sec(ond)?s?": "s", "m(illi)?sec(ond)?s?": "ms"},
    "uS": {
        r"(u|micro)(s|siemens|mhos?)": "us",
        r"n(ano)?(s|siemens)": "ns",
        r"m(illi)?(s|siemens)": "ms",
        r"k(ilo)?(ω|ohms?)": "kohm",
    },
}
"""Spellings of units by the unit in which a kind is kept: form without blanks → the name that
``VitalSpec.units`` has.
"""


# Names of a cuff's values may begin with blood pressure, in German also with RR (Riva-Rocci).
_OF_PRESSURE = (
    r"((n?ibp|bp|rr|ta|blood pressure|blutdruck|presi[óo]n( arterial)?|"
    r"(pression|tension)( art[ée]rielle)?|pressione( arteriosa)?|press[ãa]o( arterial)?) )?"
)


def _plain_unit(text: str) -> str:
    """Return a unit in small letters without blanks and marks, of two like signs the one."""
    plain = unicodedata.normalize("NFKC", text.replace("˚", "°").replace("º", "°"))
    plain = plain.replace("−", "-").replace("µ", "u").replace("μ", "u")
    return re.sub(r"[\s_]+|(?<=[a-z])-(?=[a-z])", "", plain.lower())


class VitalKind(StrEnum):
    """The kind of a reading; ``spec`` has all of its properties."""

    HEART_RATE = "heart_rate"
    SYSTOLIC = "systolic"
    DIASTOLIC = "diastolic"
    MEAN_ARTERIAL = "mean_arterial"
    RR_INTERVAL = "rr_interval"
    OXYGEN_SATURATION = "oxygen_saturation"
    SKIN_TEMPERATURE = "skin_temperature"
    RESPIRATION_RATE = "respiration_rate"
    BODY_TEMPERATURE = "body_temperature"
    SKIN_CONDUCTANCE = "skin_conductance"
    BLINK_RATE = "blink_rate"
    BLINK_DURATION = "blink_duration"
    BODY_MOTION = "body_motion"

    @property
    def spec(self) -> VitalSpec:
        """The properties of this kind."""
        return SPECS[self]

    @property
    def unit(self) -> str:
        """The UCUM unit in which values of this kind are kept."""
        return SPECS[self].unit

    @property
    def plausible(self) -> tuple[float, float]:
        """The range outside which a reading is flagged ``out_of_range``; it is never dropped."""
        return SPECS[self].plausible


class UnitConversion(NamedTuple):
    """A conversion of a number to the unit that is kept: ``number · factor + offset``.

    Of a resistance, of which the kept unit is the inverse, ``factor / number + offset``.
    """

    factor: float = 1.0
    offset: float = 0.0
    is_inverse: bool = False

    def convert(self, number: float) -> float:
        """Return the number in the unit that is kept; of no resistance, infinity."""
        if self.is_inverse:
            return self.factor / number + self.offset if number else math.inf
        return number * self.factor + self.offset


class Loinc(NamedTuple):
    """A LOINC code with its name, as FHIR wants them."""

    code: str
    display: str


class AnalysisOption(StrEnum):
    """The options of an analysis, ``lag_…``, ``bound_…`` and ``settling_…``, that a kind obeys."""

    HEART_RATE = "heart_rate"
    PRESSURE = "pressure"


@dataclass(frozen=True, slots=True, kw_only=True)
class VitalSpec:
    """The properties of one kind of vital sign.

    Attributes:
        label: its name for people, as at the start of a sentence.
        short: its name if space is short, such as in a chart; empty: the label.
        unit: the UCUM unit of stored values.
        unit_shown: the same unit as people write it.
        decimals: number of decimals on pages.
        plausible: least and largest value that is not flagged ``out_of_range``.
        possible: least and largest value that is accepted; values outside cannot be a measurement
            and are refused.
        units: names of units that senders may use, in lower case, with their conversions. Without
            a unit, the value is in ``unit``.
        unit_needed: whether a sender must give the unit, because two are usual.
        unit_choices: units offered when a person imports a file; empty: there is no choice.
        headers: regular expression of the names that columns of a CSV file have, in lower case
            and without punctuation.
        stream: whether it is sent continuously (a strap), so that a silence is a loss; a cuff
            sends only when somebody measures.
        per_second: readings a second that are kept of a stream or a file with more samples: their
            means.
        moved: whether a movement of the wearer can change it, by the body or by its sensor.
        window_s: seconds before its time of which a reading is the count; 0: it is of its instant.
        lag_s: seconds by which it usually follows an expression.
        settling_s: seconds at the start of a stimulus in which it still depends on the time before:
            the time that the body, or the instrument, needs to respond.
        bound: the smallest difference of interest, in ``unit``; ``None``: it is not tested.
        tested_by_default: whether an analysis tests it by default.
        option: the options of an analysis that set lag, bound and settling; ``None``: the values
            above apply.
        definition: what it is, in words; used with our own code if LOINC has none.
        loinc: its codes, the first is that of the FHIR profile; empty: our own code.
        fhir_profile: the FHIR R4 profile of its observations; ``None``: none.
        device_class: its device class in Home Assistant; ``None``: none.
        state_class: how Home Assistant may summarise it.
        lsl_type: content type of its stream in the Lab Streaming Layer.
        apple: its quantity type in an export of Apple Health, without the prefix.
        withings: files of a Withings export with its values, each a series of start, duration and
            value.
        embraceplus: its column in the tables of minutes of EmbracePlus.
        fit: messages of the FIT profile that contain it, each with the field.
        edf: name of its signal in an EDF+ file, at most 14 characters; a standard text of EDF+ if
            there is one.
        colour: the CSS variable of its lines; the same name with ``-band`` is that of its bands.
        tile: title of its tile on the live page; kinds with the same title share one.
        panel: title of its panel on the trends page; kinds with the same title share one. Empty:
            it is not drawn there.
        by_hand: whether a person can enter it.
        simulated: whether the simulated person has it.
    """

    label: str
    definition: str
    unit: str
    unit_shown: str
    plausible: tuple[float, float]
    units: Mapping[str, UnitConversion]
    headers: str
    lag_s: float
    settling_s: float
    colour: str
    tile: str
    short: str = ""
    decimals: int = 0
    possible: tuple[float, float] = (-math.inf, math.inf)
    unit_needed: bool = False
    unit_choices: tuple[str, ...] = ()
    stream: bool = False
    per_second: int = 1
    moved: bool = True
    window_s: float = 0.0
    bound: float | None = None
    tested_by_default: bool = False
    option: AnalysisOption | None = None
    loinc: tuple[Loinc, ...] = ()
    fhir_profile: str | None = None
    device_class: str | None = None
    state_class: str = "measurement"
    lsl_type: str = "Vitals"
    apple: str = ""
    withings: tuple[str, ...] = ()
    embraceplus: str = ""
    fit: tuple[tuple[str, str], ...] = ()
    edf: str = ""
    panel: str = ""
    by_hand: bool = False
    simulated: bool = False

    @property
    def name_in_text(self) -> str:
        """The label inside a sentence: ``heart rate``, ``RR interval``."""
        if self.label[:2].isupper():
            return self.label
        return self.label[0].lower() + self.label[1:]

    @property
    def short_name(self) -> str:
        """The short name, such as for a chart."""
        return self.short or self.name_in_text

    @property
    def held_s(self) -> float:
        """Seconds for which a reading is the value of the samples that follow it, in a recording
        at an even rate: of a count until the next one.
        """
        return self.window_s + _LATE_S if self.window_s else _HELD_S

    @property
    def tested(self) -> bool:
        """Whether its means can be compared between states."""
        return self.bound is not None

    def scale_of(self, unit: str) -> UnitConversion | None:
        """Return the conversion of a unit, however it is spelt; ``None``: it is none of this kind.

        Example:
            >>> VitalKind.HEART_RATE.spec.scale_of("count/min")
            UnitConversion(factor=1.0, offset=0.0, is_inverse=False)
        """
        return self.units.get(self._name_of(unit))

    def _name_of(self, unit: str) -> str:
        """Return the name by which ``units`` and physics know a unit, however it is spelt."""
        if unit.strip().lower() in self.units:
            return unit.strip().lower()
        plain = _plain_unit(unit)
        if plain in self.units or len(plain) > _LONGEST_UNIT:
            return plain
        forms = _SPELLINGS.get(self.unit, {}).items()
        return next((name for form, name in forms if re.fullmatch(form, plain)), plain)

    def scale_of_stream(self, unit: str) -> UnitConversion | None:
        """Return the conversion of a unit of a laboratory's stream; ``None``: it is none.

        Streams also have the units of physics. Files do not: there, K and Hz are parts of names.

        Example:
            >>> VitalKind.HEART_RATE.spec.scale_of_stream("Hz")
            UnitConversion(factor=60.0, offset=0.0, is_inverse=False)
        """
        return self.scale_of(unit) or _OF_PHYSICS.get((self.unit, self._name_of(unit)))

    @property
    def stream_units(self) -> list[str]:
        """The units that ``scale_of_stream`` knows, without other spellings."""
        return [*self.units, *(name for unit, name in _OF_PHYSICS if unit == self.unit)]

    def is_possible(self, value: float) -> bool:
        """Return whether a value can be a measurement at all."""
        low, high = self.possible
        return low <= value <= high


_MMHG = {"mm[hg]": UnitConversion(), "mmhg": UnitConversion(), "kpa": UnitConversion(MMHG_IN_KPA)}
FAHRENHEIT = UnitConversion(5 / 9, -160 / 9)
_DEGREES = dict.fromkeys(("cel", "°c", "c"), UnitConversion())
_DEGREES |= dict.fromkeys(("[degf]", "°f", "f"), FAHRENHEIT)
_OF_PHYSICS = {("Cel", "k"): UnitConversion(offset=-273.15), ("/min", "hz"): UnitConversion(60.0)}
_PER_MINUTE = {"/min": UnitConversion(), "1/min": UnitConversion(), "bpm": UnitConversion()}

_pressure = partial(
    VitalSpec,
    unit="mm[Hg]",
    unit_shown="mmHg",
    units=_MMHG,
    unit_choices=("mmHg", "kPa"),
    lag_s=45.0,  # a cuff has inflated for most of a minute before it gives its value
    settling_s=30.0,  # a fast cuff's own time: an earlier value began before the stimulus
    bound=5.0,
    option=AnalysisOption.PRESSURE,
    fhir_profile="bp",
    # None of Home Assistant's classes: where its units are American, it would show a pressure in
    # inches of mercury.
)

# ω is the lower case of Ω, of the Greek letter as of the sign of the ohm
_CONDUCTANCE: Mapping[str, UnitConversion] = {
    **dict.fromkeys((*(f"{micro}s" for micro in _MICRO), "microsiemens"), UnitConversion()),
    **dict.fromkeys(
        (*(f"{micro}mho" for micro in _MICRO), "micromho", "micromhos"), UnitConversion()
    ),
    **dict.fromkeys(("ns", "nanosiemens"), UnitConversion(0.001)),
    **dict.fromkeys(("ms", "millisiemens"), UnitConversion(1000.0)),
    **dict.fromkeys(("s", "siemens", "mho", "mhos"), UnitConversion(1e6)),
    **dict.fromkeys(("kω", "kohm", "kohms", "kiloohm"), UnitConversion(1000.0, is_inverse=True)),
    **dict.fromkeys(("ω", "ohm", "ohms"), UnitConversion(1e6, is_inverse=True)),
}

# The first five kinds have no limits of what is possible: values that were once accepted still are.
SPECS: Mapping[VitalKind, VitalSpec] = {
    VitalKind.HEART_RATE: VitalSpec(
        label="Heart rate",
        definition="Beats of the heart in a minute",
        unit="/min",
        unit_shown="/min",
        plausible=(25.0, 250.0),
        units=_PER_MINUTE,
        withings=(
            "raw_hr_hr.csv",
            "raw_bed_hr.csv",
            "raw_sleep-monitor_hr.csv",
            "raw_tracker_hr.csv",
        ),
        embraceplus="pulse_rate_bpm",
        headers=(
            r"hr|bpm|beats per minute|pulse?( rate)?|heart ?rate|pul|puls(schlag|frequenz)"
            r"|herz(frequenz|schlag)|hart(slag|frequentie)|hjert(e|er)frekvens|pulso|pulsaciones"
            r"|fc|fr[ée]quence cardiaque|fre(cuencia|quenza|qu[êe]ncia) card[ií]aca|pouls|polso"
            r"|battit[oi]|batimentos( card[ií]acos)?|脈拍数?|心拍数?|脉搏|脈搏|脉率|心率"
        ),
        stream=True,
        lag_s=5.0,  # heart rate follows an expression by seconds
        # It turns within a beat or two where the vagus slows or frees it; by the sympathetic nerve
        # it begins after 1 to 3 s and has a time constant of some seconds to 20 s (Mokrane &
        # Nadeau 1998, Am J Physiol 275:H995-H1001, with the older figures that they cite).
        settling_s=10.0,
        bound=5.0,
        tested_by_default=True,
        option=AnalysisOption.HEART_RATE,
        loinc=(Loinc("8867-4", "Heart rate"),),
        fhir_profile="heartrate",
        colour="--vital-heart-rate",
        tile="Heart rate",
        panel="Heart rate",
        by_hand=True,
        simulated=True,
        edf="HR",
        apple="HeartRate",
        fit=(("record", "heart_rate"), ("monitoring", "heart_rate")),
    ),
    VitalKind.SYSTOLIC: _pressure(
        label="Systolic pressure",
        definition="Highest blood pressure of a beat",
        short="systolic",
        plausible=(50.0, 250.0),
        headers=(
            _OF_PRESSURE + r"(sys|syst|systol(ic|isch|iskt?|e|ique)|sist[óo]lic[ao]|sist)"
            r"( bp| pressure| blood pressure)?|sbp|pas"
            r"|最[高大]血圧|収縮期血圧|收缩压|收縮壓|高压|高壓"
        ),
        tested_by_default=True,
        loinc=(Loinc("8480-6", "Systolic blood pressure"),),
        colour="--vital-systolic",
        tile="Blood pressure",
        panel="Blood pressure",
        by_hand=True,
        simulated=True,
        apple="BloodPressureSystolic",
    ),
    VitalKind.DIASTOLIC: _pressure(
        label="Diastolic pressure",
        definition="Lowest blood pressure of a beat",
        short="diastolic",
        plausible=(30.0, 160.0),
        headers=(
            _OF_PRESSURE + r"(dia|diast|diastol(ic|isch|iskt?|e|ique)|diast[óo]lic[ao])"
            r"( bp| pressure| blood pressure)?|dbp|pad"
            r"|最[低小]血圧|拡張期血圧|舒张压|舒張壓|低压|低壓"
        ),
        tested_by_default=True,
        loinc=(Loinc("8462-4", "Diastolic blood pressure"),),
        colour="--vital-diastolic",
        tile="Blood pressure",
        panel="Blood pressure",
        by_hand=True,
        simulated=True,
        apple="BloodPressureDiastolic",
    ),
    VitalKind.MEAN_ARTERIAL: _pressure(
        label="Mean arterial pressure",
        definition="Mean blood pressure of a beat",
        plausible=(30.0, 200.0),
        headers=(
            r"map|mean( arterial)?( pressure)?|mad|pam|presi[óo]n arterial media"
            r"|pression art[ée]rielle moyenne|pressione arteriosa media"
            r"|press[ãa]o arterial m[ée]dia|平均(動脈)?血圧|平均动脉压|平均動脈壓"
        ),
        loinc=(Loinc("8478-0", "Mean blood pressure"),),
        colour="--vital-systolic",
        tile="Mean arterial pressure",
        simulated=True,
    ),
    VitalKind.RR_INTERVAL: VitalSpec(
        label="RR interval",
        definition="Interval between two heart beats",
        unit="s",
        unit_shown="s",
        decimals=2,
        plausible=(0.24, 2.4),
        units={"s": UnitConversion(), "ms": UnitConversion(0.001)},
        unit_needed=True,
        unit_choices=("s", "ms"),
        headers=(
            r"rr( ?-? ?intervals?)?|pp ?-? ?intervals?|ppi|ibi|nn|interval(lo|le|o)s? rr"
            r"|rr ?(間隔|间期)"
        ),
        stream=True,
        lag_s=5.0,
        settling_s=10.0,  # as heart rate
        option=AnalysisOption.HEART_RATE,
        device_class="duration",
        colour="--vital-heart-rate",
        tile="RR interval",
        edf="RR",
    ),
    VitalKind.OXYGEN_SATURATION: VitalSpec(
        label="Oxygen saturation",
        definition="Share of haemoglobin in arterial blood that carries oxygen",
        unit="%",
        unit_shown="%",
        plausible=(70.0, 100.0),
        possible=(0.0, 100.0),
        units={"%": UnitConversion(), "share": UnitConversion(100.0)},
        unit_choices=("%", "share"),
        withings=("raw_spo2_auto_spo2.csv",),
        headers=(
            r"sp ?o ?2|sa ?o ?2|o2 ?sat(uration)?|(blood )?oxygen( saturation| level)?"
            r"|sauerstoff(sättigung)?|zuurstof(saturatie)?|saturaci[óo]n( de ox[ií]geno)?"
            r"|saturation( en oxyg[èe]ne)?|saturazione( di ossigeno)?"
            r"|satura[çc][ãa]o( de oxig[êe]nio)?|血氧(饱和度|飽和度)?|(血中)?酸素(飽和度|濃度)"
        ),
        lag_s=20.0,  # blood takes 10 to 30 s from the lung to the finger
        settling_s=30.0,  # until the last of it has arrived
        bound=4.0,  # the error that ISO 80601-2-61 allows a pulse oximeter
        loinc=(
            Loinc("2708-6", "Oxygen saturation in Arterial blood"),
            Loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
        ),
        fhir_profile="oxygensat",
        colour="--vital-violet",
        tile="Oxygen saturation",
        panel="Oxygen saturation",
        edf="SaO2",
        apple="OxygenSaturation",
        fit=(("spo2_data", "reading_spo2"),),
    ),
    VitalKind.SKIN_TEMPERATURE: VitalSpec(
        label="Skin temperature",
        definition="Temperature of the skin where the sensor is",
        unit="Cel",
        unit_shown="°C",
        decimals=1,
        plausible=(15.0, 42.0),
        possible=(0.0, 60.0),
        units=_DEGREES,
        unit_choices=("°C", "°F"),
        embraceplus="temperature_celsius",
        headers=(
            r"skin ?temp(erature)?|temp(erature)? ?skin|hauttemperatur|huidtemperatuur"
            r"|temperatura (de la piel|d(a|ella) pel(e|le))|temp[ée]rature (de la )?peau"
            r"|皮膚温度?|皮肤温度|皮膚溫度"
        ),
        lag_s=20.0,  # vessels of the skin narrow and widen over a quarter to half a minute
        # A fingertip begins to cool some 15 s after its vessels have narrowed (Kistler, Mariauzouls
        # & von Berlepsch 1998, Int J Psychophysiol 29:35-41) and goes on for minutes.
        settling_s=60.0,
        bound=0.3,  # the error that ISO 80601-2-56 allows a thermometer
        loinc=(Loinc("61008-9", "Body surface temperature"),),
        device_class="temperature",
        colour="--vital-amber",
        tile="Skin temperature",
        panel="Skin temperature",
        edf="Temp skin",
    ),
    VitalKind.RESPIRATION_RATE: VitalSpec(
        label="Respiration rate",
        definition="Breaths in a minute",
        unit="/min",
        unit_shown="/min",
        plausible=(4.0, 60.0),
        possible=(0.0, 200.0),
        units={
            "/min": UnitConversion(),
            "1/min": UnitConversion(),
            "rpm": UnitConversion(),
            "brpm": UnitConversion(),
        },
        # "respiratory" and "breathing" alone are a belt's waveform as often as a rate
        withings=("raw_bed_respiratory-rate.csv", "raw_sleep-monitor_respiratory-rate.csv"),
        embraceplus="respiratory_rate_brpm",
        headers=(
            r"(resp(irat(ion|ory))?|breath(s|ing)?) rate|br|atemfrequenz|ademfrequentie"
            r"|fr[ée]quence respiratoire|fre(cuencia|quenza|qu[êe]ncia) respirat[óo]ria"
            r"|呼吸(数|率|频率|頻率)"
        ),
        lag_s=10.0,  # a rate takes some breaths to be counted
        settling_s=15.0,  # four breaths at 16 a minute
        bound=2.0,  # no standard: what makers of monitors commonly state
        loinc=(Loinc("9279-1", "Respiratory rate"),),
        fhir_profile="resprate",
        colour="--vital-green",
        tile="Respiration rate",
        panel="Respiration rate",
        edf="Resp rate",
        apple="RespiratoryRate",
        fit=(("respiration_rate", "respiration_rate"),),
    ),
    VitalKind.BODY_TEMPERATURE: VitalSpec(
        label="Body temperature",
        definition="Temperature inside the body, or of a place that stands for it, as the armpit",
        unit="Cel",
        unit_shown="°C",
        decimals=1,
        # from severe hypothermia (28 °C) to the end of a clinical thermometer's scale (43 °C)
        plausible=(28.0, 43.0),
        # from the coldest to the hottest that anybody is known to have survived: 13.7 °C (Gilbert
        # et al. 2000, Lancet 355:375-376) and 46.5 °C (Slovis et al. 1982, Ann Emerg Med 11:269-
        # 271), with a little beside; 98.6 without its °F is refused
        possible=(10.0, 50.0),
        units=_DEGREES,
        unit_choices=("°C", "°F"),
        withings=("raw_core_body_temperature_Core body temperature.csv",),
        headers=(
            r"(body|core|oral|rectal|tympanic|axillary) ?temp(erature)?"
            r"|temp(erature)? ?(body|core|oral|rectal|tympanic|axillary)"
            r"|körper(kern)?temperatur|fieber|temperatura corp[oó]re?al?|lichaamstemperatuur"
            r"|temp[ée]rature corporelle|体温|體溫"
        ),
        # The core warms over minutes under strain (Oka 2015, Temperature 2:368-378); within one
        # stimulus it hardly follows an expression at all.
        lag_s=60.0,
        settling_s=60.0,  # a thermometer's own time in mouth or ear
        bound=0.3,  # the error that ISO 80601-2-56 allows a thermometer
        loinc=(Loinc("8310-5", "Body temperature"),),
        fhir_profile="bodytemp",
        device_class="temperature",
        colour="--vital-slate",
        tile="Body temperature",
        panel="Body temperature",
        by_hand=True,
        edf="Temp body",
        apple="BodyTemperature",
        fit=(("record", "core_temperature"),),
    ),
    VitalKind.SKIN_CONDUCTANCE: VitalSpec(
        label="Skin conductance",
        definition="Conductance of the skin between two electrodes, its level and its responses",
        unit="uS",
        unit_shown="µS",
        decimals=2,
        # below and above it is no skin: Kleckner et al. 2018, IEEE Trans Biomed Eng 65:1460-1467;
        # 60 itself is where instruments of that range clip
        plausible=(0.05, 59.99),
        # ten times the range of instruments, below 0 as well, where an amplifier's zero has moved;
        # nanosiemens without their unit are refused
        possible=(-1000.0, 1000.0),
        units=_CONDUCTANCE,
        unit_choices=("\u00b5S", "nS", "mS", "k\u03a9"),
        apple="ElectrodermalActivity",
        # "GSR" is as often a resistance, and "SCL" a list of symptoms
        embraceplus="eda_scl_usiemens",
        headers=(
            r"skin conductance( level)?|eda|electrodermal( activity)?"
            r"|haut(leitwert|leitfähigkeit)|huidgeleiding"
            r"|conductancia (de la piel|cut[áa]nea)|conductance cutan[ée]e"
        ),
        stream=True,
        # the fewest that show single responses: LEAST_HZ in dashboard/statistics/skin.py
        per_second=4,
        # A response begins 1 to 3 s after what raised it, rises for 1 to 3 s, and has half
        # recovered after 2 to 10 s; a level changes by 1 to 3 µS (Dawson, Schell & Filion 2007,
        # Handbook of Psychophysiology, 3rd ed., table 7.1): latency and rise together, two half
        # recoveries of 7 s, and the least change.
        lag_s=4.0,
        settling_s=15.0,
        bound=1.0,
        colour="--vital-ochre",
        tile="Skin conductance",
        panel="Skin conductance",
        edf="Skin cond",
    ),
    VitalKind.BLINK_RATE: VitalSpec(
        label="Blink rate",
        definition="Blinks of the eyes in a minute, of the ten seconds before",
        unit="/min",
        unit_shown="/min",
        decimals=1,
        # 17 a minute at rest, 4.5 while reading, 26 in conversation (Bentivoglio et al. 1997, Mov
        # Disord 12:1028-1034); the highest of ten seconds is what blinks of 0.5 s leave room for
        plausible=(0.0, 90.0),
        possible=(0.0, 600.0),
        units=_PER_MINUTE,
        headers=r"(eye ?)?blink(s|ing)?( rate| per min(ute)?)",
        moved=False,  # a camera counts it
        window_s=10.0,
        lag_s=0.0,  # a count is the sum of its own seconds
        settling_s=10.0,  # the window of a count that began before the stimulus
        bound=3.0,  # no standard: a fifth of the rate at rest
        colour="--vital-violet",
        tile="Blink rate",
        panel="Blink rate",
        edf="Blink rate",
    ),
    VitalKind.BLINK_DURATION: VitalSpec(
        label="Blink duration",
        definition="Time from the begin of a blink to its end, at a quarter of its height",
        unit="ms",
        unit_shown="ms",
        # shorter and longer ones are not counted: edge_agent/vitals/lids.py
        plausible=(60.0, 500.0),
        possible=(0.0, 10_000.0),
        units={"ms": UnitConversion(), "s": UnitConversion(1000.0)},
        unit_needed=True,
        unit_choices=("ms", "s"),
        moved=False,
        headers=r"(eye ?)?blink(s|ing)? (duration|length)",
        lag_s=0.0,
        settling_s=1.0,  # a blink that began before the stimulus
        bound=30.0,  # no standard: one frame at 30 a second
        device_class="duration",
        colour="--vital-violet",
        tile="Blink duration",
        panel="Blink duration",
        edf="Blink dur",
    ),
    VitalKind.BODY_MOTION: VitalSpec(
        label="Body motion",
        definition="Mean amplitude deviation of a worn sensor's acceleration, of the five seconds "
        "before",
        unit="m[g]",
        unit_shown="mg",
        decimals=1,
        # 3 mg lying, 27 to 29 mg where light activity begins, 1,609 mg running, of adolescents with
        # the sensor at the hip (Aittasalo et al. 2015, BMC Sports Sci Med Rehabil 7:18)
        plausible=(0.0, 2000.0),
        # the deviation of lengths from 0 to that of 16 g in each of three directions
        possible=(0.0, 14_000.0),
        units={
            "m[g]": UnitConversion(),
            "mg": UnitConversion(),
            "[g]": UnitConversion(1000.0),
            "g": UnitConversion(1000.0),
        },
        unit_needed=True,
        unit_choices=("mg", "g"),
        headers=r"body ?motion|mean amplitude deviation",
        stream=True,
        moved=False,  # it is the movement
        lag_s=0.0,  # it is of its own seconds
        settling_s=5.0,  # the epoch that began before the stimulus
        window_s=5.0,
        bound=10.0,  # no standard: less than half of the way from lying to light activity
        colour="--vital-slate",
        tile="Body motion",
        panel="Body motion",
        edf="Body motion",
    ),
}
# The kinds that one measurement of a cuff gives together.
PRESSURES = tuple(kind for kind, spec in SPECS.items() if spec.fhir_profile == "bp")
# The kinds whose means can be compared between states.
TESTED = tuple(kind for kind, spec in SPECS.items() if spec.tested)


class SensorKind(StrEnum):
    """The kind of a Bluetooth sensor, by the service that it offers."""

    HEART_RATE = "heart_rate"
    BLOOD_PRESSURE = "blood_pressure"
    PULSE_OXIMETER = "pulse_oximeter"
    THERMOMETER = "thermometer"


@dataclass(frozen=True, slots=True)
class SensorState:
    """The state of a Bluetooth sensor.

    Attributes:
        source: as in its readings.
        kind: what it measures.
        connected: whether it is connected now.
        battery_percent: last reported charge of its battery; ``None``: never reported.
        contact: whether it touches the skin; ``None``: not connected, or it cannot detect that.
        reason: why it could not be connected, a short word for programs; ``None`` once it was.
        problem: the same with the cure, for people.
    """

    source: str
    kind: SensorKind
    connected: bool = False
    battery_percent: int | None = None
    contact: bool | None = None
    reason: str | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class FoundSensor:
    """A strap or cuff that a scan found, for people and for the configuration.

    Attributes:
        address: Bluetooth address, for the configuration.
        name: its own name.
        rssi: strength of its signal in dBm, nearer to 0 is stronger; ``None`` while it is
            connected.
        services: UUIDs of its services.
        kinds: the kinds of sensor among them that we support.
        battery_percent: charge of its battery; ``None``: not reported.
        connected: whether it is already connected to this machine, for example by the agent.
    """

    address: str
    name: str | None
    rssi: int | None
    services: tuple[str, ...]
    kinds: tuple[SensorKind, ...]
    battery_percent: int | None = None
    connected: bool = False

    def with_battery(self, percent: int) -> FoundSensor:
        """Return the same sensor with a charge."""
        return replace(self, battery_percent=percent)

    def config_line(self, kind: SensorKind) -> str:
        """Return the line for ``devices`` in the configuration."""
        return f'{{ address = "{self.address}", kind = "{kind}" }},'
