"""Card and page of a finished model: calibrate it, measure it, and write both.

The page ``docs/models/NAME.md`` is a pure function of the card, so the two cannot disagree. Its
words stand in ``model_page.md``; here the card's figures become the tables in them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from string import Template

import numpy as np

from edge_agent.vision.models.card import ModelCard, find_model
from edge_agent.vision.models.model import TFLiteModel, load_model
from training.data.apparent import Coding
from training.data.datasets import EXPRESSIONS, FER2013, Faces
from training.data.photographs import LabelledPhotographs
from training.data.readings import AgreedPhotographs
from training.errors import DataError, write_all, write_whole
from training.report.apparent import COMPARED, HALVES, OVER, GroupDifference, half_differences
from training.report.calibration import (
    CERTAINTY,
    best_temperature,
    choose_threshold,
    in_half_a,
    probabilities,
    risk_coverage,
)
from training.report.chain import CHAIN, ChainAnswers, measure_chain
from training.report.evaluate import PROTOCOLS, ProtocolAnswers, answers_by_protocol, run_model
from training.report.figures import artefacts
from training.report.measure import MeasuredModel, measure, speed_of
from training.report.photographs import ALL_THREE, FIVE, TWO, figures_by_agreement
from training.report.prior import ReadFaces, fitted_prior, with_prior
from training.report.robustness import CHANGES, Degradation, Group

log = logging.getLogger(__name__)

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

FITTED = f"{USAGE}, fitted prior"
"""Beginning of the splits of a card with the figures of the fitted prior on the same pictures."""
PRIORS = {"data": "the data's prior", "fitted": "the fitted prior"}

_WORDS = Path(__file__).with_name("model_page.md")
_NOTHING = "–"
_TITLE = PROTOCOLS["ferplus"]

Figures = dict[str, int | float]


def page_text(card: ModelCard) -> str:
    """Return the page in Markdown. A figure that the card does not have is shown as a dash."""
    answers = _figures_of(card, f"{USAGE}, answered")
    return Template(_WORDS.read_text(encoding="utf-8")).substitute(
        name=card.name,
        version=card.version,
        description=card.description,
        license=card.license,
        sha256=card.sha256,
        data=", ".join(card.training.data),
        usage=USAGE,
        temperature=card.temperature,
        uncertain_below=card.uncertain_below,
        certainty=_percent(CERTAINTY),
        bound=_share(_figures_of(card, f"{USAGE}, half A"), "answered_error_bound"),
        coverage=_share(answers, "coverage"),
        answered=_share(answers, "accuracy"),
        coverage_of_all=_share(answers, "coverage_of_all"),
        facts=_facts(card),
        right=_right(card),
        categories=_categories(card),
        halves=_halves(card),
        prior=_prior(card),
        photographs=_photographs(card),
        groups=_groups(card),
        robustness=_robustness(card),
        training=_training(card),
    )


def _facts(card: ModelCard) -> str:
    speeds = {
        name.removeprefix(SPEED): one
        for name, one in card.metrics.items()
        if name.startswith(SPEED)
    }
    size = card.metrics.get(FILE, {}).get("bytes")
    bytes_of = "" if size is None else f", {size / 1e6:.2f} MB ({size:,} bytes)"
    seen = f"{card.input.width} × {card.input.height} {card.input.color}, crop `{card.crop}`"
    rows = [
        ("file", f"`{card.file}`{bytes_of}"),
        ("input", seen),
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
    whole = _figures_of(card, USAGE)
    exact = _figures_of(card, f"{USAGE}, float")
    fresh = _figures_of(card, f"{USAGE}, without copies")

    def row(title: str, form: Callable[[Figures, str], str], of: Figures, key: str) -> list[str]:
        return [title, *(form(of, f"{name}_{key}") for name in names)]

    rows = [
        row("pictures", _count, whole, "n"),
        ["**accuracy, int8**", *(f"**{_share(whole, f'{name}_accuracy')}**" for name in names)],
        row("accuracy of the network before int8", _share, exact, "accuracy"),
        [
            "points lost by int8",
            *(_points_lost(exact, whole, f"{name}_accuracy") for name in names),
        ],
        row("macro F1, int8", _number, whole, "macro_f1"),
        row("macro F1 of the network before int8", _number, exact, "macro_f1"),
        row("pictures without copies", _count, fresh, "n"),
        row("accuracy without copies", _share, fresh, "accuracy"),
        row("expected calibration error", _number, whole, "calibration_error"),
    ]
    return _table(("", *(PROTOCOLS[name] for name in names)), rows)


def _categories(card: ModelCard) -> str:
    parts = []
    for protocol, labels in (("ferplus", EXPRESSIONS), ("fer2013", FER2013)):
        title = PROTOCOLS[protocol]
        figures_of = {label: _figures_of(card, f"{USAGE}, {title}, {label}") for label in labels}
        there = [label for label, one in figures_of.items() if one.get("n")]
        if not there:
            continue
        weakest = sorted((figures_of[label]["recall"], label) for label in there)[:2]
        named = " and ".join(
            f"**{label}** ({_share(figures_of[label], 'recall')} of them found)"
            for _, label in weakest
        )
        table = _by_category(figures_of, "pictures")
        picture = f"![Confusion matrix, {title}]({card.name}/confusion-{protocol}.png)"
        parts.append(f"### {title}\n\nWeakest: {named}.\n\n{table}\n\n{picture}")
    return "\n\n".join(parts)


def _halves(card: ModelCard) -> str:
    rows = []
    for name in "AB":
        half = _figures_of(card, f"{USAGE}, half {name}")
        cells = (_count(half, "n"), _share(half, "accuracy"), _number(half, "calibration_error"))
        kept = ("answered", "answered_accuracy", "answered_error_bound", "fer2013_accuracy")
        rows.append((f"half {name}", *cells, *(_share(half, key) for key in kept)))
    columns = (
        *("", "pictures", "accuracy", "calibration error", "answered", "right of these"),
        *("wrong of these, at most", "FER2013 accuracy"),
    )
    return _table(columns, rows)


def _photographs(card: ModelCard) -> str:
    agreed = {
        _split_of(group, prior): f"{group}, {words}"
        for group in (ALL_THREE, TWO)
        for prior, words in PRIORS.items()
        if _figures_of(card, _split_of(group, prior))
    }
    if agreed:
        return _by_agreement(card, agreed)
    whole = _figures_of(card, PHOTOGRAPHS)
    if not whole:
        return "Not measured."
    figures_of = {label: _figures_of(card, f"{PHOTOGRAPHS}, {label}") for label in EXPRESSIONS}
    there = {label: one for label, one in figures_of.items() if one.get("n")}
    return (
        f"A face was found in {_count(whole, 'found')} of {_count(whole, 'n')} photographs; "
        f"{_share(whole, 'accuracy')} of all were read as labelled.\n\n"
    ) + _by_category(there, "photographs")


def _split_of(group: str, prior: str) -> str:
    """Return the split of a card that holds the figures of half B for one group of photographs."""
    return f"{PHOTOGRAPHS}, half B, {group}, {prior}"


def _by_agreement(card: ModelCard, agreed: Mapping[str, str]) -> str:
    """Return a row for each split of ``agreed``, which has their titles."""
    columns = ("accuracy", "mean_recall", "named", "named_accuracy")
    rows = [
        (
            title,
            _count(_figures_of(card, split), "n"),
            *(_share(_figures_of(card, split), key) for key in columns),
            *(_number(_figures_of(card, f"{split}, {name}"), "recall", 2) for name in FIVE),
        )
        for split, title in agreed.items()
    ]
    head = ("readers, prior", "photographs", "right", "mean recall", "named", "right of these")
    return _table((*head, *FIVE), rows)


def _groups(card: ModelCard) -> str:
    """Return a row for each comparison of `COMPARED`, prior and half that was measured."""
    rows = []
    for comparison in COMPARED:
        for half in HALVES.values():
            for prior, words in PRIORS.items():
                figures = _figures_of(card, f"{PHOTOGRAPHS}, {half}, {comparison}, {prior}")
                if figures:
                    faces = f"{_count(figures, 'first')}; {_count(figures, 'second')}"
                    counts = (faces, _count(figures, "categories"))
                    apart = (_points(figures, over) for over in OVER)
                    rows.append((f"{comparison}, {half}, {words}", *counts, *apart))
    if not rows:
        return "Not measured."
    return _table(("groups, photographs, prior", "faces", "categories compared", *OVER), rows)


def _points(figures: Mapping[str, float], over: str) -> str:
    """Return a mean difference with its interval, in points; a dash where there is none."""
    if over not in figures:
        return "–"
    return GroupDifference(*(figures[f"{over}{end}"] for end in ("", ", low", ", high"))).as_text()


def _prior(card: ModelCard) -> str:
    fitted = card.fitted_prior
    if fitted is None:
        return 'None was fitted: `vision.prior = "fitted"` reads with the data\'s prior.'
    data = _figures_of(card, USAGE)
    after = _figures_of(card, FITTED)
    biases = ", ".join(
        f"{name} {bias:+.2f}" for name, bias in zip(EXPRESSIONS, fitted.biases, strict=True)
    )
    recalls = [
        (
            name,
            _number(_figures_of(card, f"{USAGE}, {_TITLE}, {name}"), "recall"),
            _number(_figures_of(card, f"{FITTED}, {_TITLE}, {name}"), "recall"),
        )
        for name in EXPRESSIONS
    ]
    rows = [
        ("right", _share(data, "ferplus_accuracy"), _share(after, "ferplus_accuracy")),
        (
            "answered; of these right",
            *(
                f"{_share(one, 'coverage')}; {_share(one, 'accuracy')}"
                for one in (
                    _figures_of(card, f"{USAGE}, answered"),
                    _figures_of(card, f"{FITTED}, answered"),
                )
            ),
        ),
        *((f"recall of {name}", before, now) for name, before, now in recalls),
    ]
    cost = _points_lost(data, after, "ferplus_accuracy")
    return (
        f"Probabilities are softmax((logits + biases) / {fitted.temperature}), and a face is "
        f"*uncertain* below **{fitted.uncertain_below}**. Biases: {biases}. On {USAGE} this prior "
        f"costs **{cost} points**:\n\n"
    ) + _table((_TITLE, *PRIORS.values()), rows)


def _by_category(figures_of: Mapping[str, Figures], counted: str) -> str:
    rows = [
        (label, *(_number(one, key) for key in ("precision", "recall", "f1")), _count(one, "n"))
        for label, one in figures_of.items()
    ]
    return _table(("", "precision", "recall", "F1", counted), rows)


def _robustness(card: ModelCard) -> str:
    names = _protocols(card)
    whole = _figures_of(card, USAGE)
    heads = (cell for name in names for cell in (PROTOCOLS[name], "loses"))
    cells = (cell for name in names for cell in (_share(whole, f"{name}_accuracy"), ""))
    head = ("the picture is", *heads)
    rows = [("as it is", *cells)]
    for change in CHANGES:
        figures = _figures_of(card, f"{USAGE}, {change.name}")
        marked = f"{change.name} (harsher)" if change.group == "harsh" else change.name
        cells = (
            cell
            for name in names
            for cell in (_share(figures, f"{name}_accuracy"), _number(figures, f"{name}_loss", 2))
        )
        rows.append((marked, *cells))
    lines = [
        f"- Worst row, {PROTOCOLS[name]}, without covers: {_worst(card, name, ('main',))}; "
        f"with harsher light: {_worst(card, name, ('main', 'harsh'))}."
        for name in names
    ]
    return _table(head, rows) + "\n\n" + "\n".join(lines)


def _worst(card: ModelCard, protocol: str, groups: Sequence[Group]) -> str:
    def loss(change: Degradation) -> float:
        return _figures_of(card, f"{USAGE}, {change.name}").get(f"{protocol}_loss", float("-inf"))

    worst = max((change for change in CHANGES if change.group in groups), key=loss)
    return (
        f"*{worst.name}* "
        f"({_number(_figures_of(card, f'{USAGE}, {worst.name}'), f'{protocol}_loss', 2)} points)"
    )


def _training(card: ModelCard) -> str:
    how = card.training
    day = how.date.isoformat()
    rows = [
        ("recipe", f"`training/recipes/{how.recipe}`, seed {how.seed}, {how.epochs} epochs, {day}")
    ]
    if how.teacher is not None:
        rows.append(("teachers", how.teacher))
    hours = {"time of this run": how.hours, "time of the teachers' runs": how.teacher_hours}
    rows += [(name, f"{value:.1f} hours") for name, value in hours.items() if value is not None]
    spent = sum(value for value in hours.values() if value is not None)
    if how.watts is not None and spent:
        energy = spent * how.watts / 1000
        estimate = f"{energy:.2f} kWh ({spent:.1f} h × {how.watts:.0f} W; not metered)"
        rows.append(("energy, estimated", estimate))
    return _table(("", ""), rows) + ("" if spent else "\n\nIts time and energy were not recorded.")


def _protocols(card: ModelCard) -> list[str]:
    return [name for name in PROTOCOLS if f"{name}_n" in _figures_of(card, USAGE)]


def _figures_of(card: ModelCard, split: str) -> Figures:
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


def _points_lost(before: Figures, after: Figures, key: str) -> str:
    if key in before and key in after:
        return f"{100 * (before[key] - after[key]):.2f}"
    return _NOTHING


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in (head, ["---"] * len(head), *rows))


def write_report(
    model: Path,
    faces: Faces,
    out: Path,
    *,
    photographs: LabelledPhotographs | None = None,
    agreement: AgreedPhotographs | None = None,
    coding: Coding | None = None,
    time_again: bool = False,
) -> Path:
    """Calibrate and measure ``NAME.tflite``, and write its card and its page.

    The card lies beside the model; the page goes into ``out``.

    Temperature and threshold come from half A of PublicTest and are checked on half B. The same
    file and faces give the same card and page; the milliseconds, which no two runs share, are
    measured once and then kept.

    Args:
        model: a TFLite file with its card beside it.
        faces: PublicTest with its votes; Training beside it tells which of its pictures are copies.
        out: where ``NAME.md`` and the folder ``NAME`` with figures go.
        photographs: also evaluate the whole chain on them; if left out, the card keeps its figures.
        agreement: what people agree on in them: a prior is fitted on its half A, half B judges.
        coding: of the people in them, those of the web: groups are compared.
        time_again: measure the milliseconds though the card has them.

    Returns:
        the path of the page.

    Raises:
        ModelError: the agent would refuse the file or its card.
        DataError: the faces lack PublicTest or its votes, or something cannot be written.
    """
    card_file = find_model(model)
    loaded = load_model(card_file, kind="expression")
    card = calibrate_card(loaded, faces)
    # At half A alone the temperature may be chosen; the figures below are of all of PublicTest.
    measured = measure(loaded, faces, USAGE, card=card, robust=True)
    card, chain = _chain(loaded, card, faces, photographs, agreement, coding)
    speed = _speed(loaded, faces, time_again=time_again)
    # Figures of before stay where nothing new was measured.
    metrics = card_metrics(measured) | _with_fitted(loaded, card, faces) | chain | speed
    card = card.model_copy(update={"metrics": metrics})
    page = out / f"{card.name}.md"
    write_all(out / card.name, artefacts(measured))
    write_whole(page, page_text(card).encode())
    # The card last: it names what the page and the figures say.
    write_whole(card_file, card.to_json().encode())
    log.info("%s: %s", card_file, measured.evaluation.headline())
    return page


def calibrate_card(model: TFLiteModel, faces: Faces) -> ModelCard:
    """Return a model's card with the temperature and threshold from half A of PublicTest.

    The temperature is fitted against the FER+ majority, because the probability of an answer is to
    say how often the answer is right; fitted against the shares of the votes it says how many
    people would agree, which is less.

    Raises:
        DataError: half A has no picture with a majority of votes.
    """
    answers = _answers_of_half_a(model, faces)
    labels = np.eye(len(answers.labels), dtype=np.float32)[answers.truth]
    temperature = round(best_temperature(answers.logits, labels), 4)
    curve = risk_coverage(probabilities(answers.logits, temperature), answers.truth)
    return model.card.model_copy(
        update={"temperature": temperature, "uncertain_below": choose_threshold(curve)}
    )


def _answers_of_half_a(model: TFLiteModel, faces: Faces) -> ProtocolAnswers:
    """Return the answers for the pictures of half A of PublicTest with a majority of votes.

    Raises:
        DataError: there is none.
    """
    public = faces.of_usage(USAGE)
    first = public.take(in_half_a(public.pictures))
    answers = None
    if len(first):
        answers = answers_by_protocol(run_model(model, first.pictures), first).get("ferplus")
    if answers is None:
        raise DataError(
            f"no picture in half A of {USAGE} has a majority of votes; give the FER+ "
            "votes with --votes"
        )
    return answers


def card_metrics(measured: MeasuredModel) -> dict[str, dict[str, float]]:
    """Everything that was measured as a card keeps it: split → figure → value.

    Figures of other splits stay.
    """
    card = measured.card
    usage = measured.usage
    kept = {
        name: dict(figures)
        for name, figures in card.metrics.items()
        # Figures of the float network cannot be measured from the TFLite file: they stay.
        if name == f"{usage}, float"
        or not (name.startswith((usage, PHOTOGRAPHS, SPEED)) or name == FILE)
    }
    errors = {
        f"{name}_calibration_error": round(one.error, 4)
        for name, one in measured.calibration.items()
    }
    metrics = {usage: {**measured.evaluation.headline(), **errors}}
    if measured.without_copies is not None:
        metrics[f"{usage}, without copies"] = measured.without_copies.headline()
    for protocol, figures in measured.evaluation.by_protocol.items():
        for label, one in figures.per_class.items():
            metrics[f"{usage}, {PROTOCOLS[protocol]}, {label}"] = _round_figures(**asdict(one))
    return (
        kept
        | metrics
        | _read_as(measured)
        | _reliability(measured)
        | _confidence(measured)
        | _report_robustness(measured)
        | {FILE: {"bytes": measured.file_bytes}}
    )


def chain_metrics(answers: ChainAnswers) -> dict[str, dict[str, float]]:
    """Return the figures of the whole chain on photographs, as a card keeps them."""
    figures = answers.figures
    faces = int(answers.has_face.sum())
    accuracy = round(figures.accuracy, 4)
    metrics = {PHOTOGRAPHS: {"n": figures.n, "found": faces, "accuracy": accuracy}}
    for label, one in figures.per_class.items():
        if one.n > 0:
            metrics[f"{PHOTOGRAPHS}, {label}"] = _round_figures(**asdict(one))
    return metrics


def _round_figures(**figures: float) -> dict[str, float]:
    """Return figures as a card keeps them: counts as they are, shares with four digits."""
    return {name: round(value, 4) for name, value in figures.items()}


def _read_as(measured: MeasuredModel) -> dict[str, dict[str, float]]:
    """Return the confusion matrix of the head that the agent uses, a row for each category."""
    protocol, figures = next(iter(measured.evaluation.by_protocol.items()))
    return {
        f"{measured.usage}, {PROTOCOLS[protocol]}, {label}, read as": dict(
            zip(figures.labels, row, strict=True)
        )
        for label, row in zip(figures.labels, figures.confusion_matrix, strict=True)
    }


def _reliability(measured: MeasuredModel) -> dict[str, dict[str, float]]:
    """Return the accuracy of that head by its largest probability; empty bins are left out."""
    protocol, one = next(iter(measured.calibration.items()))
    name = f"{measured.usage}, {PROTOCOLS[protocol]}, probability"
    metrics = {}
    for part in one.bins:
        if part.n > 0:
            figures = _round_figures(n=part.n, confidence=part.confidence, accuracy=part.accuracy)
            metrics[f"{name} {part.lower:.2f} to {part.upper:.2f}"] = figures
    return metrics


def _confidence(measured: MeasuredModel) -> dict[str, dict[str, float]]:
    metrics: dict[str, dict[str, float]] = {}
    confidence = measured.confidence
    if confidence is None:
        return metrics
    for name, half in confidence.halves.items():
        figures = _round_figures(
            n=half.n,
            accuracy=half.accuracy,
            calibration_error=half.calibration_error,
            answered=half.answered.coverage,
            answered_accuracy=half.answered.accuracy,
            answered_error_bound=half.answered.error_bound,
        )
        if half.fer2013_accuracy is not None:
            figures |= _round_figures(fer2013_accuracy=half.fer2013_accuracy)
        metrics[f"{measured.usage}, half {name}"] = figures
    metrics[f"{measured.usage}, answered"] = _round_figures(
        coverage=confidence.answered.coverage,
        accuracy=confidence.answered.accuracy,
        coverage_of_all=confidence.coverage_of_all,
    )
    return metrics


def _report_robustness(measured: MeasuredModel) -> dict[str, dict[str, float]]:
    metrics = {}
    for row in measured.robustness:
        figures: dict[str, float] = {}
        for name, accuracy in row.accuracy.items():
            figures[f"{name}_accuracy"] = round(accuracy, 4)
            figures[f"{name}_loss"] = round(row.loss[name], 2)
        metrics[f"{measured.usage}, {row.name}"] = figures
    return metrics


def _chain(
    model: TFLiteModel,
    card: ModelCard,
    faces: Faces,
    photographs: LabelledPhotographs | None,
    agreement: AgreedPhotographs | None,
    coding: Coding | None,
) -> tuple[ModelCard, dict[str, dict[str, float]]]:
    """Return the card with its fitted prior, and the chain's figures on the photographs.

    Without photographs both are those that the card has.
    """
    if photographs is None:
        return card, _known_metrics(model, PHOTOGRAPHS)
    report = measure_chain(str(model.path), photographs)
    if agreement is None:
        return card, chain_metrics(report.answers[CHAIN])
    # The chain read with the temperature of the card that lies there, which is older than this one.
    was, now = model.card.temperature or 1.0, card.temperature or 1.0
    answers = with_prior(report.answers[CHAIN], was, np.zeros(len(EXPRESSIONS)).tolist(), now)
    in_a = np.array([file in agreement.half_a for file in report.files])
    half = _answers_of_half_a(model, faces)
    pictures = ReadFaces(half.logits.astype(np.float64), half.truth)
    fitted = fitted_prior(card, answers.take(in_a), pictures)
    after = with_prior(answers, now, fitted.biases, fitted.temperature)
    metrics = {}
    judged = agreement.of_half("B")
    for prior, one, threshold in (
        ("data", answers, card.uncertain_below or 0.0),
        ("fitted", after, fitted.uncertain_below),
    ):
        for group, figures in figures_by_agreement(one, report.files, judged, threshold).items():
            split = _split_of(group, prior)
            metrics[split] = figures.headline()
            for name, share in figures.recall.items():
                metrics[f"{split}, {name}"] = _round_figures(recall=share)
        if coding is not None:
            metrics |= group_metrics(one, report.files, agreement.of_web(), coding, prior)
    return card.model_copy(update={"fitted_prior": fitted}), metrics


def group_metrics(
    answers: ChainAnswers,
    files: Sequence[str],
    agreement: AgreedPhotographs,
    coding: Coding,
    prior: str,
) -> dict[str, dict[str, float]]:
    """Return how differently groups of people are read, as a card keeps it."""
    metrics: dict[str, dict[str, float]] = {}
    for half, title in HALVES.items():
        apart = half_differences(answers, files, agreement, half, coding)
        for comparison, one in apart.items():
            figures: dict[str, float] = {"first": one.first, "second": one.second}
            figures["categories"] = len(one.recalls)
            for over, interval in one.over.items():
                figures |= {over: interval.difference}
                figures |= {f"{over}, low": interval.low, f"{over}, high": interval.high}
            metrics[f"{PHOTOGRAPHS}, {title}, {comparison}, {prior}"] = _round_figures(**figures)
    return metrics


def _with_fitted(model: TFLiteModel, card: ModelCard, faces: Faces) -> dict[str, dict[str, float]]:
    """Return the figures of FER+ with the fitted prior: what it costs there."""
    if card.fitted_prior is None:
        return {}
    measured = measure(model, faces, USAGE, card=card, prior="fitted")
    metrics = {FITTED: measured.evaluation.headline()}
    if measured.evaluation.ferplus is not None:
        for label, one in measured.evaluation.ferplus.per_class.items():
            if one.n > 0:
                metrics[f"{FITTED}, {_TITLE}, {label}"] = _round_figures(**asdict(one))
    if measured.confidence is not None:
        given = measured.confidence.answered
        metrics[f"{FITTED}, answered"] = _round_figures(
            coverage=given.coverage, accuracy=given.accuracy
        )
    return metrics


def _speed(model: TFLiteModel, faces: Faces, *, time_again: bool) -> dict[str, dict[str, float]]:
    """Return the milliseconds that the card has, or new ones."""
    known = _known_metrics(model, SPEED)
    # Milliseconds differ from run to run, and a card that changes by itself helps nobody.
    if known and not time_again:
        return known
    speed = speed_of(model, faces.pictures)
    return {f"{SPEED}{speed.processor}": {"milliseconds": speed.milliseconds, "runs": speed.runs}}


def _known_metrics(model: TFLiteModel, beginning: str) -> dict[str, dict[str, float]]:
    return {
        name: dict(figures)
        for name, figures in model.card.metrics.items()
        if name.startswith(beginning)
    }
