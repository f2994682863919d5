"""How a score speaks: texts of one language, spans, rates and local times."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from config.clock import to_datetime
from config.texts import number, text
from config.vocabulary import Language, LocalText

_SPANS = (("days", 86_400), ("hours", 3600), ("minutes", 60), ("seconds", 1))
DASH = "–"


@dataclass(frozen=True, slots=True)
class Words:
    """A language, and the time zone of the city."""

    language: Language
    zone: ZoneInfo

    def say(self, key: str, **params: object) -> str:
        """A text of the score."""
        return text(f"score.{key}", self.language, params)

    def name(self, key: str) -> str:
        """A word that is used everywhere, as ``category.gas_leak``."""
        return text(key, self.language)

    def of(self, local: LocalText) -> str:
        """A name of the city."""
        return local.zh if self.language is Language.ZH else local.en

    def time(self, time_us: int) -> str:
        """Local date and minute."""
        return to_datetime(time_us).astimezone(self.zone).strftime("%Y-%m-%d %H:%M")

    def span(self, seconds: float | None) -> str:
        """See ``span``."""
        return span(seconds, self.language)

    def clock(self, time_us: int) -> str:
        """Local time of the day with seconds."""
        return to_datetime(time_us).astimezone(self.zone).strftime("%H:%M:%S")


def span(seconds: float | None, language: Language) -> str:
    """A span of time for a person, two units at most.

    >>> [span(seconds, Language.EN) for seconds in (0, 42.4, 90, 7200, 93_600, -61, None)]
    ['0 s', '42 s', '1 min 30 s', '2 h', '1 d 2 h', '-1 min 1 s', '–']
    """
    if seconds is None:
        return DASH
    left = round(abs(seconds))
    parts: list[str] = []
    for unit, size in _SPANS:
        if left >= size and len(parts) < 2:
            parts.append(f"{left // size} {text(f'score.unit.{unit}', language)}")
            left %= size
        elif parts:
            break
    return ("-" if seconds < 0 else "") + (" ".join(parts) or f"0 {text('score.unit.seconds', language)}")


def rate(value: float | None) -> str:
    """A rate for a person.

    >>> rate(0.0), rate(0.123456), rate(48), rate(None)
    ('0', '0.12', '48', '–')
    """
    if value is None:
        return DASH
    return number(float(f"{value:.2g}") if value < 10 else round(value))


def percent(share: float) -> str:
    """A share of 1 in per cent.

    >>> percent(0.0), percent(0.00412), percent(0.5)
    ('0 %', '0.41 %', '50 %')
    """
    return f"{number(float(f'{100 * share:.2g}'))} %"
