"""What all models of the wire share, and the small ones that others are built from."""

import math
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from config.clock import isoformat
from config.vocabulary import LocalText, Role

Json = dict[str, Any]

Time = Annotated[str, Field(description="RFC 3339, UTC, milliseconds", json_schema_extra={"format": "date-time"})]
"""A moment on the wire."""


class Wire(BaseModel):
    """A model of the wire: unknown fields are refused, and what was read cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def example(**fields: Any) -> ConfigDict:
    """Settings of a model with one example for people who read the API's description."""
    return ConfigDict(extra="forbid", frozen=True, json_schema_extra={"examples": [fields]})


def finite(value: float) -> float | None:
    """The value, or None where JSON has no word for it (infinite, not a number)."""
    return float(value) if math.isfinite(value) else None


def moment(time_us: int | None) -> str | None:
    """RFC 3339 text of a wall time that may be missing."""
    return None if time_us is None else isoformat(time_us)


class Names(Wire):
    """A text in both languages."""

    zh: str
    en: str

    model_config = example(zh="南门菜市场", en="South Gate market")

    @classmethod
    def of(cls, text: LocalText) -> "Names":
        """From the text as the city keeps it."""
        return cls(zh=text.zh, en=text.en)


NAMES_EXAMPLE: Json = {"zh": "南门菜市场", "en": "South Gate market"}


class Person(Wire):
    """A person in line for a case; without phone number, which the page has no use for."""

    worker: str = Field(description="worker id, or command-centre where nobody is on duty")
    name: Names
    role: Role
    grid: str | None = Field(description="the node of the roster that names them")

    model_config = example(
        worker="w-017", name={"zh": "示例甲", "en": "Sample Worker A"}, role="worker", grid="G-01-02-03-04"
    )


PERSON_EXAMPLE: Json = {
    "worker": "w-017",
    "name": {"zh": "示例甲", "en": "Sample Worker A"},
    "role": "worker",
    "grid": "G-01-02-03-04",
}
