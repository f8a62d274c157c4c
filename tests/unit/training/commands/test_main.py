"""The command line of the training: what it says when something is missing or wrong."""

import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path

import pytest

from training.commands import main, options

ROOT = Path(__file__).resolve().parents[4]
NEEDS_EXTRA = pytest.mark.skipif(
    find_spec("litert_torch") is None, reason="the training extra is not installed"
)
RECIPE = str(ROOT / "training" / "recipes" / "steps" / "fast-m.toml")


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Run the command line as ``python -m training`` would, and return its exit code."""
    monkeypatch.setattr(sys, "argv", ["training", *arguments])
    with pytest.raises(SystemExit) as ended:
        main.main()
    return ended.value.code


def without(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    def find(name: str) -> ModuleSpec | None:
        return None if name == absent else find_spec(name)

    monkeypatch.setattr(options, "find_spec", find)


@pytest.mark.parametrize("command", ["fit", "quantize"])
def test_without_torch_one_sentence_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    without(monkeypatch, "torch")

    code = run(monkeypatch, command, "--recipe", RECIPE, "--data", "fer2013.csv")

    assert code == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: this needs torch")
    assert ".venv/bin/pip install -e '.[training]'" in line


def test_evaluate_needs_no_torch_and_names_the_data_that_are_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("sklearn", reason="the training extra is not installed")
    without(monkeypatch, "torch")

    code = run(
        monkeypatch, "evaluate", str(tmp_path / "m.tflite"), "--data", str(tmp_path / "absent.csv")
    )

    assert code == 1
    assert "absent.csv: cannot be read: No such file" in capsys.readouterr().err


@NEEDS_EXTRA
def test_a_recipe_that_is_missing_is_wrong_use(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = run(monkeypatch, "fit", "--recipe", "absent.toml", "--data", "fer2013.csv")

    assert code == 2
    assert "absent.toml: cannot be read" in capsys.readouterr().err


@NEEDS_EXTRA
def test_quantize_before_any_training_says_how_to_train(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    code = run(
        monkeypatch, "quantize", "--recipe", RECIPE, "--data", "fer2013.csv", "--out", str(tmp_path)
    )

    assert code == 2
    assert (
        "holds no checkpoint.pt; train first with: python -m training fit"
    ) in capsys.readouterr().err


@NEEDS_EXTRA
def test_quantize_of_an_unfinished_run_says_how_to_go_on_and_trains_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import torch

    torch.save(
        {"schedule": {"epochs": 24, "batch": 8, "peak_lr": 0.1}, "rows": [{}] * 20},
        tmp_path / "checkpoint.pt",
    )

    code = run(
        monkeypatch, "quantize", "--recipe", RECIPE, "--data", "fer2013.csv", "--out", str(tmp_path)
    )

    assert code == 2
    said = capsys.readouterr().err
    assert "4 epochs are still to be done; continue with: python -m training fit" in said
    assert "--resume" in said


def test_wrong_use_ends_with_code_two(monkeypatch: pytest.MonkeyPatch) -> None:
    assert (
        run(monkeypatch, "fit", "--recipe", RECIPE, "--data", "fer2013.csv", "--limit", "tiny") == 2
    )


def test_help_names_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "--help") == 0
    printed = capsys.readouterr().out
    assert all(command in printed for command in ("fit", "evaluate", "quantize"))


@NEEDS_EXTRA
def test_a_run_is_never_written_over(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    checkpoint = tmp_path / "checkpoint.pt"
    checkpoint.write_bytes(b"hours of learning")

    code = run(
        monkeypatch, "fit", "--recipe", RECIPE, "--data", "fer2013.csv", "--out", str(tmp_path)
    )

    assert code == 2
    error = capsys.readouterr().err
    assert f"{tmp_path}: holds a run already" in error
    assert "--resume" in error
    assert checkpoint.read_bytes() == b"hours of learning"
    assert list(tmp_path.iterdir()) == [checkpoint]


@NEEDS_EXTRA
@pytest.mark.parametrize(
    ("saved", "words"), [(True, "--resume"), (False, "before the first epoch was saved")]
)
def test_ctrl_c_says_how_a_run_goes_on(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    saved: bool,
    words: str,
) -> None:
    def stopped(_: object) -> None:
        if saved:
            (tmp_path / "checkpoint.pt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("training.learning.run.train", stopped)

    code = run(
        monkeypatch, "fit", "--recipe", RECIPE, "--data", "fer2013.csv", "--out", str(tmp_path)
    )

    assert code == 130
    assert words in capsys.readouterr().err
