"""The one reader of tables that people bring: its rows, and its words for what is no row."""

from __future__ import annotations

from io import BytesIO

import pytest

from edge_agent.core.brought_tables import BroughtTable, Repeated, Row, TableForm
from edge_agent.core.errors import DataFileError

TABLE = "name,value\na,1\nb,2\n"


def table(raw: str | bytes, form: TableForm | None = None) -> BroughtTable:
    content = raw if isinstance(raw, bytes) else raw.encode()
    return BroughtTable("t.csv", lambda: BytesIO(content), form or TableForm())


def read(raw: str | bytes, form: TableForm | None = None) -> list[Row]:
    return list(table(raw, form).rows())


WHOLE = [Row(2, ["a", "1"]), Row(3, ["b", "2"])]


@pytest.mark.parametrize(
    "raw",
    [
        TABLE,
        TABLE.encode("utf-8-sig"),
        TABLE.encode("utf-16"),
        TABLE.encode("utf-16-le"),
        TABLE.encode("utf-16-be"),
        TABLE.replace(",", ";"),
        TABLE.replace(",", "\t"),
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.replace("2\n", "2,,\n"),
        'name,value\n a ,"1"\nb,2',
        "sep=;\n" + TABLE.replace(",", ";"),
    ],
)
def test_table_in_each_encoding_and_dialect_has_the_same_rows(raw: str | bytes) -> None:
    assert read(raw) == WHOLE


def test_table_of_a_code_page_is_refused_with_row_byte_and_way() -> None:
    rows = "".join(f"row {number},1\n" for number in range(3_000))
    raw = f"name,value\n{rows}M\u00fcller,2\n".encode("cp1252")
    with pytest.raises(DataFileError, match=r"t.csv, row 3002: is not UTF-8 text \(byte 0xfc\)"):
        read(raw)
    with pytest.raises(DataFileError, match='Save it as "CSV UTF-8"'):
        read("Gr\u00f6\u00dfe,value\n".encode("cp1252"))


def test_row_of_another_length_has_a_fault_and_blank_rows_none() -> None:
    rows = read("a,b\n1\n1,2,3\n\n,\n3,4\n")
    assert [(row.number, bool(row.fault)) for row in rows] == [(2, True), (3, True), (6, False)]
    assert rows[0].fault.startswith("has 1 values, but there are 2 columns. Put values with")


def test_names_below_other_rows_are_known_and_those_rows_kept() -> None:
    form = TableForm(lambda cells: "value" in cells)
    brought = table(f"Exported by x\nDate: 2026-10-02\n\n{TABLE}", form)
    assert brought.header == ("name", "value")
    assert list(brought.rows()) == [Row(5, ["a", "1"]), Row(6, ["b", "2"])]
    assert brought.rows_above[1] == (2, ["Date: 2026-10-02"])
    assert brought.remarks == ["t.csv: rows above the names of the columns, which are not read: 3."]


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ("made by X\n\n# a\nAt,Kind,label\n1,2,3\n", " Row 4 names the columns"),
        ("at|kind\n1|2\n", " It has one column: cells have to be separated"),
        ("at kind\n1 2\n", " It has one column: cells have to be separated"),
        ("when,what\n1,2\n", ""),
        ("at,what\n1,at\n", ""),
    ],
)
def test_table_without_known_columns_says_why_where_its_form_shows_it(raw: str, why: str) -> None:
    said = table(raw).why_unknown(("at", "kind"))
    assert said.startswith(why) and bool(said) == bool(why)


def test_further_table_below_a_blank_row_is_not_read_and_named() -> None:
    brought = table(TABLE + "\nday,a,b\n1,2,3\n")
    assert list(brought.rows()) == WHOLE
    assert brought.remarks == ["t.csv: with row 5 another table begins, which is not read."]


def test_day_in_a_row_of_its_own_stands_above_the_rows_below_it() -> None:
    raw = 'time,value\n"Oct 2, 2026",\n7:45,1\n8:00,2\n01.10.2026\n9:00,3\n'
    days = [(row.cells[0], row.day) for row in read(raw, TableForm(has_days=True))]
    assert days == [("7:45", "Oct 2, 2026"), ("8:00", "Oct 2, 2026"), ("9:00", "01.10.2026")]


def test_quote_that_is_never_closed_is_refused_by_its_row() -> None:
    with pytest.raises(DataFileError, match=r"t.csv, row 3: is not CSV .* Check the quotes"):
        read('a,b\n1,2\n"3,4\n')


def test_messages_that_differ_in_values_alone_are_one_line() -> None:
    repeated = Repeated()
    for row in range(12):
        repeated.add("t.csv", f"row {row + 2}", f", column hr: '{row}' is odd.")
    repeated.add("t.csv", "row 99", ": has 3 values.")
    assert repeated.lines == [
        "t.csv, rows 2, 3, 4, 5, 6, 7, 8, 9, 10, 11 and 2 more, column hr: '0' is odd.",
        "t.csv, row 99: has 3 values.",
    ]
    assert repeated.count == 13
