"""What commands end with and print: exit codes, and the shapes of what ``--json`` prints.

Commands stand here as a person types them; words in capitals take the place of files, which are
somewhere else in every run.
"""

from __future__ import annotations

import json
import socket
from collections.abc import Iterable
from pathlib import Path

from matplotlib import get_data_path

from tests.golden import project
from tests.golden.sections import Place
from tests.golden.shapes import Shape, shape_of_all, value_shape

PROGRAMS = {
    "affect-edge": project.affect_edge,
    "python -m dashboard": project.dashboard,
    "python -m training": project.training,
}
ATTEMPTS = (
    "affect-edge --version",
    "affect-edge --help",
    "affect-edge unknown-command",
    "affect-edge config check RIGHT.toml",
    "affect-edge config check WRONG.toml",
    "affect-edge doctor --config WRONG.toml",
    "affect-edge model verify --data EMPTY",
    "affect-edge model verify MISSING --data EMPTY",
    "affect-edge participant list --data STUDY",
    "affect-edge participant list --data MISSING",
    "affect-edge session show --data STUDY",
    "affect-edge session start P-01 --purpose fun --data MISSING",
    "affect-edge classify MISSING --data EMPTY",
    "affect-edge export --format fhir --out MISSING --data EMPTY",
    "affect-edge import-vitals MISSING --data EMPTY",
    "python -m dashboard --help",
    "python -m dashboard --unknown-option",
    "python -m dashboard --config WRONG.toml",
    "python -m dashboard --host 0.0.0.0 --data MISSING",
    "python -m dashboard --port TAKEN --data MISSING",
    "python -m dashboard analyse --state unknown",
    "python -m dashboard analyse --data MISSING",
    "python -m dashboard protocol check EXAMPLE.toml",
    "python -m dashboard protocol check MISSING",
    "python -m dashboard password unknown --data STUDY",
    "python -m training --help",
    "python -m training unknown-command",
    "python -m training evaluate",
    "python -m training evaluate MODEL.tflite --data MISSING",
)
ANSWERS = (
    "affect-edge model list --data EMPTY",
    "affect-edge classify PICTURE --data EMPTY",
    "affect-edge classify MISSING --data EMPTY",
    "affect-edge doctor --data EMPTY",
    "affect-edge bench --frames 3 --data EMPTY",
    "affect-edge participant list --data STUDY",
    "affect-edge session quality 1 --data STUDY",
    "affect-edge session start P-01 --purpose research --data EMPTY",
    "affect-edge session mark note hello --data EMPTY",
    "affect-edge session show --data EMPTY",
    "affect-edge session end --data EMPTY",
    "affect-edge participant erase P-01 --confirm P-01 --data EMPTY",
)
ANALYSES = (
    "python -m dashboard analyse --data STUDY --state condition",
    "python -m dashboard analyse --data STUDY --state observed --sensitivity",
    "python -m dashboard analyse --data STUDY --state reported",
)
MEASUREMENTS = (
    "python -m training evaluate MODEL.tflite DATA --robustness",
    "python -m training evaluate --predictions TABLE.csv --truth TABLE.csv",
    "python -m training compare MODEL.tflite MODEL.tflite DATA",
)


class Words:
    """What stands for the words in capitals.

    Args:
        place: where the files are made.
    """

    def __init__(self, place: Place) -> None:
        folder = place.folder
        wrong = folder / "wrong.toml"
        wrong.write_text("[camera]\nsource = 'webcam'\n", encoding="utf-8")
        picture = Path(get_data_path()) / "sample_data" / "grace_hopper.jpg"
        self._config = place.config
        self._words: dict[str, tuple[object, ...]] = {
            "RIGHT.toml": (place.config,),
            "WRONG.toml": (wrong,),
            "MISSING": (folder / "missing",),
            "EMPTY": (folder / "empty",),
            "STUDY": (place.study,),
            "PICTURE": (picture,),
            "EXAMPLE.toml": (next(project.EXAMPLES.glob("*.toml")),),
            "MODEL.tflite": (project.MODELS_FOLDER / "expression-fast.tflite",),
        }

    def let(self, word: str, *meaning: object) -> None:
        self._words[word] = meaning

    def run(self, command: str, *more: object) -> project.Ended:
        """Run a command in this process, with our configuration where it names none."""
        program = next(name for name in PROGRAMS if command.startswith(name))
        typed = command.removeprefix(program).split()
        words = [one for word in typed for one in self._words.get(word, (word,))]
        if "--data" in typed and program != "python -m training":
            words += ["--config", self._config]
        return PROGRAMS[program](*words, *more)

    def answer(self, command: str) -> Shape:
        """Return the shape of what a command prints with ``--json``; in words, where it is none."""
        ended = self.run(command, "--json")
        try:
            return value_shape(json.loads(ended.printed))
        except ValueError:
            return f"no JSON; the exit code is {ended.code}"

    def answers(self, commands: Iterable[str]) -> Shape:
        """Return the shape that the answers of all of these commands fit."""
        return shape_of_all(json.loads(self.run(command, "--json").printed) for command in commands)


def exit_codes(place: Place) -> Shape:
    words = Words(place)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        words.let("TAKEN", taken.getsockname()[1])
        return {command: words.run(command).code for command in ATTEMPTS}


def command_output(place: Place) -> Shape:
    """What commands print with ``--json``; the last ones run a session until its end."""
    words = Words(place)
    database = project.new_database(place.folder / "empty")
    project.write(
        database,
        "INSERT INTO participant (id, code, created) VALUES (1, 'P-01', 1)",
        "INSERT INTO consent (participant, text_version, given) VALUES (1, '1', 1)",
    )
    found: dict[str, Shape] = {command: words.answer(command) for command in ANSWERS}
    found["python -m dashboard analyse"] = words.answers(ANALYSES)
    found["affect-edge vitals scan"] = value_shape(project.found_sensors())
    return found


def training_output(place: Place) -> Shape:
    """What ``evaluate`` and ``compare`` print, for a shipped model and a few made pictures."""
    words = Words(place)
    table = place.folder / "answers.csv"
    table.write_text("id,label\n1,anger\n2,fear\n", encoding="utf-8")
    words.let("TABLE.csv", table)
    words.let("DATA", *_labelled_pictures(place.folder))
    return {command: words.answer(command) for command in MEASUREMENTS}


def _labelled_pictures(folder: Path) -> list[object]:
    """Write a FER2013 table of 21 pictures and its votes; return the options that name them."""
    emotions = project.WORDS["emotions"]
    table = ["emotion,pixels,Usage"]
    votes = [",".join(("Usage", "Image name", *emotions, "unknown", "NF"))]
    for number in range(21):
        label = number % 7
        pixels = " ".join(str((pixel * (number + 1)) % 256) for pixel in range(48 * 48))
        table.append(f"{label},{pixels},PublicTest")
        counts = ["10" if column == label else "0" for column in range(10)]
        votes.append(",".join(("PublicTest", "a.png", *counts)))
    words: list[object] = ["--cache", folder / "cache"]
    for option, lines in (("--data", table), ("--votes", votes)):
        file = folder / f"pictures{option}.csv"
        file.write_text("\n".join(lines) + "\n", encoding="utf-8")
        words += [option, file]
    return words
