import csv
import io
import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from config import tables
from config.city_files import EXAMPLE, read_city
from config.problems import ProblemLog
from config.tables import Table
from tests.config.helpers import DAY

TABLE = Table(columns=("a", "b"))
cells = st.text(st.sampled_from('x\r\n ",é'), max_size=4)


@given(rows=st.lists(st.tuples(cells, cells).filter(any), max_size=12), end=st.sampled_from(["\n", "\r\n"]))
def test_every_row_stands_on_the_line_on_which_it_begins(rows: list[tuple[str, str]], end: str) -> None:
    out = io.StringIO(newline="")
    table = csv.writer(out, lineterminator=end, quoting=csv.QUOTE_ALL)
    table.writerow(TABLE.columns)
    begins = []
    for row in rows:
        begins.append(1 + len(io.StringIO(out.getvalue(), newline=None).readlines()))
        table.writerow(row)
    log = ProblemLog()
    found = list(TABLE.cells(out.getvalue().encode(), log.of("t.csv")))
    assert log.all() == ()
    assert found == [(line, (a.strip(), b.strip())) for line, (a, b) in zip(begins, rows, strict=True)]


def test_what_stands_before_a_line_that_is_no_csv_is_read() -> None:
    log = ProblemLog()
    found = list(TABLE.cells(b'a,b\n1,2\n\n3,4\n5,"6"7\n8,9\n', log.of("t.csv")))
    assert found == [(2, ("1", "2")), (4, ("3", "4"))]
    assert [(problem.code, problem.row) for problem in log.all()] == [("broken_csv", 5)]


def test_a_byte_that_is_no_utf8_is_named_with_its_line_however_far_down_it_stands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(tables, "_PIECE", 5)
    log = ProblemLog()
    assert list(TABLE.cells("a,b\n1,你\n2,好\n".encode() + b"3,\xff\n", log.of("t.csv"))) == []
    assert [(problem.code, problem.row, problem.found) for problem in log.all()] == [("not_utf8", 4, "0xff")]


SPOILT = (
    "",
    " ",
    '"',
    "\n",
    "1_0",
    "nan",
    "-200",
    "x y",
    "bad",
    "2099-01-01",
    ",",
    " 5 ",
    "gas-001-ch4",
    "112.8",
    "30",
)


@pytest.mark.parametrize("seed", range(12))
def test_a_file_says_the_same_however_many_of_its_lines_are_read_at_once(
    district: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311 - no secret
    lines = (EXAMPLE / "sensors.csv").read_text(encoding="utf-8").splitlines(keepends=True)
    for _ in range(seed):  # the first is without mistake
        row = chance.randrange(1, len(lines))
        spoilt = lines[row].rstrip("\n").split(",")
        spoilt[chance.randrange(len(spoilt))] = chance.choice(SPOILT)
        lines[row] = ",".join(spoilt) + "\n"
    (district / "sensors.csv").write_text("".join(lines), encoding="utf-8")
    told = []
    for chunk in (1, 2, 7, 100_000):
        monkeypatch.setattr(tables, "CHUNK", chunk)
        report = read_city(district, today=DAY)
        told.append((report.problems, None if report.city is None else list(report.city.sensors)))
    assert told[0] == told[1] == told[2] == told[3]
    assert (told[0][1] is not None) == (not told[0][0])
