"""The page of a model, ``docs/models/NAME.md``: a pure function of its card.

So the two cannot disagree.

The words stand in ``model_page.md``; here the card's figures become the tables in them.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from string import Template

from edge_agent.vision.models.card import ModelCard
from training.data.datasets import EXPRESSIONS, FER2013
from training.measuring.calibration import ALLOWED_ERROR, BINS, CERTAINTY, FIRST_THRESHOLD
from training.measuring.evaluate import PROTOCOLS
from training.measuring.robustness import CHANGES, Change, Group

USAGE = "PublicTest"
"""The split that the page speaks of."""
FILE = "file"
SPEED = "speed, "
"""Beginning of the splits of a card that say how long one inference takes.

The processor follows.
"""

PHOTOGRAPHS = "photographs"
"""The split of a card that holds what the whole chain makes of photographs.

Those of its categories begin with it.
"""

_WORDS = Path(__file__).with_name("model_page.md")
_NOTHING = "–"

Figures = dict[str, int | float]


def page_text(card: ModelCard) -> str:
    """The page in Markdown. A figure that the card does not have is shown as a dash."""
    answers = _of(card, f"{USAGE}, answered")
    return Template(_WORDS.read_text(encoding="utf-8")).substitute(
        name=card.name,
        version=card.version,
        description=card.description,
        license=card.license,
        sha256=card.sha256,
        data=", ".join(card.training.data),
        usage=USAGE,
        bins=BINS,
        temperature=card.temperature,
        uncertain_below=card.uncertain_below,
        allowed=_percent(ALLOWED_ERROR),
        certainty=_percent(CERTAINTY),
        first=f"{FIRST_THRESHOLD:.2f}",
        bound=_share(_of(card, f"{USAGE}, half A"), "answered_error_bound"),
        coverage=_share(answers, "coverage"),
        answered=_share(answers, "accuracy"),
        coverage_of_all=_share(answers, "coverage_of_all"),
        facts=_facts(card),
        right=_right(card),
        categories=_categories(card),
        halves=_halves(card),
        photographs=_photographs(card),
        robustness=_robustness(card),
        limits="\n".join(f"- {limit}" for limit in card.limits),
        training=_training(card),
    )


def _facts(card: ModelCard) -> str:
    speeds = {
        name.removeprefix(SPEED): one
        for name, one in card.metrics.items()
        if name.startswith(SPEED)
    }
    size = card.metrics.get(FILE, {}).get("bytes")
    rows = [
        (
            "file",
            f"`{card.file}`" + ("" if size is None else f", {size / 1e6:.2f} MB ({size:,} bytes)"),
        ),
        (
            "input",
            f"{card.input.width} × {card.input.height} {card.input.color}, crop `{card.crop}`",
        ),
        *(("output", f"`{one.name}`, {' × '.join(map(str, one.shape))}") for one in card.outputs),
        ("multiply-adds", f"{card.multiply_adds / 1e6:.1f} million"),
        ("parameters", f"{card.parameters / 1e6:.2f} million"),
        *(
            (
                f"one face, one thread, {name}",
                f"{one['milliseconds']:.2f} ms (median of {one['runs']:.0f} runs)",
            )
            for name, one in speeds.items()
        ),
        ("temperature", f"{card.temperature}"),
        ("uncertain below", f"{card.uncertain_below}"),
        ("SHA-256", f"`{card.sha256}`"),
    ]
    return _table(("", ""), rows)


def _right(card: ModelCard) -> str:
    names = _protocols(card)
    whole = _of(card, USAGE)
    exact = _of(card, f"{USAGE}, float")
    fresh = _of(card, f"{USAGE}, without copies")
    rows = [
        ("pictures", *(_count(whole, f"{name}_n") for name in names)),
        ("**accuracy, int8**", *(f"**{_share(whole, f'{name}_accuracy')}**" for name in names)),
        (
            "accuracy of the network before int8",
            *(_share(exact, f"{name}_accuracy") for name in names),
        ),
        ("points lost by int8", *(_lost(exact, whole, f"{name}_accuracy") for name in names)),
        ("macro F1, int8", *(_number(whole, f"{name}_macro_f1") for name in names)),
        (
            "macro F1 of the network before int8",
            *(_number(exact, f"{name}_macro_f1") for name in names),
        ),
        ("pictures without copies", *(_count(fresh, f"{name}_n") for name in names)),
        ("accuracy without copies", *(_share(fresh, f"{name}_accuracy") for name in names)),
        (
            "expected calibration error",
            *(_number(whole, f"{name}_calibration_error") for name in names),
        ),
    ]
    return _table(("", *(PROTOCOLS[name] for name in names)), rows)


def _categories(card: ModelCard) -> str:
    parts = []
    for protocol, labels in (("ferplus", EXPRESSIONS), ("fer2013", FER2013)):
        title = PROTOCOLS[protocol]
        figures_of = {label: _of(card, f"{USAGE}, {title}, {label}") for label in labels}
        there = [label for label, one in figures_of.items() if one.get("n")]
        if not there:
            continue
        weakest = sorted((figures_of[label]["recall"], label) for label in there)[:2]
        named = " and ".join(
            f"**{label}** ({_share(figures_of[label], 'recall')} of them found)"
            for _, label in weakest
        )
        rows = [
            (label, *(_number(one, key) for key in ("precision", "recall", "f1")), _count(one, "n"))
            for label, one in figures_of.items()
        ]
        table = _table(("", "precision", "recall", "F1", "pictures"), rows)
        picture = f"![Confusion matrix, {title}]({card.name}/confusion-{protocol}.png)"
        parts.append(f"### {title}\n\nWeakest: {named}.\n\n{table}\n\n{picture}")
    return "\n\n".join(parts)


def _halves(card: ModelCard) -> str:
    rows = []
    for name in "AB":
        half = _of(card, f"{USAGE}, half {name}")
        right = _share(half, "accuracy")
        error = _number(half, "calibration_error")
        given = _share(half, "answered")
        of_these = _share(half, "answered_accuracy")
        bound = _share(half, "answered_error_bound")
        seven = _share(half, "fer2013_accuracy")
        cells = (right, error, given, of_these, bound, seven)
        rows.append((f"half {name}", _count(half, "n"), *cells))
    columns = (
        "pictures",
        "accuracy",
        "calibration error",
        "answered",
        "right of these",
        "wrong of these, at most",
        "FER2013 accuracy",
    )
    return _table(("", *columns), rows)


def _photographs(card: ModelCard) -> str:
    whole = _of(card, PHOTOGRAPHS)
    if not whole:
        return "Not measured: what detector, crop and classifier make of photographs together."
    figures_of = {label: _of(card, f"{PHOTOGRAPHS}, {label}") for label in EXPRESSIONS}
    rows = [
        (label, *(_number(one, key) for key in ("precision", "recall", "f1")), _count(one, "n"))
        for label, one in figures_of.items()
        if one.get("n")
    ]
    return (
        "The agent's own detector, crop and classifier, one view of each face, on photographs "
        f"with one person's label each, which are noisy. In {_count(whole, 'found')} of "
        f"{_count(whole, 'n')} a face was found; {_share(whole, 'accuracy')} of all were read as "
        "labelled. A face that was not found counts as missed.\n\n"
    ) + _table(("", "precision", "recall", "F1", "photographs"), rows)


def _robustness(card: ModelCard) -> str:
    names = _protocols(card)
    whole = _of(card, USAGE)
    head = (
        "the picture is",
        *(cell for name in names for cell in (PROTOCOLS[name], "loses")),
        "exactly",
    )
    rows = [
        (
            "as it is",
            *(cell for name in names for cell in (_share(whole, f"{name}_accuracy"), "")),
            "",
        )
    ]
    for change in CHANGES:
        figures = _of(card, f"{USAGE}, {change.name}")
        if change.group == "harsh":
            marked = f"{change.name} (harsher)"
        else:
            marked = change.name
        cells = [
            (_share(figures, f"{name}_accuracy"), _number(figures, f"{name}_loss", 2))
            for name in names
        ]
        rows.append((marked, *(cell for pair in cells for cell in pair), change.does))
    lines = [
        f"- {PROTOCOLS[name]}: the worst row, covered faces and harsher light aside, is "
        f"{_worst(card, name, ('main',))}; with harsher light it is "
        f"{_worst(card, name, ('main', 'harsh'))}."
        for name in names
    ]
    return _table(head, rows) + "\n\n" + "\n".join(lines)


def _worst(card: ModelCard, protocol: str, groups: Sequence[Group]) -> str:
    def loss(change: Change) -> float:
        return _of(card, f"{USAGE}, {change.name}").get(f"{protocol}_loss", float("-inf"))

    worst = max((change for change in CHANGES if change.group in groups), key=loss)
    return (
        f"*{worst.name}* "
        f"({_number(_of(card, f'{USAGE}, {worst.name}'), f'{protocol}_loss', 2)} points)"
    )


def _training(card: ModelCard) -> str:
    how = card.training
    rows = [
        (
            "recipe",
            (
                f"`training/recipes/{how.recipe}`, seed {how.seed}, {how.epochs} epochs, "
                f"{how.date.isoformat()}"
            ),
        )
    ]
    if how.teacher is not None:
        rows.append(("teachers", how.teacher))
    hours = {"time of this run": how.hours, "time of the teachers' runs": how.teacher_hours}
    rows += [(name, f"{value:.1f} hours") for name, value in hours.items() if value is not None]
    spent = sum(value for value in hours.values() if value is not None)
    if how.watts is not None and spent:
        energy = spent * how.watts / 1000
        rows.append(
            (
                "energy, estimated",
                f"{energy:.2f} kWh ({spent:.1f} h × {how.watts:.0f} W; not metered)",
            )
        )
    return _table(("", ""), rows) + ("" if spent else "\n\nIts time and energy were not recorded.")


def _protocols(card: ModelCard) -> list[str]:
    return [name for name in PROTOCOLS if f"{name}_n" in _of(card, USAGE)]


def _of(card: ModelCard, split: str) -> Figures:
    return card.metrics.get(split, {})


def _share(figures: Figures, key: str) -> str:
    if key in figures:
        return f"{100 * figures[key]:.2f} %"
    return _NOTHING


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def _number(figures: Figures, key: str, digits: int = 3) -> str:
    if key in figures:
        return f"{figures[key]:.{digits}f}"
    return _NOTHING


def _count(figures: Figures, key: str) -> str:
    if key in figures:
        return f"{figures[key]:,.0f}"
    return _NOTHING


def _lost(before: Figures, after: Figures, key: str) -> str:
    if key in before and key in after:
        return f"{100 * (before[key] - after[key]):.2f}"
    return _NOTHING


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))
