"""Several recipes under one protocol: the same pictures, the same runtime, the same tests.

The run of each recipe is loaded where it is finished, and gone on with where it is not. The
comparison is written as Markdown and as one HTML page, with its figures beside them.

K folds of one recipe stand beside its run on the fixed split: the mean of the folds, and their
spread. An ablation learns on from a run without each step of its preparation, and evaluates on
pictures that are worse than a data set's; each kind of noise draws from a generator of its own, so
that the same pictures are spoilt alike each time.

Example::

    finished = fold_runs(recipe, request, count=5)
    print(folds_text(finished, fixed=None))
"""

from __future__ import annotations

import csv
import html
import io
import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import mean, stdev

import cv2
import numpy as np
import tomlkit
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from edge_agent.appliance.bench import this_processor
from edge_agent.vision.models.model import TFLiteModel, load_model
from training.data.datasets import FER2013, Faces
from training.errors import RecipeError
from training.expression.recipe import ExpressionRecipe, Preparation
from training.learning.curves import CURVES as CURVES_FILE
from training.learning.kinds import FitRequest, Fold
from training.learning.recipe import RECIPE, load_recipe
from training.learning.run import train
from training.networks.architectures import (
    RegionAttentionSection,
    ResidualShape,
    SmallResNetSection,
)
from training.report.calibration import in_half_a
from training.report.compare import McNemar, mcnemar
from training.report.evaluate import (
    PROTOCOLS,
    Figures,
    answers_by_protocol,
    evaluate_logits,
    median_milliseconds,
    right_by_protocol,
    run_model,
)
from training.report.figures import confusion_png, html_page, html_table
from training.report.robustness import COVERS, CoveredRow, covered_rows, macro

log = logging.getLogger(__name__)
_GRAIN = 20.0
_PEPPERED = 0.05
_SPECKLED = 0.2
_MOVED = 5
_DARKEST = 0.3
UNSPOILT = "as they are"
_LEARNT_ON = ("freeze", "unfreeze_at", "learning_rates")
"""Of a schedule: how what was learnt elsewhere is spared at the start; here all is learnt."""
_WIDTH = 22
MARKDOWN = "systems.md"
PAGE = "systems.html"
CURVES = "curves.png"
MISSED = "all-wrong.png"
_SHOWN = 12
"""Pictures that all get wrong, in the table."""
_SHEET = 40
"""The same on the contact sheet."""
_COLUMNS = 10
_STYLE = ".matrices { display: flex; flex-wrap: wrap; gap: 1rem; }"
_COVERED = (
    f"{'; '.join(f'{cover.name}: {cover.does}' for cover in COVERS)}. Precision, recall and F1 are "
    "means over the categories; points are lost against the same faces with nothing covered."
)
_BACKBONES = (
    "The same backbone with and without regions, on the same covered faces; p by McNemar's exact "
    "test, not corrected for their number."
)


@dataclass(frozen=True, slots=True)
class System:
    """A finished run.

    Attributes:
        recipe: that it was made by, as its run folder keeps it.
        model: its int8 file, loaded as the agent does.
        curves: a row for each epoch, as ``curves.csv`` holds them; empty where it is missing.
        base: what the network began with, or None.
    """

    recipe: ExpressionRecipe
    model: TFLiteModel
    curves: tuple[dict[str, float], ...]
    base: str | None


def recipe_files(given: Sequence[Path]) -> list[Path]:
    """Return the recipes of files and folders, each once, in order; those of a folder by name.

    Raises:
        RecipeError: when there are not two at least, or two have one name.
    """
    files: list[Path] = []
    for path in given:
        if path.is_dir():
            files += sorted(path.glob("*.toml"))
        else:
            files.append(path)
    chosen = list(dict.fromkeys(files))
    if len(chosen) < 2:
        raise RecipeError(
            f"--recipes: {len(chosen)} recipes cannot be compared; give two or more, or a folder"
        )
    names = [path.stem for path in chosen]
    if double := sorted({name for name in names if names.count(name) > 1}):
        raise RecipeError(f"--recipes: two files are called {double[0]}.toml; rename one")
    return chosen


