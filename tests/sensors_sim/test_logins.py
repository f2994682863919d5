"""A user and a password for every box, by a template or a table, for as many as brokers like."""

import resource
from pathlib import Path

import pytest

from config.errors import ConfigurationError
from sensors_sim.logins import MOST_BOXES, Login, allow_connections, logins_from_table, logins_from_template


def test_a_template_gives_every_box_its_own_name_and_password() -> None:
    logins = logins_from_template(["b", "a", "b"], "box-{device}", "{device}!{device}")
    assert logins == {"a": Login("box-a", "a!a"), "b": Login("box-b", "b!b")}
    assert logins_from_template(["a"], "{device}")["a"].password is None
    assert "a!a" not in repr(logins)


def test_a_template_that_gives_all_the_same_name_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'everybody', expected one with \{device\} in it"):
        logins_from_template(["a"], "everybody")


def test_more_boxes_than_brokers_like_are_refused_by_number() -> None:
    names = [f"box {number}" for number in range(MOST_BOXES + 1)]
    assert len(logins_from_template(names[:-1], "{device}")) == MOST_BOXES
    with pytest.raises(ConfigurationError, match="2,001 boxes; a connection for each is made for 2,000 at most"):
        logins_from_template(names, "{device}")


def test_a_table_names_the_logins(tmp_path: Path) -> None:
    path = tmp_path / "logins.csv"
    path.write_text("device,username,password\na,anna,x\nb,bert,\nspare,s,s\n")
    assert logins_from_table(path, ["a", "b"]) == {"a": Login("anna", "x"), "b": Login("bert", None)}


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("device,user\na,b\n", "line 1: no column username, password"),
        ("device,username,password\na,,x\n", "line 2: device or username is empty"),
        ("device,username,password\na,b,c\na,b,c\n", "line 3: device a stands there twice"),
        ("device,username,password\na,b,c\n", "1 boxes of the city have no login: b"),
    ],
)
def test_a_table_that_is_wrong_is_told_by_its_line(tmp_path: Path, content: str, says: str) -> None:
    path = tmp_path / "logins.csv"
    path.write_text(content)
    with pytest.raises(ConfigurationError, match=says):
        logins_from_table(path, ["a", "b"])


def test_more_connections_than_the_system_allows_are_refused_before_the_first() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this system sets no limit")
    with pytest.raises(ConfigurationError, match="open files"):
        allow_connections(hard)
    allow_connections(1)
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(soft, hard)
