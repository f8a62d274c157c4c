"""The entry of the comparison: the tests, pictures and numbers of the page Analysis."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlencode

from dashboard.analysis.query import (
    DOUBTS,
    MOST_STATES,
    AnalysisQuery,
    HeartMeasure,
    Sample,
    SkinMeasure,
    StateBy,
    chosen_sessions,
    first_of_all,
    query_of,
    same_label,
)
from dashboard.analysis.readings.marked import marked_labels
from dashboard.analysis.rendering.light import LeftOutTable
from dashboard.analysis.rendering.numbers import bounds_text, flag_name, measure_name
from dashboard.analysis.results import AnalysisModel, TestGroup
from dashboard.charts.chart import Chart
from dashboard.languages.figures import number, p_text
from dashboard.languages.names import unit_of, vital_label
from dashboard.languages.templates import PageRecord
from dashboard.questions.basis import Basis
from dashboard.questions.comparison.computing import Sheet, answer, needs_faces, sheet
from dashboard.questions.comparison.table import TABLES
from dashboard.questions.entry import (
    Documented,
    Fields,
    OwnWay,
    PageOf,
    Question,
    QuestionPage,
    Way,
)
from edge_agent.core.errors import StatisticsError
from edge_agent.core.expression import Emotion
from edge_agent.core.measures import (
    ExpressionKind,
    Measure,
    MovementKind,
    RatingKind,
    offered_movements,
)
from edge_agent.core.readings import VitalFlag
from edge_agent.core.study import Session
from edge_agent.core.texts import N_
from edge_agent.core.vitals import TESTED, VitalKind
from edge_agent.timeline.read.reader import Reader

_OF_PAGE = frozenset({"whole", "offer"})


@dataclass(frozen=True, slots=True)
class OfferedMeasures:
    """Measures that the form offers together, with what must be known of them, in English."""

    title: str
    note: str
    kinds: tuple[Measure, ...]


@dataclass(frozen=True, slots=True)
class ComparisonPage(PageRecord):
    """The names of the page Analysis; those of the answer are ``None`` where there is none.

    Attributes:
        whole: whether folded parts and pictures are there.
        whole_address: where they are.
        choices_address: where the tables of other choices are, too.
        sessions: that the form offers.
        kinds: vitals that it offers.
        offered: groups of other measures that it offers.
        chooses: whether somebody asked for these groups.
        vital_label: names a measure.
        doubts: flags that may be asked to count.
        flag_name: names a flag.
        heart_names: each measure of heart-rate variability with its name.
        skin_names: each measure of skin conductance with its name.
        offered_states: states that the form offers.
        others: other labels with readings.
        others_address: the question about these.
        unasked: labels of stimuli that the question does not name.
        marked_address: the question about all labels of stimuli.
        most_states: as many states may be asked for.
        attributes: names of attributes of participants.
        settled: of each measure the start of a stimulus that is left out, seconds.
        response: the answer.
        digest: its short name.
        groups: the tests as text.
        left_out: what went into no test.
        charts: of the means.
        spreads: of the values of people.
        effects: of the effect sizes.
        variability: the answer about the heart rate's variability.
        skin: the answer about skin conductance.
        is_simulated: whether readings are.
        exported: the question as an export stores it.
        bounds: in words.
        number: writes a number.
        p_text: writes a p.
        unit_of: names a measure's unit.
    """

    template = "analysis.html"
    beside = (QuestionPage,)

    whole: bool
    whole_address: str
    choices_address: str
    sessions: Sequence[Session]
    kinds: list[VitalKind]
    offered: Sequence[OfferedMeasures]
    chooses: bool
    vital_label: Callable[[Measure], str]
    doubts: Collection[VitalFlag]
    flag_name: Callable[[VitalFlag], str]
    heart_names: Mapping[HeartMeasure, str]
    skin_names: Mapping[SkinMeasure, str]
    offered_states: list[str]
    others: list[str]
    others_address: str
    unasked: list[str]
    marked_address: str
    most_states: int
    attributes: list[str]
    settled: Mapping[Measure, float]
    response: AnalysisModel | None
    digest: str | None
    groups: tuple[TestGroup, ...] | None
    left_out: LeftOutTable | None
    charts: tuple[Chart, ...] | None
    spreads: tuple[Chart, ...] | None
    effects: Chart | None
    variability: str | None
    skin: str | None
    is_simulated: bool
    exported: str
    bounds: str
    number: Callable[..., str]
    p_text: Callable[..., str]
    unit_of: Callable[[Measure], str]


def basis(reader: Reader, response: AnalysisModel) -> Basis:
    """Return what the figures of the page are made of."""
    query = response.question
    used = set(response.sessions)
    return Basis(
        sessions=[one for one in reader.session_list() if one.id in used],
        people=response.participants,
        is_example=response.sample is Sample.EXAMPLE,
        simulated=response.simulated_readings > 0,
        of_faces=needs_faces(query),
    )


def fields(page: PageOf) -> ComparisonPage:
    """Return what the page shows: folded parts and pictures only with ``whole=yes``.

    They are many times larger than the rest, which is what a phone waits for, and no browser may
    keep them: the page's script asks for them when somebody opens one.
    """
    query, response = page.query, page.response
    question = [field for field in page.address if field[0] not in _OF_PAGE]
    without = [field for field in question if field[0] != "sensitivity"]
    options = dict(page.address)
    others = _other_labels(page.sheet)
    reader = page.reader
    marked = _marked_labels(query, reader)
    # Which have most readings chooses, and their order on the page is that of every other way.
    compared = [one for one in first_of_all([*marked, *others]) if one in others[:MOST_STATES]]
    unasked = [label for label in marked if query.state_of(label) is None]
    shown = page.sheet
    return ComparisonPage(
        whole=options.get("whole") == "yes",
        whole_address=f"/analysis?{urlencode(question)}&whole=yes".replace("?&", "?"),
        choices_address=f"/analysis?{urlencode([*without, ('sensitivity', 'true')])}&whole=yes",
        sessions=reader.session_list(),
        kinds=_offered_kinds(query, reader.recorded_kinds()),
        # Their names are a tenth of the page, and few questions need them.
        offered=_offered_groups(query, reader.has_movements())
        if _others_of(query) or "offer" in options
        else (),
        chooses="offer" in options,
        vital_label=vital_label,
        doubts=DOUBTS,
        flag_name=flag_name,
        heart_names={measure: measure_name(measure) for measure in HeartMeasure},
        skin_names={measure: measure_name(measure) for measure in SkinMeasure},
        offered_states=_offered_states(query, page.sheet, marked),
        others=others,
        others_address=_address_of(question, list(dict.fromkeys(compared))),
        unasked=unasked,
        marked_address=_address_of(_of_measured(question, query), list(first_of_all(marked))),
        most_states=MOST_STATES,
        attributes=sorted({name for own in reader.attributes().values() for name in own}),
        settled={kind: query.settling_s(kind) for kind in query.vital},
        response=response,
        digest=shown and shown.digest,
        groups=shown and shown.groups,
        left_out=shown and shown.left_out,
        charts=shown and shown.charts,
        spreads=shown and shown.spreads,
        effects=shown and shown.effects,
        variability=shown and shown.variability,
        skin=shown and shown.skin,
        is_simulated=response is not None and response.simulated_readings > 0,
        exported="" if response is None else _question_to_export(query, response.sample),
        bounds=bounds_text(query, "or"),
        number=number,
        p_text=p_text,
        unit_of=unit_of,
    )


def _question_of_page(fields: Fields) -> AnalysisQuery:
    """Return the question of an address; the tables of other choices, which take most of the time,
    only where it asks for them.

    Raises:
        pydantic.ValidationError: a field has a value that is not allowed.
    """
    entries = list(fields)
    if all(name != "sensitivity" for name, _ in entries):
        entries.append(("sensitivity", "false"))
    return query_of(entries)


def _question_to_export(query: AnalysisQuery, sample: Sample) -> str:
    """Return the question as an export takes it along: with the sessions that were looked at."""
    # Whether the page made the tables of other choices is no part of it.
    of_export = query.model_copy(update={"sample": sample, "sensitivity": True})
    return of_export.model_dump_json(exclude_defaults=True)


def _offered_kinds(query: AnalysisQuery, recorded: Collection[VitalKind]) -> list[VitalKind]:
    """Return the kinds that the form offers: heart rate, pressures, and recorded kinds."""
    return [kind for kind in TESTED if kind.spec.option or kind in recorded or kind in query.vital]


def _others_of(query: AnalysisQuery) -> list[Measure]:
    """Return the measures that are asked for and are no vital signs."""
    return [kind for kind in query.vital if not isinstance(kind, VitalKind)]


def _offered_groups(query: AnalysisQuery, has_movements: bool) -> list[OfferedMeasures]:
    """Return the measures that are no vital signs, in groups; movements where there are any."""
    groups = [
        OfferedMeasures(
            N_("Expressions of the face"),
            N_("What the classifier says, no feeling. By condition or self-report only."),
            tuple(ExpressionKind),
        ),
        OfferedMeasures(
            N_("Movements of the face"),
            N_("Estimates of a network, not coded by people. By condition or self-report only."),
            offered_movements(query.vital),
        ),
        OfferedMeasures(
            N_("Self-rated valence and arousal"), N_("By condition only."), tuple(RatingKind)
        ),
    ]
    return [
        group
        for group in groups
        if has_movements
        or not isinstance(group.kinds[0], MovementKind)
        or set(group.kinds) & set(query.vital)
    ]


def _offered_states(
    query: AnalysisQuery, sheet: Sheet | None, marked: Collection[str]
) -> list[str]:
    """Return the states that the form offers: those chosen, the emotions, other labels of stimuli
    with readings, and those of the measured sessions, whether or not readings count there.
    """
    every: list[str] = [*query.states, *Emotion]
    if sheet is not None:
        every += sheet.other_states
    every += marked
    offered: dict[str, str] = {}
    for label in every:
        # The first spelling stays, and the chosen states come first.
        offered.setdefault(same_label(label), label)
    return list(offered.values())


def _other_labels(sheet: Sheet | None) -> list[str]:
    """Return the other labels with readings, those with most readings first.

    A baseline is there to be taken away, not to be compared.
    """
    if sheet is None:
        return []
    counts = sheet.response.other_states
    labels = sorted(counts, key=lambda label: -counts[label])
    return [label for label in labels if same_label(label) != "baseline"]


def _marked_labels(query: AnalysisQuery, reader: Reader) -> list[str]:
    """Return the labels of the stimuli of the sessions that are asked for, in order of their first,
    without baselines. ``auto`` asks for the measured ones, whatever it shows.
    """
    if query.state is not StateBy.CONDITION:
        return []
    sample = Sample.MEASURED if query.sample is Sample.AUTO else query.sample
    try:
        sessions = chosen_sessions(reader.session_list(), sample, query.session)
    except StatisticsError:  # the page tells which session is missing
        return []
    return marked_labels(reader, sessions)


def _of_measured(question: list[tuple[str, str]], query: AnalysisQuery) -> list[tuple[str, str]]:
    """Return a question about measured sessions where it may be answered by the example."""
    if query.sample is not Sample.AUTO:
        return question
    return [field for field in question if field[0] != "sample"] + [("sample", "measured")]


def _address_of(question: list[tuple[str, str]], states: list[str]) -> str:
    """Return the same question about other states, as many as one may ask for; empty below two."""
    if len(states) < 2:
        return ""
    # A family names the states that are left out now.
    kept = [field for field in question if field[0] not in {"states", "family"}]
    chosen = [("states", label) for label in states[:MOST_STATES]]
    return f"/analysis?{urlencode(kept + chosen)}"


COMPARISON = Question(
    name="analysis",
    title=N_("Analysis"),
    position=50,
    query=AnalysisQuery,
    model=AnalysisModel,
    about=(
        "Return the family of tests with every number unrounded, the values tested, and the result "
        "in\nwords."
    ),
    answer=answer,
    sheet=sheet,
    basis=basis,
    fields=fields,
    of_page=_OF_PAGE,
    by_data=("states",),
    read=_question_of_page,
    own=(
        OwnWay(Way.COMMAND, "it also prints the question, the flow and everything", "analyse"),
        OwnWay(Way.BUNDLE, "its tables are those that a bundle has of itself"),
    ),
    documented=Documented(
        page="Analysis",
        shows=(
            "tests of two to six states, or of groups by an attribute, to print "
            "([statistics.md](statistics.md))"
        ),
    ),
    tables=TABLES,
)
