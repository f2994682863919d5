"""Loading the settings: a file, over it the environment, over it what the command line says.

Nothing is read or opened but the file itself. Every mistake is told at once; any of them stops the start.
"""

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from config.errors import ConfigurationError
from config.problems import FileProblems, Problem, ProblemLog, join
from config.settings import LOCAL_FORMATS, Settings, Subscription
from config.settings_table import ENVIRONMENT_PREFIX, Key, Setting, settings_table
from config.tables import decode, read_bytes
from config.vocabulary import Language

NOT_SETTINGS = frozenset({"GRIDWHISTLE_DATA"})
"""Environment variables of the test run (where recordings lie) that say nothing to the daemon."""

PLACEHOLDERS = frozenset(
    {"admin", "changeit", "changeme", "default", "dummy", "example", "fixme", "gridwhistle", "letmein", "mypassword",
     "mysecret", "mytoken", "pass", "passw0rd", "password", "passwd", "placeholder", "pwd", "replaceme", "root",
     "secret", "test", "todo", "token", "yourpassword", "yoursecret", "yourtoken", "12345678", "123456"}
)  # fmt: skip
"""What stands in samples and in the first list that a burglar tries; compared without case and punctuation."""

_PLACEHOLDER_SHAPE = re.compile(r"<.*>|\$\{.*\}|[x*.\-]+", re.IGNORECASE)
_DEEPEST = 8
_OVERRIDES = "command line"
_ENVIRONMENT = "environment"


@dataclass(frozen=True, slots=True)
class SettingsReport:
    """What came of loading. settings: None where any problem is an error."""

    settings: Settings | None
    problems: tuple[Problem, ...]


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a value was set: the file's writer-down of mistakes, and what the key is called there."""

    problems: FileProblems
    field: str


@dataclass(slots=True)
class _Merged:
    """The values as they are found, later ones over earlier ones, each with its origin."""

    fallback: _Origin
    tree: dict[str, Any] = field(default_factory=dict)
    origins: dict[Key, _Origin] = field(default_factory=dict)

    def put(self, key: Key, value: object, origin: _Origin) -> None:
        """Set one value."""
        node = self.tree
        for name in key[:-1]:
            below = node.get(name)
            if not isinstance(below, dict):
                below = node[name] = {}
            node = below
        node[key[-1]] = value
        self.origins[key] = origin

    def get(self, key: Key) -> object:
        """The value for a key, None where there is none."""
        node: object = self.tree
        for name in key:
            node = node.get(name) if isinstance(node, dict) else None
        return node

    def origin(self, key: Key) -> _Origin:
        """Where a key was set; for one that is missing, where its section was."""
        for length in range(len(key), 0, -1):
            found = self.origins.get(key[:length])
            if found is not None and length == len(key):
                return found
            if found is not None:
                return _Origin(found.problems, ".".join(key))
        below = [origin for other, origin in self.origins.items() if other[: len(key)] == key]
        beside = [origin for other, origin in self.origins.items() if other[:-1] == key[:-1] and len(key) > 1]
        return _Origin((below + beside + [self.fallback])[0].problems, ".".join(key))


def load_settings(
    path: Path | None,
    *,
    overrides: Mapping[str, object] = MappingProxyType({}),
    environ: Mapping[str, str] | None = None,
) -> Settings:
    """The settings from a TOML or YAML file, the environment and overrides, the later over the earlier.

    overrides: by dotted key (``{"mqtt.port": 1884}``). environ: the process's own if not given.
    Raises ConfigurationError with every mistake, one a line, in English.
    """
    report = read_settings(path, overrides=overrides, environ=environ)
    if report.settings is None:
        lines = [problem.text(Language.EN) for problem in report.problems]
        raise ConfigurationError("\n".join(["the settings cannot be used:", *lines]))
    return report.settings


