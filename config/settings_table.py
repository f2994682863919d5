"""Every setting as one row of a table, read from the schema: for the documentation and for messages about mistakes."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

import annotated_types
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from config.settings import Settings

ENVIRONMENT_PREFIX = "GRIDWHISTLE_"

Key = tuple[str, ...]

_BOUNDS: tuple[tuple[type, str, str], ...] = (
    (annotated_types.Gt, "gt", "above"),
    (annotated_types.Ge, "ge", "at least"),
    (annotated_types.Lt, "lt", "below"),
    (annotated_types.Le, "le", "at most"),
)
_TYPES: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (int, "whole number"),
    (float, "number"),
    (Path, "path"),
    (SecretStr, "secret text"),
    (str, "text"),
)


@dataclass(frozen=True, slots=True)
class Setting:
    """One value that can be set.

    key: the way to it, (section, name) or (name,). variant: where its section has several types, the one that knows
    it. field: its entry in the schema.
    """

    key: Key
    field: FieldInfo
    variant: str | None = None

    @property
    def dotted(self) -> str:
        """The key as it is written in messages, ``mqtt.host``."""
        return ".".join(self.key)

    @property
    def environment(self) -> str:
        """The environment variable that sets it."""
        return ENVIRONMENT_PREFIX + "__".join(self.key).upper()

    @property
    def required(self) -> bool:
        """Whether there is no default."""
        return self.field.default is PydanticUndefined and self.field.default_factory is None

    @property
    def default(self) -> str:
        """The default as it is written in a TOML file; empty where there is none."""
        return "" if self.required or self.field.default is None else _toml(self.field.default)

    @property
    def types(self) -> tuple[Any, ...]:
        """The types that it may have, without None."""
        annotation = self.field.annotation
        if get_origin(annotation) in {Literal, tuple} or not get_args(annotation):
            return (annotation,)
        return tuple(kind for kind in get_args(annotation) if kind is not NoneType)

    @property
    def secret(self) -> bool:
        """Whether its value must never be shown."""
        return SecretStr in self.types

    @property
    def allowed(self) -> str:
        """What it may be, in words: type, bounds, choices."""
        words = [_type_words(kind) for kind in self.types]
        bounds = [
            f"{word} {getattr(bound, name):g}"
            for kind, name, word in _BOUNDS
            for bound in self.field.metadata
            if isinstance(bound, kind)
        ]
        return ", ".join([" or ".join(words), *bounds])


def _toml(value: object) -> str:
    if isinstance(value, Enum):
        return _toml(value.value)
    if isinstance(value, BaseModel):
        return "{" + ", ".join(f"{name} = {_toml(entry)}" for name, entry in value if entry not in {None, False}) + "}"
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(entry) for entry in value) + "]"
    if isinstance(value, str | Path):
        return json.dumps(str(value), ensure_ascii=False)
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _type_words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{choice}`" for choice in get_args(kind))
    if get_origin(kind) is tuple:
        entry = get_args(kind)[0]
        fields = ", ".join(f"`{name}`" for name in entry.model_fields)
        return f"list of tables with {fields}"
    if isinstance(kind, type) and issubclass(kind, Enum):
        return " or ".join(f"`{choice.value}`" for choice in kind)
    return next(words for base, words in _TYPES if issubclass(kind, base))


def settings_table(model: type[BaseModel] = Settings, above: Key = (), variant: str | None = None) -> Iterator[Setting]:
    """Every setting, in the order of the schema."""
    for name, field in model.model_fields.items():
        key = (*above, name)
        if field.discriminator is not None:
            for kind in get_args(field.annotation):
                (tag,) = get_args(kind.model_fields[field.discriminator].annotation)
                yield from settings_table(kind, key, tag)
        elif isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from settings_table(field.annotation, key, variant)
        else:
            yield Setting(key, field, variant)


def settings_markdown() -> str:
    """Tables of every setting, a section each."""
    lines: list[str] = []
    section: tuple[Key, str | None] | None = None
    for setting in settings_table():
        if section != (setting.key[:-1], setting.variant):
            section = (setting.key[:-1], setting.variant)
            title = ".".join(setting.key[:-1])
            kind = "" if setting.variant is None else f', `type = "{setting.variant}"`'
            lines += ["", f"## `[{title}]`{kind}" if title else "## Top level", ""]
            lines += ["| setting | environment | default | allowed | what it is |", "| --- | --- | --- | --- | --- |"]
        default = "must be set" if setting.required else (f"`{setting.default}`" if setting.default else "none")
        what = setting.field.description or "which of the stores"
        what = what.replace("<", "&lt;").replace("|", "\\|")
        lines.append(f"| `{setting.key[-1]}` | `{setting.environment}` | {default} | {setting.allowed} | {what} |")
    return "\n".join(lines).strip() + "\n"


def settings_sample(city: str) -> str:
    """A TOML file that names every setting with its default, all commented out but the city's folder."""
    lines = [
        "# The settings of gridwhistle. A line that begins with # names the default; take the # away to change it.",
        "# Any of them can be set by an environment variable too, which goes before the file: [mqtt] host is",
        f"# {ENVIRONMENT_PREFIX}MQTT__HOST. Relative paths are seen from this file. An unknown name stops the start.",
        "",
    ]
    section: tuple[Key, str | None] = ((), None)
    for setting in settings_table():
        if section != (setting.key[:-1], setting.variant):
            section = (setting.key[:-1], setting.variant)
            first = setting.variant in {None, "local"}
            other = "" if first else "# instead of the section above:\n# "
            lines += ["", f"{other}[{'.'.join(section[0])}]"]
        what = setting.field.description or "which of the stores"
        value = {"city": f'"{city}"', "type": f'"{setting.variant}"'}.get(setting.key[-1], setting.default or '""')
        hidden = "" if setting.key == ("city",) or (setting.key[-1], setting.variant) == ("type", "local") else "# "
        lines += [f"# {what} ({setting.allowed})".replace("`", ""), f"{hidden}{setting.key[-1]} = {value}"]
    return "\n".join(lines) + "\n"


_BEGIN, _END = "<!-- every setting -->", "<!-- end -->"


def in_document(document: str) -> str:
    """A Markdown document with the tables of every setting between its two marks."""
    before, _, rest = document.partition(_BEGIN)
    _, _, after = rest.partition(_END)
    return f"{before}{_BEGIN}\n\n{settings_markdown()}\n{_END}{after}"


if __name__ == "__main__":  # python -m config.settings_table docs/settings.md
    for name in sys.argv[1:]:
        path = Path(name)
        path.write_text(in_document(path.read_text(encoding="utf-8")), encoding="utf-8")
