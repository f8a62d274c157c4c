"""Training on one's own photographs, and whether that was worth it.

Everything lies in one folder: ``faces`` that were cut out, ``run`` with model and card, and the
report, a page and the same in words for the terminal. Given again, it goes on where it stopped.

Classes of your own, such as *smiling* and *not smiling*: the filters of the shipped quick network
stay as they are, and one layer is learnt on what they see (logistic regression, every class weighed
alike). A few dozen photographs a class are enough for it. The appliance does not use such a model:
its timeline, its topics and its statistics know the eight categories, whose order is the same
everywhere. So its card is of the kind ``classes``, which the agent refuses. Any other program can
run it, on faces as ``crop-faces`` cuts them.
"""

from __future__ import annotations

import hashlib
import html
import json
import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from edge_agent.config.vision import VisionSettings
from edge_agent.core import clock
from edge_agent.core.expression import Prior
from edge_agent.vision.align import EXPRESSION_CROP
from edge_agent.vision.models.card import find_model, read_card
from edge_agent.vision.models.model import load_model
from training.data.crops import LEFT_OUT, FaceCutter, Tally, cut_one, plan_cuts
from training.data.datasets import (
    EDGE,
    EXPRESSIONS,
    FER2013,
    Faces,
    FolderOfFaces,
    folder_without,
    indices_tested,
    is_tested,
    read_subfolders,
    split_tested,
)
from training.errors import DataError, write_whole
from training.expression.fit import pixel_input, unseen_limit
from training.expression.recipe import ExpressionRecipe
from training.expression.task import load_run
from training.learning.kinds import PUBLISHED, FitRequest
from training.learning.recipe import load_recipe
from training.learning.run import train
from training.networks.base import RegionNetwork, mean_over_regions
from training.networks.quantize import write_model
from training.report.compare import ProtocolComparison, compare_files
from training.report.evaluate import Figures, classification_figures, run_model
from training.report.figures import FACES_STYLE, html_faces, html_page, html_table
from training.report.problems import answers_of, categories_of, near_copies, problems_of

log = logging.getLogger(__name__)

SHIPPED = "expression-accurate"
"""The model that an own one has to be better than."""
PRIOR: Prior = VisionSettings().prior
"""With which both are read: the appliance's default. One that has none of its own is read with that
of its data."""
SURE = 0.8
"""Both models have to be so sure of another category for a label to be doubted."""
SHOWN = 12
"""Doubted labels that are shown, at most."""
SAME_PEOPLE = (
    "The same people may be among the faces learnt and judged: faces of people that it has not "
    "seen, it may read worse."
)
BASE = "expression-fast"
NAME = "own-classes"
OUTPUT = "classes"
FEWEST = 10
"""Faces that a class needs to be learnt, and ..."""
TESTED_FEWEST = 1
"""... to be judged."""
_TESTED = 0.2
_STRENGTH = 0.1  # inverse of the penalty: few faces, many features
_CALIBRATION = 400
_TITLE = "A model of your own classes"
_NOT_HERE = (
    "The appliance cannot use this model: what it records, sends and tests are the eight "
    "categories of expression. Another program can: the card beside the file says what it takes "
    "and gives."
)
PAGE = "report.html"
_CROP = ""  # the key of the crop in a record of faces; no face has such a name


@dataclass(frozen=True, slots=True)
class Contradicted:
    """A picture of which a model, or two that agree, say another category than its label.

    Attributes:
        file: the cut-out face.
        labelled: the category that its folder says.
        answer: the category that was said.
        probability: of the answer; of two models, that of the less sure one.
        index: its place among the faces.
    """

    file: Path
    labelled: str
    answer: str
    probability: float
    index: int


