"""docs/happenings.md tells every kind, and every option that it knows."""

import re
from pathlib import Path

import pytest

from sensors_sim.happenings import HAPPENINGS
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError
from tests.sensors_sim.happenings.stages import example
from tests.sensors_sim.happenings.wild import stage

PAGE = (Path(__file__).parents[3] / "docs" / "happenings.md").read_text("utf-8")
ROWS = {found[1]: found[0] for found in re.finditer(r"^\| `(\w+)` \|.*\|$", PAGE, re.MULTILINE)}
OWN = [
    kind
    for kind, happening in HAPPENINGS.items()
    if happening.__module__.rsplit(".", 1)[-1] in {"structure", "water", "storm", "outage", "crowd", "care", "camera"}
]


def test_the_page_names_every_kind_and_no_other() -> None:
    assert list(ROWS) == list(HAPPENINGS)


@pytest.mark.parametrize("kind", OWN)
def test_an_option_that_a_kind_does_not_know_is_named_with_those_that_it_does(kind: str) -> None:
    wish = Wish(kind, options={"colour": "red"})
    with pytest.raises(CannotError, match="option colour is unknown") as told:
        HAPPENINGS[kind](stage(example(), storm=True), wish)
    if "expected one of " in str(told.value):
        for name in str(told.value).rsplit("expected one of ", 1)[1].split(", "):
            assert f"`{name}`" in ROWS[kind]
    else:
        assert str(told.value).endswith(f"{kind} has none")
        assert ROWS[kind].endswith("| |")
