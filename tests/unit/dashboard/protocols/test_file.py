"""Protocol files: what they may say, and how each mistake is reported."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dashboard.languages.current import available
from dashboard.protocols.file import EXAMPLES, FILE_BYTES, Order, ProtocolError, load_protocol
from dashboard.protocols.media import MediaKind, find_media, media_type
from dashboard.protocols.steps import Baseline, Report, Stimulus
from dashboard.protocols.texts import Scale
from edge_agent.core.instruments import InstrumentName

EXAMPLE = EXAMPLES / "three-conditions.toml"
PNG = b"\x89PNG\r\n\x1a\n" + bytes(20)


def written(folder: Path, text: str, name: str = "films.toml") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def stimulus(lines: str) -> str:
    rest = '[[step]]\nkind = "rest"'
    film = '[[step]]\nkind = "stimulus"\nlabel = "anger"'
    return f'title = "Films"\n\n{rest}\n\n{film}\n{lines}\n'


def refusal(path: Path) -> str:
    with pytest.raises(ProtocolError) as caught:
        load_protocol(path)
    return str(caught.value)


def test_example_shows_three_conditions_in_order_of_each_participants_own() -> None:
    protocol = load_protocol(EXAMPLE)
    assert protocol.name == "three-conditions"
    assert protocol.order is Order.COUNTERBALANCED
    assert isinstance(protocol.steps[0], Baseline)
    assert [s.label for s in protocol.steps if isinstance(s, Stimulus)] == [
        "neutral",
        "happiness",
        "anger",
    ]
    assert [s.scales for s in protocol.steps if isinstance(s, Report)] == [tuple(Scale)] * 3


@pytest.mark.parametrize(("line", "asked"), [("", None), ("own_neutral = true", True)])
def test_protocol_says_whether_its_baseline_calibrates(
    tmp_path: Path, line: str, asked: bool | None
) -> None:
    path = written(tmp_path, f'title = "A"\n{line}\n[[step]]\nkind = "baseline"')
    assert load_protocol(path).own_neutral is asked


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ('text = "Hm"', "line 6: step 2: a text or a picture needs seconds"),
        (
            'text = "Hm"\npicture = "a.png"\nseconds = 3',
            "exactly one of text, picture, sound, video",
        ),
        (
            'text = "Hm"\nseconds = nan',
            "line 10: step 2, seconds = nan: input should be a finite number",
        ),
        (
            'text = "Hm"\nsecond = 3',
            "line 10: step 2, second: unknown key. Known here: kind, label, seconds, text",
        ),
        (
            'text = "a\\u0000b"\nseconds = 3',
            "line 9: step 2, text: a text may hold printable characters",
        ),
    ],
)
def test_a_mistake_is_reported_with_step_key_value_and_line(
    tmp_path: Path, lines: str, said: str
) -> None:
    path = written(tmp_path, stimulus(lines))
    assert said in refusal(path)
    assert str(path) in refusal(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('title = "A"', "step: field required"),
        (
            'title = "A"\nown_neutral = true\n[[step]]\nkind = "baseline"\nseconds = 9',
            "own_neutral = true needs a step of kind baseline of 10 s or more",
        ),
        (
            'title = "A"\norder = "any"\n[[step]]\nkind = "rest"',
            "line 2: order = 'any': input should be 'given'",
        ),
        ('title = "A"\n[[step]]\nkind = "sleep"', "line 2: step 1"),
        (
            'title = "A\\nB"\n[[step]]\nkind = "rest"',
            "line 1: title: a label is 1 to 80 printable characters",
        ),
        (
            'title = "A"\n[[step]]\nkind = "report"\nscales = ["valence", "valence"]',
            "scales lists a scale twice",
        ),
        ("a" + ".a" * 5000 + " = 1", "line 1: a key has more than 16 parts"),
        ("title = " + "[" * 9000, "is not valid TOML|too deep"),
        ('title = "A"\n' + '[[step]]\nkind = "rest"\n' * 201, "step = "),
    ],
)
def test_a_broken_file_is_refused_with_the_reason(tmp_path: Path, text: str, said: str) -> None:
    assert any(part in refusal(written(tmp_path, text)) for part in said.split("|"))


def test_a_file_that_is_no_text_too_large_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "bytes.toml").write_bytes(b"title = '\xff'")
    assert "is not UTF-8 text (byte 9)" in refusal(tmp_path / "bytes.toml")
    assert "is larger than 64 KiB" in refusal(written(tmp_path, "#" * (FILE_BYTES + 1)))
    assert "no such file" in refusal(tmp_path / "nothing.toml")
    assert "cannot be read" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("missing.png", "there is no such file in"),
        ("../outside.png", "must be in the protocol's folder"),
        ("link.png", "must be in the protocol's folder"),
        ("folder.png", "there is no such file in"),
        ("text.png", "the file is not image/png"),
        ("right.mp4", "a picture is a file that ends in one of: .png, .jpg"),
    ],
)
def test_media_file_that_is_missing_elsewhere_or_another_thing_is_refused(
    tmp_path: Path, name: str, said: str
) -> None:
    home = tmp_path / "study"
    (home / "folder.png").mkdir(parents=True)
    (tmp_path / "outside.png").write_bytes(PNG)
    (home / "link.png").symlink_to(tmp_path / "outside.png")
    (home / "text.png").write_text("hello", encoding="utf-8")
    (home / "right.mp4").write_bytes(b"\0\0\0\x18ftypisom")
    found = refusal(written(home, stimulus(f'picture = "{name}"\nseconds = 3')))
    assert "line 9: step 2, picture = " in found
    assert said in found


def test_media_of_every_kind_in_folders_below_are_found(tmp_path: Path) -> None:
    (tmp_path / "media").mkdir()
    files = {
        "a.png": PNG,
        "a.wav": b"RIFF\0\0\0\0WAVE",
        "a.webm": b"\x1a\x45\xdf\xa3",
        "a.mp3": b"ID3\x04",
    }
    for name, content in files.items():
        (tmp_path / "media" / name).write_bytes(content)
    path = written(
        tmp_path,
        stimulus('picture = "media/a.png"\nseconds = 3')
        + '[[step]]\nkind = "stimulus"\nlabel = "x"\nsound = "media/a.wav"\n'
        + '[[step]]\nkind = "stimulus"\nlabel = "x"\nvideo = "media/a.webm"\nseconds = 4\n',
    )
    steps = [step for step in load_protocol(path).steps if isinstance(step, Stimulus)]
    assert [step.media for step in steps] == [
        (MediaKind.PICTURE, "media/a.png"),
        (MediaKind.SOUND, "media/a.wav"),
        (MediaKind.VIDEO, "media/a.webm"),
    ]
    assert media_type("media/A.PNG") == "image/png"
    assert find_media(tmp_path, "media/a.png") == (tmp_path / "media" / "a.png").resolve()


@given(name=st.text(max_size=40))
def test_no_name_leads_out_of_the_folder(
    tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    home = tmp_path_factory.getbasetemp() / "home"
    home.mkdir(exist_ok=True)
    try:
        found = find_media(home, name)
    except ValueError:
        return
    assert home.resolve() in found.parents


def test_a_file_that_nobody_may_read_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(PNG)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    assert "cannot be read" in refusal(
        written(tmp_path, stimulus('picture = "a.png"\nseconds = 3'))
    )


def test_instruments_that_no_session_could_keep_are_refused(tmp_path: Path) -> None:
    names = [one.value for one in InstrumentName]
    fits = "[instruments]\n" + "".join(f'{name} = "{"x" * 45}"\n' for name in names)
    film = written(tmp_path, stimulus('text = "A film"\nseconds = 5') + fits)
    assert 550 < len(load_protocol(film).instruments) <= 600
    film.write_text(film.read_text().replace("x" * 45, "x" * 60))
    assert "together they have more than 600 characters" in refusal(film)


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*-??.toml")), ids=lambda path: path.stem)
def test_shipped_protocol_is_the_same_in_another_language(path: Path) -> None:
    shipped = load_protocol(EXAMPLES / f"{path.stem[:-3]}.toml")
    other = load_protocol(path)
    assert (other.texts.language, other.order) == (path.stem[-2:], shipped.order)
    words = {"text"}
    assert [one.model_dump(exclude=words) for one in other.steps] == [
        one.model_dump(exclude=words) for one in shipped.steps
    ]
    said, own = (
        [text for one in steps.steps if (text := getattr(one, "text", None))]
        for steps in (shipped, other)
    )
    assert len(said) == len(own) and not set(own) & set(said)


def test_shipped_protocols_are_there_in_every_language() -> None:
    names = {path.stem for path in EXAMPLES.glob("*.toml")}
    plain = {name for name in names if not name.endswith(tuple(f"-{one}" for one in available()))}
    others = [one for one in available() if one != "en"]
    assert names == plain | {f"{name}-{code}" for name in plain for code in others}