@dataclass(frozen=True, slots=True)
class OwnModel:
    """The result of training an own model: its card, and how it compares with the shipped one.

    Attributes:
        card: of the new model.
        folder: the faces.
        cut: how the photographs became faces, in words.
        problems: of the faces, a sentence each.
        comparison: the shipped model and the new one on the tested faces, which fitted nothing.
        figures: of the shipped model and of the new one, on the same faces.
        missed: tested faces that the new model reads as something else, the surest answer first.
        doubted: labels to look at, the most doubtful first.
        cautions: what the comparison does not say, a sentence each.
    """

    card: Path
    folder: FolderOfFaces
    cut: str
    problems: tuple[str, ...]
    comparison: ProtocolComparison
    figures: tuple[Figures, Figures]
    missed: tuple[Contradicted, ...]
    doubted: tuple[Contradicted, ...]
    cautions: tuple[str, ...]

    @property
    def verdict(self) -> str:
        """Sentence that tells whether the new model is better."""
        protocol, test = next(iter(self.comparison.tests.items()))
        before = self.comparison.first.accuracy[protocol]
        after = self.comparison.second.accuracy[protocol]
        certainty = f"p = {test.p:.2g} by McNemar's exact test"
        if test.p >= 0.05:
            return (
                f"No difference can be told from {test.n} faces that the new model never saw: it "
                f"is right in {after * test.n:.0f}, the shipped one in {before * test.n:.0f} "
                f"({certainty}). More faces would tell."
            )
        points = 100 * (after - before)
        return (
            f"The new model is {'better' if points > 0 else 'worse'} by {abs(points):.1f} points: "
            f"right in {after:.1%} of {test.n} faces that it never saw, the shipped one in "
            f"{before:.1%} ({certainty})."
        )

    @property
    def reading(self) -> tuple[str, ...]:
        """Sentences about how both were read, and how many of the tested faces get a name."""
        shipped, new = self.comparison.first, self.comparison.second
        read = (
            f"Both are read as the appliance reads them by default (vision.prior = {PRIOR}): the "
            f"new one with the prior {new.prior}, the shipped one with {shipped.prior}."
        )
        if new.answered is None or shipped.answered is None:
            return (read,)
        named = (
            f"Of the faces never seen {new.answered.coverage:.0%} get a name at the threshold "
            f"{new.answered.threshold:.2f}, {new.answered.accuracy:.0%} of these the right one; "
            f"of the shipped model {shipped.answered.coverage:.0%} and "
            f"{shipped.answered.accuracy:.0%} (at {shipped.answered.threshold:.2f})."
        )
        return (read, named)


def train_own(photographs: Path, request: FitRequest, labels: Path | None = None) -> OwnModel:
    """Cut faces out of photographs, learn from them, and compare with the shipped model.

    Args:
        photographs: a folder with a subfolder a category, or with ``labels`` any folder.
        request: its ``out`` is the folder of everything; its ``data`` is not used; its ``without``
            names faces.
        labels: table with the columns ``file`` and ``emotion``.

    Raises:
        DataError: the photographs cannot be used, or hold too few faces to test with.
        RecipeError: the recipe cannot be used.
    """
    recipe = load_recipe(request.recipe, ExpressionRecipe)
    faces = request.out / "faces"
    cut = cut_out(photographs, faces, labels)
    folder = folder_without(faces, request.without)
    problems = problems_of(folder)
    for sentence in problems:
        log.warning("%s", sentence)
    _, tested = split_tested(folder.faces.without_blank(), recipe.data.tested)
    if len(tested) == 0:
        raise DataError(
            f"{faces}: none of {len(folder.files)} faces is set aside for the last judgement "
            f"(data.tested = {recipe.data.tested}); add photographs"
        )
    run = replace(request, data=faces, votes=None, out=request.out / "run", resume=True)
    card = run.out / f"{recipe.name}.json"
    # Before the card is looked for: a finished run of other faces must not be taken for this one's.
    forget_other_run(faces, run.out, request)
    if not card.exists():
        card = train(run)
    shipped = find_model(SHIPPED)
    models = [path.with_suffix(".tflite") for path in (shipped, card)]
    comparison = compare_files(models[0], models[1], tested, PRIOR)
    before, after = (answers_of(path, folder.faces.pictures, PRIOR) for path in (shipped, card))
    at = indices_tested(folder.faces, recipe.data.tested)
    return OwnModel(
        card,
        folder,
        cut,
        tuple(problems),
        comparison,
        (_figures_at(folder, before, at), _figures_at(folder, after, at)),
        _find_missed(folder, after, at),
        _find_doubted(folder, (before, after)),
        cautions_of(read_card(card).label_shares or (), tested),
    )