def gather(recipes: Sequence[Path], runs: Path, request: FitRequest) -> list[System]:
    """Return the finished run of each recipe, in ``runs``/NAME; what is not finished is trained.

    A run that was interrupted goes on after its last epoch, so that the command can be given again.

    Args:
        recipes: TOML files of kind ``expression``.
        runs: folder of the run folders.
        request: data and device of a run that has to learn; its ``weights`` are the file that the
            recipes begin with, or a folder that holds what each of them names.

    Raises:
        RecipeError: when a recipe cannot be used, or is not the one that its run was made by.
        DataError: when the data cannot be used.
        ModelError: when a finished model cannot be used.
    """
    forms = [load_recipe(path, ExpressionRecipe) for path in recipes]  # all, before anything learns
    systems: list[System] = []
    for number, (path, form) in enumerate(zip(recipes, forms, strict=True), start=1):
        base = _base_of(form, request.weights)
        wanted = replace(request, recipe=path, out=runs / path.stem, weights=base)
        card = _finish_run(wanted, form, f"{number} of {len(recipes)}: {path.stem}")
        model = load_model(card, kind="expression")
        curves = _curves(card.parent / CURVES_FILE)
        systems.append(System(form, model, curves, form.weights_needed))
    return systems


def _finish_run(wanted: FitRequest, form: ExpressionRecipe, name: str) -> Path:
    """Return the card of a run: it is loaded where it is finished, else learnt or gone on with."""
    card = wanted.out / f"{form.name}.json"
    if card.exists():
        # A finished run of another recipe would be compared under the wrong name.
        log.info("%s is finished", name)
        refuse_another(wanted.out, wanted.recipe, form)
        return card
    log.info("%s learns", name)
    return train(replace(wanted, resume=not wanted.small))


def _base_of(form: ExpressionRecipe, weights: Path | None) -> Path | None:
    """Return the file that a recipe begins with; None where it needs none, or none is given."""
    needed = form.weights_needed
    if needed is None or weights is None:
        return None
    inside = weights / needed
    if inside.exists():
        return inside
    return weights


def refuse_another(folder: Path, path: Path, form: ExpressionRecipe) -> None:
    """Make sure that a finished run was made by the recipe as it is now.

    Raises:
        RecipeError: it was not.
    """
    kept = folder / RECIPE
    if kept.exists() and load_recipe(kept, ExpressionRecipe) != form:
        raise RecipeError(
            f"{folder}: its run was made by another recipe than {path} is now; train it again into "
            "another folder, or move this one away"
        )


def _curves(path: Path) -> tuple[dict[str, float], ...]:
    if not path.exists():
        return ()
    with path.open(newline="", encoding="utf-8") as file:
        return tuple(
            {name: float(value) for name, value in row.items()} for row in csv.DictReader(file)
        )


Pictures = NDArray[np.uint8]
Spoil = Callable[[NDArray[np.float64], np.random.Generator], NDArray[np.float64]]


def spoil_pictures(pictures: Pictures, kind: str) -> Pictures:
    """Spoil pictures in one of ``NOISES``.

    Args:
        pictures: uint8, N × H × W.
        kind: name of the noise.

    Returns:
        uint8, N × H × W.
    """
    _, spoil = NOISES[kind]
    # The same generator for each model, so that all see the same noise.
    changed = spoil(pictures.astype(np.float64), np.random.default_rng(1))
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)