def read_settings(
    path: Path | None,
    *,
    overrides: Mapping[str, object] = MappingProxyType({}),
    environ: Mapping[str, str] | None = None,
) -> SettingsReport:
    """The same as ``load_settings``, with the mistakes as problems in both languages instead of an error."""
    log = ProblemLog()
    file = log.of("settings" if path is None else str(path))
    merged = _Merged(_Origin(file, ""))
    if path is not None:
        _put_file(path, file, merged)
    _put_environment(os.environ if environ is None else environ, log.of(_ENVIRONMENT), merged)
    command_line = log.of(_OVERRIDES)
    for key, value in overrides.items():
        merged.put(tuple(key.split(".")), value, _Origin(command_line, key))
    _check_secrets(merged)
    settings = None
    if not file.incomplete:
        try:
            settings = Settings.model_validate(merged.tree)
        except ValidationError as error:
            mistakes = error.errors(include_url=False)
            places = [details["loc"] for details in mistakes]
            for details in mistakes:
                inside = any(place[: len(details["loc"])] == details["loc"] != place for place in places)
                if not inside:  # a list is told to be too short only because its entries are wrong
                    _write_down(details, merged)
        else:
            _look_at_zones(settings, merged)
    return SettingsReport(None if log.broken else settings, log.all())


def _look_at_zones(settings: Settings, merged: _Merged) -> None:
    """Warn of subscriptions whose devices write local times, where nothing says in which zone."""
    named: list[tuple[Key, Subscription]] = [
        (("mqtt", "subscriptions"), one) for one in settings.mqtt.subscriptions
    ] + [(("parts",), one) for part in settings.parts for one in part.subscriptions]
    for key, one in named:
        if one.format in LOCAL_FORMATS and one.timezone is None:
            origin = merged.origin(key)
            origin.problems.warning("zone_missing", field=origin.field, found=one.filter, format=one.format)


def _put_file(path: Path, problems: FileProblems, merged: _Merged) -> None:
    data = read_bytes(path, problems)
    content = None if data is None else decode(data, problems)
    tree = None if content is None else _parse(path.suffix.lower(), content, problems)
    if tree is None:
        return
    known = {setting.key: setting for setting in settings_table()}
    for key, value in _leaves(tree):
        section = any(other[: len(key)] == key and other != key for other in known)
        if value is None and section:
            continue  # a section with every line commented out
        if key in known and Path in known[key].types and isinstance(value, str):
            value = path.absolute().parent / value  # noqa: PLW2901 - the same value, seen from the file
        merged.put(key, value, _Origin(problems, ".".join(key)))


def _parse(suffix: str, content: str, problems: FileProblems) -> Mapping[str, object] | None:
    tree: object
    try:
        if suffix == ".toml":
            tree = tomllib.loads(content)
        elif suffix in {".yaml", ".yml"}:
            tree = yaml.safe_load(content)
        else:
            problems.unreadable("settings_suffix", found=suffix)
            return None
    except yaml.MarkedYAMLError as error:
        row = None if error.problem_mark is None else error.problem_mark.line + 1
        problems.unreadable("broken_yaml", row=row, found=error.problem or "")
        return None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        code = "broken_toml" if suffix == ".toml" else "broken_yaml"
        problems.unreadable(code, found=str(error).partition("\n")[0])
        return None
    if tree is None:
        return {}
    if not isinstance(tree, dict):
        problems.unreadable("not_mapping", found=type(tree).__name__)
        return None
    return tree


def _leaves(tree: Mapping[str, object], above: Key = ()) -> Iterator[tuple[Key, object]]:
    for name, value in tree.items():
        key = (*above, str(name))
        if isinstance(value, dict) and value and len(key) < _DEEPEST:
            yield from _leaves(value, key)
        else:
            yield key, value


def _put_environment(environ: Mapping[str, str], problems: FileProblems, merged: _Merged) -> None:
    known = {setting.key: setting for setting in settings_table()}
    for name, value in sorted(environ.items()):
        if not name.startswith(ENVIRONMENT_PREFIX) or name in NOT_SETTINGS or not value:
            continue
        key = tuple(part.lower() for part in name.removeprefix(ENVIRONMENT_PREFIX).split("__"))
        origin = _Origin(problems, name)
        if key not in known:
            choices = join(setting.environment for setting in known.values())
            problems.error("unknown_variable", field=name, found=name, choices=_near(name, choices))
            continue
        merged.put(key, _from_text(known[key], value, origin), origin)


def _near(name: str, choices: str) -> str:
    """The variables of the same section, as all of them would be too many to read."""
    section = name.rpartition("__")[0]
    near = [choice for choice in choices.split(", ") if section and choice.startswith(f"{section}__")]
    return join(
        near
        or [choice for choice in choices.split(", ") if "__" not in choice] + [f"{ENVIRONMENT_PREFIX}<SECTION>__<NAME>"]
    )