def cautions_of(shares: Sequence[float], tested: Faces) -> tuple[str, ...]:
    """Return what a comparison on some categories, or on the people learnt, does not say.

    Args:
        shares: of the eight categories among what was learnt.
        tested: the faces that both models were compared on.
    """
    if not shares or not (unseen := unseen_limit(shares)):
        return (SAME_PEOPLE,)
    if not np.asarray(shares)[categories_of(tested)].all():
        return (*unseen, SAME_PEOPLE)
    return (f"{unseen[0]} The test held none of them.", SAME_PEOPLE)


def cut_out(
    photographs: Path, faces: Path, labels: Path | None, classes: Sequence[str] = ()
) -> str:
    """Cut the faces out, all or none, unless they were cut from these very photographs.

    A record beside the faces says what they were cut from; after photographs were added, changed or
    removed, all of them are cut anew.

    Returns:
        Sentences about the cut, also where the faces were cut out before.
    """
    record = faces.with_name("faces.json")
    summary = faces.with_name("faces.txt")
    part = faces.with_name("faces.part")
    shutil.rmtree(part, ignore_errors=True)  # of a start that was stopped
    cuts = plan_cuts(photographs, part, labels, classes)
    now = {cut.face.as_posix(): _state_of(cut.photograph) for cut in cuts}
    now[_CROP] = EXPRESSION_CROP
    if faces.exists():
        before = _read_record(record)
        if before == now:
            log.info("%s: the faces were cut out before", faces)
            return summary.read_text("utf-8") if summary.exists() else ""
        log.warning("%s: %s The faces are cut out anew.", photographs, _what_changed(before, now))
    cutter = FaceCutter(EDGE)
    tally = Tally()
    for cut in cuts:
        cut_one(cut, part, cutter, tally)
    if not tally.faces:
        raise DataError(f"{photographs}: no face was found in any of {len(cuts)} photographs")
    # Without a record the faces are cut again, so a stop between these steps loses nothing.
    record.unlink(missing_ok=True)
    shutil.rmtree(faces, ignore_errors=True)
    part.rename(faces)
    text = tally.as_text(faces)
    write_whole(summary, text.encode())
    write_whole(record, json.dumps(now).encode())
    return text


def left_out(cut: str) -> list[str]:
    """Return a line for the terminal that counts the photographs left out; none: all have a face.

    Args:
        cut: what :func:`cut_out` said.
    """
    return [
        f"{line} (the report names them)" for line in cut.splitlines() if line.startswith(LEFT_OUT)
    ]


def forget_other_run(faces: Path, run: Path, request: FitRequest) -> None:
    """Delete a run that was learnt from other faces, another recipe or another list.

    A run that is half done is learnt on from; it would keep what it had begun with.
    """
    record = run.with_name("run.json")
    pictures = sorted(path for path in faces.rglob("*") if path.is_file())
    now = {str(path.relative_to(faces)): _state_of(path) for path in pictures}
    for name, file in (("recipe", request.recipe), ("without", request.without)):
        now[name] = "" if file is None else hashlib.sha256(file.read_bytes()).hexdigest()
    if run.exists() and _read_record(record) != now:
        log.warning("%s: was learnt from other faces or by another recipe; it begins anew.", run)
        shutil.rmtree(run)
    write_whole(record, json.dumps(now).encode())


def _state_of(file: Path) -> str:
    """Return a text that differs once a file was changed."""
    state = file.stat()
    return f"{state.st_size} {state.st_mtime_ns}"