def _gaussian(pictures: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    return pictures + chance.normal(0, _GRAIN, pictures.shape)


def _salt_and_pepper(
    pictures: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.float64]:
    drawn = chance.random(pictures.shape)
    salted = np.where(drawn < _PEPPERED / 2, 0.0, pictures)
    return np.where(drawn > 1 - _PEPPERED / 2, 255.0, salted)


def _speckle(pictures: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    return pictures * (1 + chance.normal(0, _SPECKLED, pictures.shape))


def _motion_blur(pictures: NDArray[np.float64], chance: np.random.Generator) -> NDArray[np.float64]:
    del chance
    along = np.full((1, _MOVED), 1 / _MOVED)
    return np.stack(
        [cv2.filter2D(one, -1, along, borderType=cv2.BORDER_REPLICATE) for one in pictures]
    )


def _uneven_light(
    pictures: NDArray[np.float64], chance: np.random.Generator
) -> NDArray[np.float64]:
    del chance
    return pictures * np.linspace(_DARKEST, 1.0, pictures.shape[2])


NOISES: dict[str, tuple[str, Spoil]] = {
    "Gaussian": (f"noise is added, standard deviation {_GRAIN:.0f} of 255", _gaussian),
    "salt and pepper": (f"{_PEPPERED:.0%} of the pixels are black or white", _salt_and_pepper),
    "speckle": (f"each pixel is multiplied by 1 + noise, standard deviation {_SPECKLED}", _speckle),
    "motion blur": (f"the mean of {_MOVED} pixels side by side", _motion_blur),
    "uneven light": (
        f"light falls from 1 at the right edge to {_DARKEST} at the left one",
        _uneven_light,
    ),
}
"""Kind → what it does in words, and the function that does it."""


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One network on pictures as they are, and on spoilt ones.

    Attributes:
        name: which steps it has.
        accuracy: kind of pictures → protocol → share right, 0…1.
        p: protocol → McNemar's exact test against the network with all steps, pictures as they are;
            1 for that network itself.
        milliseconds: of a face, preparation included; median, in turns with the others.
    """

    name: str
    accuracy: dict[str, dict[str, float]]
    p: dict[str, float]
    milliseconds: float


def write_variants(run: Path, epochs: int, folder: Path) -> list[Path]:
    """Write a recipe for each network of the ablation; the first one has all steps.

    Args:
        run: folder of the finished run that each learns on from.
        epochs: that each learns.
        folder: that takes the recipes.

    Returns:
        The recipe files, called by the run's name and the step that is missing.

    Raises:
        RecipeError: the run cannot be read, or prepares nothing.
    """
    form = load_recipe(run / RECIPE, ExpressionRecipe)
    on = [name for name in Preparation.model_fields if getattr(form.preparation, name)]
    if not on:
        raise RecipeError(f"{run}: its recipe has no step of [preparation] that could be left out")
    left_out: dict[str, Sequence[str]] = {"all-steps": ()}
    left_out |= {f"without-{name.replace('_', '-')}": (name,) for name in on}
    left_out["no-step"] = on
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for suffix, missing in left_out.items():
        path = folder / f"{run.name}-{suffix}.toml"
        path.write_text(_variant(form, run.name, path.stem, missing, epochs), encoding="utf-8")
        files.append(path)
    return files


def _variant(
    form: ExpressionRecipe, start: str, name: str, missing: Sequence[str], epochs: int
) -> str:
    content = form.model_dump(mode="json", by_alias=True, exclude_none=True)
    content |= {"name": name, "start": start}
    # It learns on from the run, and not from what that began with.
    content.pop("base", None)
    content["preparation"] |= dict.fromkeys(missing, False)
    content["schedule"]["epochs"] = epochs
    for key in _LEARNT_ON:
        content["schedule"].pop(key, None)
    return tomlkit.dumps(content)


def ablation_rows(systems: Sequence[System], faces: Faces) -> list[AblationRow]:
    """Evaluate the networks of an ablation; the first is the one with all steps.

    Raises:
        DataError: when no picture can be evaluated.
    """
    durations = median_milliseconds([system.model for system in systems], faces.pictures)
    kinds = {UNSPOILT: faces.pictures}
    kinds |= {kind: spoil_pictures(faces.pictures, kind) for kind in NOISES}
    rows = []
    first: dict[str, NDArray[np.bool_]] = {}
    for system, milliseconds in zip(systems, durations, strict=True):
        right = {
            kind: right_by_protocol(run_model(system.model, pictures), faces)
            for kind, pictures in kinds.items()
        }
        # The first one has all steps; the others are compared with it.
        first = first or right[UNSPOILT]
        p = {name: mcnemar(one, first[name]).p for name, one in right[UNSPOILT].items()}
        accuracy = {
            kind: {name: float(one.mean()) for name, one in each.items()}
            for kind, each in right.items()
        }
        rows.append(AblationRow(system.recipe.name, accuracy, p, milliseconds))
    return rows


def ablation_text(rows: Sequence[AblationRow], title: str, processor: str) -> str:
    """Return tables in Markdown: one a protocol, a network a row, a kind of pictures a column."""
    spoiling = "; ".join(f"{kind}: {does}" for kind, (does, _) in NOISES.items())
    lines = [
        "# What each step of the preparation brings",
        "",
        (
            f"{title}. Per cent right, int8, by the agent's runtime. {spoiling}. p: McNemar's "
            "exact test against the network with all steps, on the pictures as they are, not "
            f"corrected for the rows. Milliseconds: median on one thread of {processor}, in turns."
        ),
        "",
    ]
    kinds = (UNSPOILT, *NOISES)
    for protocol in rows[0].p:
        lines += [f"## {PROTOCOLS[protocol]}", ""]
        lines += [f"| network | {' | '.join(kinds)} | p | ms a face |", "|---" * 9 + "|"]
        for row in rows:
            shares = " | ".join(f"{100 * row.accuracy[kind][protocol]:.1f}" for kind in kinds)
            lines.append(
                f"| {row.name} | {shares} | {row.p[protocol]:.2g} | {row.milliseconds:.3f} |"
            )
        lines.append("")
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class FoldFigures:
    """The figures of a run on its fold.

    Attributes:
        name: of the fold, or of what else was evaluated.
        figures: as a card keeps them (``fer2013_accuracy``, ``fer2013_n``, …).
    """

    name: str
    figures: dict[str, float]


def fold_runs(recipe: Path, request: FitRequest, count: int) -> list[FoldFigures]:
    """Train the recipe once for each of ``count`` folds; return each run's figures on its fold.

    Each run has a folder in ``request.out``, such as ``fold-1-of-5``. A finished run is loaded, an
    interrupted one is continued.

    Raises:
        RecipeError: when the recipe cannot be used, or a fold's run was made by another one.
        DataError: when the data cannot be used.
        ModelError: when a finished model cannot be used.
    """
    form = load_recipe(recipe, ExpressionRecipe)
    done = []
    for number in range(1, count + 1):
        fold = Fold(number, count)
        folder = request.out / f"fold-{number}-of-{count}"
        wanted = replace(request, recipe=recipe, out=folder, fold=fold)
        card = load_model(_finish_run(wanted, form, fold.name), kind="expression").card
        figures = card.metrics[fold.name]
        done.append(FoldFigures(fold.name, dict(figures)))
    return done


def fixed_split(card: Path, faces: Faces) -> FoldFigures:
    """Return the figures of the run on the fixed split on half A of PublicTest.

    Raises:
        ModelError: when its model cannot be used.
        DataError: when there is no PublicTest.
    """
    public = faces.of_usage("PublicTest")
    half = public.take(in_half_a(public.pictures))
    model = load_model(card, kind="expression")
    figures = evaluate_logits(run_model(model, half.pictures), half).headline()
    return FoldFigures("fixed split, half A", figures)


def folds_text(folds: Sequence[FoldFigures], fixed: FoldFigures | None) -> str:
    """Return each fold, mean and standard deviation, and the fixed split where there is one.

    The folds share most of what they learn from, so the deviation is no standard error of the mean.
    """
    protocols = [name for name in PROTOCOLS if f"{name}_accuracy" in folds[0].figures]
    head = "".join(f" {PROTOCOLS[name]:>14} {'n':>6} {'macro F1':>9}" for name in protocols)
    lines = [f"{'':<{_WIDTH}}{head}"]
    lines += [_line(one, protocols) for one in folds]
    for title, summarise in (("mean", mean), ("standard deviation", stdev)):
        cells = ""
        for name in protocols:
            accuracy = summarise([one.figures[f"{name}_accuracy"] for one in folds])
            f1 = summarise([one.figures[f"{name}_macro_f1"] for one in folds])
            cells += f" {accuracy:>14.2%} {'':>6} {f1:>9.3f}"
        lines.append(f"{title:<{_WIDTH}}{cells}")
    if fixed is not None:
        lines.append(_line(fixed, protocols))
    return "\n".join(lines)


def _line(one: FoldFigures, protocols: Sequence[str]) -> str:
    cells = ""
    for name in protocols:
        accuracy = one.figures[f"{name}_accuracy"]
        f1 = one.figures[f"{name}_macro_f1"]
        cells += f" {accuracy:>14.2%} {one.figures[f'{name}_n']:>6.0f} {f1:>9.3f}"
    return f"{one.name:<{_WIDTH}}{cells}"


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A system and its answers.

    Attributes:
        system: the run.
        figures: protocol → how often it is right.
        right: protocol → bool, one for each picture that the protocol counts.
        milliseconds: median of one inference, in turns with the other systems.
        file_bytes: size of the int8 file.
        covered: the same figures with a part of each face covered, first with nothing covered.
    """

    system: System
    figures: dict[str, Figures]
    right: dict[str, NDArray[np.bool_]]
    milliseconds: float
    file_bytes: int
    covered: tuple[CoveredRow, ...]

    @property
    def name(self) -> str:
        """Name of the system, from its recipe."""
        return self.system.recipe.name


@dataclass(frozen=True, slots=True)
class Missed:
    """A picture that every system gets wrong.

    Attributes:
        index: among the pictures that were evaluated, from 0.
        label: its FER2013 class.
        answers: what each system said, in their order.
    """

    index: int
    label: str
    answers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SystemsComparison:
    """All systems on the same pictures.

    Attributes:
        title: which pictures these were.
        evaluated: each system.
        tests: protocol → (first name, second name, test) of each pair.
        missed: what all get wrong (FER2013), in the order of the data.
        processor: the kind that the milliseconds were measured on.
    """

    title: str
    evaluated: tuple[Evaluated, ...]
    tests: dict[str, tuple[tuple[str, str, McNemar], ...]]
    missed: tuple[Missed, ...]
    processor: str


def compare_systems(systems: Sequence[System], faces: Faces, title: str) -> SystemsComparison:
    """Evaluate systems on faces.

    Raises:
        DataError: when no picture can be evaluated.
    """
    models = [system.model for system in systems]
    logits = [run_model(model, faces.pictures) for model in models]
    durations = median_milliseconds(models, faces.pictures)
    evaluated = []
    for system, answers, milliseconds in zip(systems, logits, durations, strict=True):
        right = right_by_protocol(answers, faces)
        size = system.model.path.stat().st_size
        figures = evaluate_logits(answers, faces).by_protocol
        covered = covered_rows(system.model, faces)
        evaluated.append(Evaluated(system, figures, right, milliseconds, size, covered))
    tests = {
        protocol: tuple(
            (one.name, other.name, mcnemar(one.right[protocol], other.right[protocol]))
            for one, other in itertools.combinations(evaluated, 2)
        )
        for protocol in evaluated[0].right
    }
    missed = _find_missed(logits, faces)
    return SystemsComparison(title, tuple(evaluated), tests, missed, this_processor().describe())


def backbone_pairs(evaluated: Sequence[Evaluated]) -> list[tuple[Evaluated, Evaluated]]:
    """Return each system with region attention, beside the one of its backbone alone."""
    pairs = []
    for one in evaluated:
        network = one.system.recipe.network
        if not isinstance(network, RegionAttentionSection):
            continue
        for other in evaluated:
            alone = other.system.recipe.network
            if isinstance(alone, SmallResNetSection) and _shape(alone) == _shape(network):
                pairs.append((one, other))
    return pairs


def _shape(network: ResidualShape) -> tuple[tuple[int, ...], ...]:
    return network.widths, network.blocks, network.strides


def _find_missed(
    logits: Sequence[dict[str, NDArray[np.float32]]], faces: Faces
) -> tuple[Missed, ...]:
    answers = [answers_by_protocol(each, faces).get("fer2013") for each in logits]
    known = [one for one in answers if one is not None]
    if not known:
        return ()
    wrong = np.all([one.predicted != one.truth for one in known], axis=0)
    indices = np.flatnonzero(known[0].chosen)
    return tuple(
        Missed(
            int(indices[place]),
            FER2013[known[0].truth[place]],
            tuple(FER2013[one.predicted[place]] for one in known),
        )
        for place in np.flatnonzero(wrong)
    )


Table = tuple[Sequence[str], Sequence[Sequence[str]]]


def report_files(comparison: SystemsComparison, pictures: NDArray[np.uint8]) -> dict[str, bytes]:
    """File name → content: page, Markdown, curves, a confusion matrix for each system.

    Args:
        comparison: what was measured.
        pictures: uint8, N × 48 × 48, that were evaluated; ``all-wrong.png`` shows some, and is
            for whoever may look at the data: the other files hold no picture.
    """
    files = {f"confusion-{one.name}.png": _matrix(one) for one in comparison.evaluated}
    files[CURVES] = _report_curves(comparison.evaluated)
    if comparison.missed:
        files[MISSED] = _sheet(comparison, pictures)
    files[MARKDOWN] = _markdown(comparison).encode()
    files[PAGE] = _page(comparison).encode()
    return files


def _systems(comparison: SystemsComparison) -> Table:
    protocols = list(comparison.evaluated[0].figures)
    head = ["system", "begins with"]
    for name in protocols:
        head += [f"{PROTOCOLS[name]}, right", "macro F1"]
    head += ["M parameters", "M multiply-adds", "int8 kB", "ms a face", "epochs", "hours"]
    return head, [_row(one, protocols) for one in comparison.evaluated]


def _row(one: Evaluated, protocols: Sequence[str]) -> list[str]:
    card = one.system.model.card
    cells = [one.name, one.system.base or "random weights"]
    for name in protocols:
        cells += [f"{one.figures[name].accuracy:.2%}", f"{one.figures[name].macro_f1:.3f}"]
    hours = "" if card.training.hours is None else f"{card.training.hours:.2f}"
    return [
        *cells,
        f"{card.parameters / 1e6:.2f}",
        f"{card.multiply_adds / 1e6:.1f}",
        f"{one.file_bytes / 1e3:.0f}",
        f"{one.milliseconds:.3f}",
        f"{card.training.epochs}",
        hours,
    ]


def _tests(tests: Sequence[tuple[str, str, McNemar]]) -> Table:
    head = ("first", "second", "only the first is right", "only the second", "p")
    rows = [
        [one, other, str(test.only_first), str(test.only_second), f"{test.p:.3g}"]
        for one, other, test in tests
    ]
    return head, rows


def _recalls(comparison: SystemsComparison, protocol: str) -> Table:
    labels = comparison.evaluated[0].figures[protocol].labels
    rows = [
        [one.name, *(f"{one.figures[protocol].per_class[label].recall:.2f}" for label in labels)]
        for one in comparison.evaluated
    ]
    return ("recall", *labels), rows


def _covered_table(comparison: SystemsComparison, protocol: str) -> Table:
    head = ("system", "covered", "right", "precision", "recall", "F1", "points lost")
    rows = []
    for one in comparison.evaluated:
        for row in one.covered:
            figures = row.figures[protocol]
            precision, recall, f1 = macro(figures)
            lost = 100 * (one.figures[protocol].accuracy - figures.accuracy)
            shares = (f"{value:.3f}" for value in (precision, recall, f1))
            rows.append([one.name, row.name, f"{figures.accuracy:.2%}", *shares, f"{lost:.1f}"])
    return head, rows


def _backbones(comparison: SystemsComparison, protocol: str) -> Table:
    head = ("with regions", "without", "covered", "right", "right without", "points", "p")
    rows = []
    for one, other in backbone_pairs(comparison.evaluated):
        for row, bare in zip(one.covered, other.covered, strict=True):
            accuracy = row.figures[protocol].accuracy
            without = bare.figures[protocol].accuracy
            test = mcnemar(row.right[protocol], bare.right[protocol])
            cells = [f"{accuracy:.2%}", f"{without:.2%}", f"{100 * (accuracy - without):+.1f}"]
            rows.append([one.name, other.name, row.name, *cells, f"{test.p:.3g}"])
    return head, rows


def _missed_bars(comparison: SystemsComparison) -> Table:
    head = ("picture", "labelled", *(f"{one.name} says" for one in comparison.evaluated))
    rows = [[str(one.index + 1), one.label, *one.answers] for one in comparison.missed[:_SHOWN]]
    return head, rows


def _parts(comparison: SystemsComparison) -> list[tuple[str, str, Table]]:
    """Heading, sentence and table of each part."""
    count = len(comparison.missed)
    parts = [
        (
            "Systems",
            (
                f"{comparison.title}. Each int8 file went through the agent's runtime, one picture "
                f"at a time; milliseconds are medians on one thread of {comparison.processor}, "
                "measured in turns."
            ),
            _systems(comparison),
        )
    ]
    for name, tests in comparison.tests.items():
        n = tests[0][2].n
        parts.append(
            (
                f"Differences, {PROTOCOLS[name]}",
                (
                    f"McNemar's exact test of each pair on {n:,} pictures; the p are not corrected "
                    f"for {len(tests)} tests."
                ),
                _tests(tests),
            )
        )
        parts.append((f"Recall, {PROTOCOLS[name]}", "", _recalls(comparison, name)))
    for name in comparison.tests:
        parts.append(
            (f"Covered faces, {PROTOCOLS[name]}", _COVERED, _covered_table(comparison, name))
        )
        if backbone_pairs(comparison.evaluated):
            title = f"Region attention beside its backbone, {PROTOCOLS[name]}"
            parts.append((title, _BACKBONES, _backbones(comparison, name)))
    if count:
        parts.append(
            (
                "What all get wrong",
                (
                    f"{count:,} pictures by their FER2013 labels; the first {min(count, _SHOWN)}, "
                    "counted from 1 among the pictures evaluated."
                ),
                _missed_bars(comparison),
            )
        )
    return parts


def _markdown(comparison: SystemsComparison) -> str:
    lines = ["# Systems side by side", ""]
    for heading, sentence, (head, rows) in _parts(comparison):
        lines += [f"## {heading}", ""]
        if sentence:
            lines += [sentence, ""]
        lines += [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
        lines += [f"| {' | '.join(row)} |" for row in rows]
        lines.append("")
    lines += ["## Curves", "", f"![Accuracy by epoch]({CURVES})", ""]
    lines += ["## Confusion matrices", ""]
    lines += [f"![{one.name}](confusion-{one.name}.png)" for one in comparison.evaluated]
    return "\n".join(lines) + "\n"


def _page(comparison: SystemsComparison) -> str:
    body = ["<h1>Systems side by side</h1>"]
    for heading, sentence, (head, rows) in _parts(comparison):
        body.append(f"<h2>{html.escape(heading)}</h2>")
        if sentence:
            body.append(f"<p>{html.escape(sentence)}</p>")
        body.append(html_table(head, rows))
    if comparison.missed:
        body.append(f'<img src="{MISSED}" alt="Pictures that all systems get wrong">')
    body.append(f'<h2>Curves</h2><img src="{CURVES}" alt="Accuracy of each system by epoch">')
    body.append('<h2>Confusion matrices</h2><div class="matrices">')
    for one in comparison.evaluated:
        name = html.escape(one.name)
        body.append(f'<img src="confusion-{name}.png" alt="Confusion matrix of {name}">')
    body.append("</div>")
    return html_page("Systems side by side", body, _STYLE)


def _matrix(one: Evaluated) -> bytes:
    """Return the confusion matrix of FER2013 where there are such labels, as publications do."""
    protocol = "fer2013" if "fer2013" in one.figures else next(iter(one.figures))
    return confusion_png(one.figures[protocol], one.name)


def _report_curves(evaluated: Sequence[Evaluated]) -> bytes:
    """Loss while learning and accuracy on the held-back faces, a line a system."""
    figure = Figure(figsize=(11, 4), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    panels = (("train_loss", "loss"), ("valid_fer2013_accuracy", "FER2013, held back: right"))
    for (column, title), axes in zip(panels, figure.subplots(1, len(panels)), strict=True):
        for one in evaluated:
            rows = [row for row in one.system.curves if column in row]
            epochs = [row["epoch"] for row in rows]
            axes.plot(epochs, [row[column] for row in rows], label=one.name)
        axes.set(title=title, xlabel="epoch")
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small")
    drawn = io.BytesIO()
    figure.savefig(drawn, format="png")
    return drawn.getvalue()


def _sheet(comparison: SystemsComparison, pictures: NDArray[np.uint8]) -> bytes:
    """Return the first of the pictures that all get wrong, in rows of ten, twice their size."""
    shown = comparison.missed[:_SHEET]
    edge = pictures.shape[1]
    rows = -(-len(shown) // _COLUMNS)
    sheet = np.full((rows * edge, _COLUMNS * edge), 255, dtype=np.uint8)
    for place, one in enumerate(shown):
        top = place // _COLUMNS * edge
        left = place % _COLUMNS * edge
        sheet[top : top + edge, left : left + edge] = pictures[one.index]
    drawn = io.BytesIO()
    Image.fromarray(sheet).resize((2 * sheet.shape[1], 2 * sheet.shape[0])).save(drawn, "PNG")
    return drawn.getvalue()
