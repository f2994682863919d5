"""Text that people see, in Chinese and English: one table per language under ``config/messages/<language>/``.

A table is the union of its YAML files, one file per room; a key is the path to the text, joined by dots.
"""

import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from types import MappingProxyType
from typing import Any

import yaml

from config.errors import ConfigurationError
from config.vocabulary import Language, LocalText


def _flatten(node: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in node.items():
        if isinstance(value, Mapping):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", str(value)


@cache
def table(language: Language) -> Mapping[str, str]:
    """All texts of a language by key. Raises ConfigurationError where two files hold one key."""
    texts: dict[str, str] = {}
    folder = files("config") / "messages" / language.value
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        for key, value in _flatten(yaml.safe_load(file.read_text(encoding="utf-8")) or {}):
            if key in texts:
                raise ConfigurationError(f"messages/{language}/{file.name}: {key} stands in another file already")
            texts[key] = value
    return MappingProxyType(texts)


def number(value: float) -> str:
    """A number for a person: at most four figures that count, no exponent.

    >>> number(27.3456), number(1500.0), number(0.01234), number(float("nan"))
    ('27.35', '1500', '0.01234', '-')
    """
    if not math.isfinite(value):
        return "-"
    if value == 0:
        return "0"
    decimals = max(0, 3 - math.floor(math.log10(abs(value))))
    fixed = f"{value:.{decimals}f}"
    return fixed.rstrip("0").rstrip(".") if "." in fixed else fixed


def text(key: str, language: Language, params: Mapping[str, object] = MappingProxyType({})) -> str:
    """The text for a key with its placeholders filled (str.format). Raises KeyError for an unknown key."""
    return table(language)[key].format(**params)


def both(key: str, params: Mapping[str, object] = MappingProxyType({})) -> LocalText:
    """The text for a key in both languages."""
    return LocalText(zh=text(key, Language.ZH, params), en=text(key, Language.EN, params))
