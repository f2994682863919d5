"""Boxes with a connection, a user and a password of their own, as device platforms ask for."""

import csv
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from config.errors import ConfigurationError

MOST_BOXES: Final = 2_000
"""A connection each is for small cities: brokers and their hosts count connections."""
_SPARE: Final = 256  # files that the rest of the process may have open
_COLUMNS: Final = ("device", "username", "password")


@dataclass(frozen=True, slots=True)
class Login:
    """Who a connection says it is. username: None for nobody in particular."""

    username: str | None
    password: str | None

    def __repr__(self) -> str:
        """Without the password."""
        return f"Login({self.username!r})"


def logins_from_template(devices: Iterable[str], username: str, password: str | None = None) -> dict[str, Login]:
    """A login for every box. ``{device}`` in a template stands for its name.

    Raises ConfigurationError for more than MOST_BOXES boxes, and for a user name that would be the same for all.
    """
    names = sorted(set(devices))
    _few_enough(names)
    if "{device}" not in username:
        raise ConfigurationError(f"the template for user names is {username!r}, expected one with {{device}} in it")

    def filled(template: str, device: str) -> str:
        return template.replace("{device}", device)

    return {name: Login(filled(username, name), None if password is None else filled(password, name)) for name in names}


def logins_from_table(path: Path, devices: Iterable[str]) -> dict[str, Login]:
    """The logins of a CSV file with the columns device, username, password (may be empty).

    Raises ConfigurationError naming the file, the line, what was found and what is expected: also where a box of the
    city has no login, or more than MOST_BOXES have one; OSError where the file cannot be read.
    """
    names = sorted(set(devices))
    _few_enough(names)
    found: dict[str, Login] = {}
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        if missing := [column for column in _COLUMNS if column not in (rows.fieldnames or ())]:
            raise ConfigurationError(f"{path}: line 1: no column {', '.join(missing)}, expected {', '.join(_COLUMNS)}")
        for row in rows:
            device, username = row["device"], row["username"]
            if not device or not username:
                raise ConfigurationError(f"{path}: line {rows.line_num}: device or username is empty")
            if device in found:
                raise ConfigurationError(f"{path}: line {rows.line_num}: device {device} stands there twice")
            found[device] = Login(username, row["password"] or None)
    if without := [name for name in names if name not in found]:
        told = ", ".join(without[:5]) + (" ..." if len(without) > 5 else "")
        raise ConfigurationError(f"{path}: {len(without)} boxes of the city have no login: {told}")
    return {name: found[name] for name in names}


def _few_enough(names: list[str]) -> None:
    if len(names) > MOST_BOXES:
        raise ConfigurationError(
            f"the city has {len(names):,} boxes; a connection for each is made for {MOST_BOXES:,} at most: "
            "take a smaller city, or one login for all"
        )


def allow_connections(count: int) -> None:
    """See to it that the process may have so many connections open.

    Raises ConfigurationError where the system does not allow it.
    """
    if not count:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = count + _SPARE
    if soft == resource.RLIM_INFINITY or soft >= wanted:
        return
    if hard != resource.RLIM_INFINITY and hard < wanted:
        raise ConfigurationError(
            f"{count:,} boxes need {wanted:,} open files, and this process may have {hard:,} (see ulimit -n)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
