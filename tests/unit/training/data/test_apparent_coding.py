"""Apparent sex and skin, coded twice: what both codings agree on counts."""

from __future__ import annotations

from pathlib import Path

import pytest

from training.data import apparent
from training.data.apparent import read_coding
from training.errors import DataError

HEAD = "file,sex_1,sex_2,skin_1,skin_2\n"


def table(folder: Path, rows: str) -> Path:
    path = folder / "coded.csv"
    path.write_text(HEAD + rows, encoding="utf-8")
    return path


def test_coding_counts_where_both_times_agree(tmp_path: Path) -> None:
    rows = (
        "a.jpg,woman,woman,dark,dark\n"
        "b.jpg,woman,unclear,light,light\n"
        "c.jpg,man,man,light,other\n"
        "d.jpg,man,man,light,light\n"
    )

    coding = read_coding(table(tmp_path, rows))

    assert coding.coded == 4
    assert coding.find_files("sex", "woman") == {"a.jpg"}
    assert coding.find_files("sex", "man") == {"c.jpg", "d.jpg"}
    assert coding.find_files("skin", "light", "other") == {"b.jpg", "d.jpg"}
    # Both said the same of three in four; by chance 2/4·1/4 + 2/4·2/4 and 1/4·1/4 + 3/4·2/4.
    assert coding.kappa["sex"] == pytest.approx((0.75 - 0.375) / (1 - 0.375))
    assert coding.kappa["skin"] == pytest.approx((0.75 - 0.4375) / (1 - 0.4375))


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ("b.jpg,woman,lady,dark,dark", "row 3, column sex_2: 'lady' is not one of woman, man"),
        ("a.jpg,man,man,light,light", "row 3, column file: 'a.jpg' has a row further up"),
    ],
)
def test_coding_fault_is_reported_with_row_and_column(tmp_path: Path, row: str, said: str) -> None:
    path = table(tmp_path, f"a.jpg,man,man,light,light\n{row}\n")
    with pytest.raises(DataError, match=f"{path}: {said}"):
        read_coding(path)


def test_coding_shipped_tables_can_be_read() -> None:
    folder = Path(apparent.__file__).parent
    photos, london = (read_coding(folder / f"apparent_{name}.csv") for name in ("photos", "london"))

    assert (photos.coded, london.coded) == (744, 90)
    assert photos.find_files("sex", "woman") and photos.find_files("skin", "dark")