def _read_record(path: Path) -> dict[str, str] | None:
    """Return what a record says; ``None``: there is none that can be read."""
    try:
        return dict(json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _what_changed(before: dict[str, str] | None, now: dict[str, str]) -> str:
    if before is None:
        return "nobody knows from which photographs the faces were cut."
    if before.get(_CROP) != now[_CROP]:
        return f"the faces were not cut out as {now[_CROP]}."
    added = len(now.keys() - before.keys())
    removed = len(before.keys() - now.keys())
    changed = sum(before[name] != now[name] for name in before.keys() & now.keys())
    return f"photographs since then: {added} added, {removed} removed, {changed} changed."


def _figures_at(
    folder: FolderOfFaces, answers: NDArray[np.float64], at: NDArray[np.intp]
) -> Figures:
    """Return the figures of some of the faces."""
    labelled = categories_of(folder.faces)
    return classification_figures(labelled[at], answers[at].argmax(axis=1), EXPRESSIONS)


def _find_missed(
    folder: FolderOfFaces, answers: NDArray[np.float64], at: NDArray[np.intp]
) -> tuple[Contradicted, ...]:
    """Return those of some faces that are read as something else, the surest answer first."""
    wrong = at[answers[at].argmax(axis=1) != categories_of(folder.faces)[at]]
    return _contradicted(folder, answers, wrong)


def _find_doubted(
    folder: FolderOfFaces, answers: Sequence[NDArray[np.float64]]
) -> tuple[Contradicted, ...]:
    """Return the labels that all answers contradict, saying the same."""
    first = answers[0].argmax(axis=1)
    # As sure as the less sure of the two.
    sure = np.minimum.reduce(answers)
    # Two models that contradict a label in different ways say nothing about it.
    alike = np.logical_and.reduce([each.argmax(axis=1) == first for each in answers])
    differs = first != categories_of(folder.faces)
    chosen = np.flatnonzero(alike & differs & (sure.max(axis=1) >= SURE))
    return _contradicted(folder, sure, chosen)


def _contradicted(
    folder: FolderOfFaces, answers: NDArray[np.float64], chosen: NDArray[np.intp]
) -> tuple[Contradicted, ...]:
    """Return the faces at some places, with the most probable answer, the surest first."""
    labelled = categories_of(folder.faces)
    top, sure = answers.argmax(axis=1), answers.max(axis=1)
    ordered = chosen[np.argsort(-sure[chosen], kind="stable")][:SHOWN]
    return tuple(
        Contradicted(
            folder.files[at],
            EXPRESSIONS[labelled[at]],
            EXPRESSIONS[top[at]],
            float(sure[at]),
            int(at),
        )
        for at in ordered
    )


@dataclass(frozen=True, slots=True)
class OwnClasses:
    """The result of training a model of own classes: its card and its figures.

    Attributes:
        card: of the model.
        cut: how the photographs became faces, in words.
        counts: class → faces.
        figures: on the faces that were not used to fit anything.
        usual: share of those that always naming the commonest class gets right.
        alike: faces that look nearly like another one.
    """

    card: Path
    cut: str
    counts: dict[str, int]
    figures: Figures
    usual: float
    alike: int


def own_classes(photographs: Path) -> tuple[str, ...]:
    """Return the names of a folder's subfolders where none is a category; empty otherwise."""
    if not photographs.is_dir():
        return ()
    names = sorted(
        path.name
        for path in photographs.iterdir()
        if path.is_dir() and not path.name.startswith(".")
    )
    if any(name.lower() in {*EXPRESSIONS, *FER2013} for name in names):
        return ()
    return tuple(names) if len(names) > 1 else ()


def train_classes(photographs: Path, out: Path, classes: tuple[str, ...]) -> OwnClasses:
    """Cut faces out, learn their classes, and judge the int8 model on a fifth that fitted nothing.

    Args:
        photographs: a folder with a subfolder for each class.
        out: folder for faces, model and card.
        classes: names of the subfolders.

    Raises:
        DataError: the photographs cannot be used, or a class has too few faces.
    """
    faces = out / "faces"
    cut = cut_out(photographs, faces, None, classes)
    by_file, named, unreadable, _ = read_subfolders(faces, lambda folder: folder.name)
    for path in unreadable:
        log.warning("%s: is not a picture that can be read; it is left out", path)
    pictures = np.stack(list(by_file.values()))
    labels = np.array([classes.index(name) for name in named], dtype=np.int64)
    tested = is_tested(pictures, labels, _TESTED)
    _check_counts(classes, labels, tested)
    network, recipe = load_run(PUBLISHED / BASE)
    assert isinstance(network, RegionNetwork)
    module = _fit_layer(network, recipe, pictures[~tested], labels[~tested], len(classes))
    module.eval()
    card = write_model(
        module,
        pixel_input(recipe),
        {OUTPUT: classes},
        calibration=pictures[~tested][:_CALIBRATION],
        card=_card(classes, int(np.count_nonzero(~tested))),
        folder=out / "run",
    )
    model = load_model(card, kind="classes")
    answers = run_model(model, pictures[tested])[OUTPUT].argmax(axis=1)
    figures = classification_figures(labels[tested], answers, classes)
    metrics = {
        "tested": {
            "accuracy": round(figures.accuracy, 4),
            "macro_f1": round(figures.macro_f1, 4),
            "n": figures.n,
        }
    }
    write_whole(card, model.card.model_copy(update={"metrics": metrics}).to_json().encode())
    counts = {name: int((labels == at).sum()) for at, name in enumerate(classes)}
    # The commonest class of what was learnt: nothing of the tested faces is known to the model.
    usual = np.bincount(labels[~tested], minlength=len(classes)).argmax()
    alike = len(near_copies(pictures))
    share = float((labels[tested] == usual).mean())
    return OwnClasses(card, cut, counts, figures, share, alike)


class ClassesNetwork(nn.Module):
    """The filters of an expression network below one full connection."""

    def __init__(self, network: RegionNetwork, head: nn.Linear) -> None:
        super().__init__()
        self.network = network
        self.head = head

    def forward(self, x: Tensor) -> tuple[Tensor]:
        """N × 1 × H × W, normalised → the logits of the classes, N × K."""
        return (self.head(mean_over_regions(self.network.features(x))),)


def _fit_layer(
    network: RegionNetwork,
    recipe: ExpressionRecipe,
    pictures: NDArray[np.uint8],
    labels: NDArray[np.int64],
    classes: int,
) -> ClassesNetwork:
    """Fit the layer on the faces and their mirror images."""
    # A face and its mirror image show the same class.
    both = np.concatenate([pictures, pictures[:, :, ::-1]])
    with torch.no_grad():
        shown = recipe.as_input(torch.from_numpy(both).unsqueeze(1).float() / 255)
        seen = mean_over_regions(network.features(shown)).numpy().astype(np.float64)
    # A feature that never varies must not divide by 0.
    mean, deviation = seen.mean(axis=0), seen.std(axis=0) + 1e-6
    fitted = LogisticRegression(C=_STRENGTH, class_weight="balanced", max_iter=2000)
    fitted.fit((seen - mean) / deviation, np.tile(labels, 2))
    weight, bias = fitted.coef_, fitted.intercept_
    if classes == 2:  # scikit-learn keeps one row for two classes
        # Half of the difference to either side: the two logits are apart by what the one said.
        weight, bias = np.stack([-weight[0], weight[0]]) / 2, np.stack([-bias[0], bias[0]]) / 2
    head = nn.Linear(seen.shape[1], classes)
    with torch.no_grad():
        # The standardisation is folded into the layer, so that the file has no further step.
        head.weight.copy_(torch.from_numpy(weight / deviation))
        head.bias.copy_(torch.from_numpy(bias - weight @ (mean / deviation)))
    return ClassesNetwork(network, head)


def _check_counts(
    classes: tuple[str, ...], labels: NDArray[np.int64], tested: NDArray[np.bool_]
) -> None:
    for at, name in enumerate(classes):
        learnt, judged = ((labels == at) & ~tested).sum(), ((labels == at) & tested).sum()
        if learnt < FEWEST or judged < TESTED_FEWEST:
            raise DataError(
                f"class {name!r} has {learnt} faces to learn from and {judged} to judge by; at "
                f"least {FEWEST} and {TESTED_FEWEST} are needed. Add photographs of it (all begins "
                "anew in another --out)"
            )


def _card(classes: tuple[str, ...], faces: int) -> dict[str, object]:
    # Another set of classes has another name, so that no model takes the place of another.
    key = hashlib.sha256("\n".join(classes).encode()).hexdigest()[:8]
    return {
        "name": f"{NAME}-{key}",
        "version": "1.0.0",
        "kind": "classes",
        "license": "that of your pictures, and Apache-2.0; learnt on from FER2013, which was "
        "published for research",
        "description": f"Tells {', '.join(classes)} apart, of one aligned grey face.",
        "temperature": 1.0,
        "crop": EXPRESSION_CROP,
        "training": {
            "recipe": "none: one layer on the filters of the base",
            "seed": 0,
            "epochs": 0,
            "data": (f"{faces} faces of your own", f"weights of {BASE}"),
            "date": clock.utc_now().date().isoformat(),
        },
        "metrics": {},
        "limits": (
            "Classes of somebody's own: the appliance cannot use it.",
            "Its probabilities are not calibrated.",
        ),
    }


def verdict(made: OwnClasses) -> str:
    """Return how good the model is, in a sentence."""
    return (
        f"Right in {made.figures.accuracy:.1%} of {made.figures.n} faces that it never saw; always "
        f"naming the commonest class is right in {made.usual:.1%}."
    )


def caution(made: OwnClasses) -> str:
    """Return what the figure does not say, in words."""
    if made.alike:
        return f"{SAME_PEOPLE} {made.alike} faces look nearly like another one: keep one of each."
    return SAME_PEOPLE


def classes_text(made: OwnClasses) -> str:
    """Return the report for a terminal."""
    lines = [verdict(made)]
    for name, figures in made.figures.per_class.items():
        lines.append(f"  {name}: found {figures.recall:.1%} of {figures.n}")
    return "\n".join([*lines, caution(made), *left_out(made.cut), str(made.card), _NOT_HERE])


def classes_page(made: OwnClasses) -> bytes:
    """Return the page: verdict, faces, figures by class, confusion matrix. It shows no face."""
    classes = made.figures.labels
    matrix = [
        (name, *map(str, row))
        for name, row in zip(classes, made.figures.confusion_matrix, strict=True)
    ]
    by_class = [
        (name, str(made.counts[name]), f"{one.precision:.2f}", f"{one.recall:.2f}", f"{one.f1:.2f}")
        for name, one in made.figures.per_class.items()
    ]
    body = [
        f"<h1>{_TITLE}</h1>",
        f"<p><strong>{html.escape(verdict(made))}</strong></p>",
        f"<p>{html.escape(caution(made))}</p>",
        f"<p>{_NOT_HERE}</p>",
        html_table(("class", "faces", "precision", "recall", "F1"), by_class),
        "<h2>Confusion matrix</h2><p>Row: what it is; column: what was said.</p>",
        html_table(("", *classes), matrix),
        f"<pre>{html.escape(made.cut)}</pre>",
    ]
    return html_page(_TITLE, body).encode()


def report_text(own: OwnModel) -> str:
    """Return the report for a terminal."""
    lines = [own.verdict, *(f"  {line}" for line in _by_category(own))]
    lines += [*own.reading, *own.cautions, *left_out(own.cut)]
    if own.doubted:
        lines.append("Perhaps mislabelled; look at them:")
        lines += [f"  {_doubt(one)}" for one in own.doubted]
    lines.append("Put it on the device:")
    lines += [f"  {line}" for line in _install(own)]
    return "\n".join(lines)


def report_page(own: OwnModel) -> bytes:
    """Return the page. It shows faces, so it is for whoever may look at the photographs."""
    body = [
        "<h1>A model of your own faces</h1>",
        f"<p><strong>{html.escape(own.verdict)}</strong></p>",
        *(f"<p>{html.escape(each)}</p>" for each in (*own.reading, *own.cautions)),
        "<h2>Faces</h2>",
        html_table(("category", "faces"), _counts(own)),
    ]
    if own.cut:
        body.append(f"<pre>{html.escape(own.cut)}</pre>")
    body.append("<h2>What is doubtful about them</h2>")
    if own.problems:
        body.append("<ul>" + "".join(f"<li>{html.escape(each)}" for each in own.problems) + "</ul>")
    else:
        body.append("<p>Nothing was found.</p>")
    body.append("<h2>Beside the shipped model, on faces that fitted nothing</h2>")
    body.append(_side_by_side(own.comparison))
    body += _where_it_fails(own)
    body.append("<h2>Labels to look at</h2>")
    if own.doubted:
        body.append("<p>Both models are sure of another category. They may both be wrong.</p>")
        body.append(
            html_faces(([own.folder.faces.pictures[one.index]], _doubt(one)) for one in own.doubted)
        )
    else:
        body.append("<p>None: no label is contradicted by both models.</p>")
    body.append("<h2>Put it on the device</h2>")
    body.append(f"<pre>{html.escape(chr(10).join(_install(own)))}</pre>")
    return html_page("A model of your own faces", body, FACES_STYLE).encode()


def _by_category(own: OwnModel) -> list[str]:
    """Return a line a category that was tested: how many faces of it were found."""
    shipped, new = own.figures
    return [
        f"{name}: found {row[at]} of {sum(row)} (shipped model {before[at]})"
        + (f"; most often taken for {_mistake(row, at)}" if row[at] < sum(row) else "")
        for at, (name, before, row) in enumerate(
            zip(new.labels, shipped.confusion_matrix, new.confusion_matrix, strict=True)
        )
        if sum(row)
    ]


def _mistake(row: Sequence[int], at: int) -> str:
    """Return what faces of a category, ``at``, are most often taken for; all of them in a tie."""
    others = [-1 if place == at else count for place, count in enumerate(row)]
    most = max(others)
    return ", ".join(EXPRESSIONS[place] for place, count in enumerate(others) if count == most)


def _where_it_fails(own: OwnModel) -> list[str]:
    """Return the part of the page about the tested faces that the new model reads wrongly."""
    new = own.figures[1]
    seen = [at for at, name in enumerate(new.labels) if new.per_class[name].n]
    answered = [at for at in range(len(new.labels)) if any(row[at] for row in new.confusion_matrix)]
    rows = [
        (new.labels[at], *(str(new.confusion_matrix[at][of]) for of in answered)) for at in seen
    ]
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in _by_category(own))
    parts = [
        "<h2>Where the new model fails</h2>",
        f"<ul>{lines}</ul>",
        "<p>Row: the label; column: what the new model says.</p>",
        html_table(("", *(new.labels[at] for at in answered)), rows),
    ]
    if own.missed:
        parts.append(
            html_faces(([own.folder.faces.pictures[one.index]], _miss(one)) for one in own.missed)
        )
    return parts