def _from_text(setting: Setting, value: str, origin: _Origin) -> object:
    if not any(getattr(kind, "__origin__", None) is tuple for kind in setting.types):
        return value
    try:
        return json.loads(value)
    except ValueError:
        origin.problems.error("not_json_list", field=origin.field, found=value)
        return setting.field.default


def _check_secrets(merged: _Merged) -> None:
    for key in {setting.key for setting in settings_table() if setting.secret}:
        value = merged.get(key)
        if isinstance(value, str) and is_placeholder(value):
            origin = merged.origin(key)
            origin.problems.error("placeholder_secret", field=origin.field, found=value)
    for key in {setting.key for setting in settings_table() if setting.key[-1] == "url"}:
        password = _password_of(merged.get(key))
        if password is not None and is_placeholder(password):
            origin = merged.origin(key)
            origin.problems.error("placeholder_secret", field=origin.field, found=password)


def _password_of(url: object) -> str | None:
    try:
        return urlsplit(url).password if isinstance(url, str) else None
    except ValueError:  # brackets that close nowhere: the part that uses the address says so
        return None


def is_placeholder(secret: str) -> bool:
    """Whether a secret is one that stands in samples, so that everybody knows it.

    >>> is_placeholder("Change-Me!"), is_placeholder("<your token>"), is_placeholder("k7Rw-22pq")
    (True, True, False)
    """
    plain = re.sub(r"[^0-9a-z]", "", secret.lower())
    return plain in PLACEHOLDERS or not plain or _PLACEHOLDER_SHAPE.fullmatch(secret.strip()) is not None


def _write_down(details: ErrorDetails, merged: _Merged) -> None:
    key, within = _key_of(details["loc"])
    origin = merged.origin(key)
    secret = any(setting.secret for setting in settings_table() if setting.key == key)
    value = details["input"]
    shown = "***" if secret else value if isinstance(value, str | int | float | bool) else type(value).__name__
    name = origin.field + within
    context = details.get("ctx", {})
    kind = details["type"]
    if kind == "extra_forbidden":
        origin.problems.error("unknown_key", field=name, found=name, choices=join(_known_in(key, merged)))
    elif kind in {"missing", "union_tag_not_found"}:
        wanted = "type" if kind == "union_tag_not_found" else key[-1]
        origin.problems.error("missing_setting", field=name, setting=wanted)
    elif kind in {"enum", "literal_error"}:
        origin.problems.error("unknown_choice", field=name, found=shown, choices=context["expected"])
    elif kind == "union_tag_invalid":
        origin.problems.error("unknown_choice", field=name, found=context["tag"], choices=context["expected_tags"])
    elif kind in _BOUNDS:
        word, bound = _BOUNDS[kind]
        origin.problems.error(word, field=name, found=shown, bound=f"{context[bound]:g}")
    elif kind == "string_too_short":
        origin.problems.error("missing_value", field=name)
    elif kind.partition("_")[0] in _WANTED:
        origin.problems.error(_WANTED[kind.partition("_")[0]], field=name, found=shown)
    else:
        origin.problems.error("bad_setting", field=name, found=shown, why=details["msg"])


_BOUNDS: Mapping[str, tuple[str, str]] = {
    "greater_than": ("must_be_above", "gt"),
    "greater_than_equal": ("must_be_at_least", "ge"),
    "less_than": ("must_be_below", "lt"),
    "less_than_equal": ("must_be_at_most", "le"),
}
_WANTED: Mapping[str, str] = {
    "int": "not_whole",
    "float": "not_a_number",
    "bool": "not_bool",
    "string": "not_text",
    "path": "not_path",
}


def _key_of(loc: tuple[int | str, ...]) -> tuple[Key, str]:
    """(the setting's key, where inside its value) of the place that pydantic names, without its types of stores."""
    variants = {(setting.key[:-1], setting.variant) for setting in settings_table() if setting.variant is not None}
    key: Key = ()
    for position, part in enumerate(loc):
        if isinstance(part, int):
            return key, "".join(f"[{rest}]" if isinstance(rest, int) else f".{rest}" for rest in loc[position:])
        if (key, part) not in variants:
            key = (*key, part)
    return key, ""


def _known_in(key: Key, merged: _Merged) -> list[str]:
    variant = merged.get((*key[:-1], "type"))
    rows = [setting for setting in settings_table() if setting.key[: len(key) - 1] == key[:-1]]
    fitting = [row for row in rows if row.variant is None or variant is None or row.variant == variant]
    return list(dict.fromkeys(row.key[len(key) - 1] for row in fitting or rows))