def _miss(one: Contradicted) -> str:
    return (
        f"{one.file.parent.name}/{one.file.name}: labelled {one.labelled}, read as {one.answer} "
        f"({one.probability:.0%})"
    )


def _side_by_side(comparison: ProtocolComparison) -> str:
    """Return a table of both models side by side; the pictures of a folder have one label, so one
    protocol is enough.
    """
    protocol = next(iter(comparison.tests))
    sides = (comparison.first, comparison.second)
    rows = [
        ("right", *(f"{side.accuracy[protocol]:.1%}" for side in sides)),
        ("mean F1 of the categories", *(f"{side.macro_f1[protocol]:.3f}" for side in sides)),
        ("calibration error", *(f"{side.calibration_error[protocol]:.3f}" for side in sides)),
        ("milliseconds a face, here", *(f"{side.milliseconds:.2f}" for side in sides)),
        ("megabytes", *(f"{side.file_bytes / 1e6:.2f}" for side in sides)),
    ]
    return html_table(("", *(side.model for side in sides)), rows)


def _counts(own: OwnModel) -> list[tuple[str, str]]:
    counts = np.bincount(categories_of(own.folder.faces), minlength=len(EXPRESSIONS))
    return [(name, str(n)) for name, n in zip(EXPRESSIONS, counts, strict=True) if n]


def _doubt(one: Contradicted) -> str:
    return (
        f"{one.file.parent.name}/{one.file.name}: labelled {one.labelled}, both models say "
        f"{one.answer} ({one.probability:.0%} or more)"
    )


def _install(own: OwnModel) -> list[str]:
    """Return the commands that put the model on a device, and those that go back."""
    file = own.card.with_suffix(".tflite")
    return [
        f"copy {file} and {own.card} to the device, into one folder; there:",
        f"sudo affect-edge model install {file.name}",
        "sudo systemctl restart affect-edge-agent affect-edge-dashboard",
        "go back: sudo affect-edge model install expression-accurate",
    ]
