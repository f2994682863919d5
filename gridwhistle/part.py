"""The program of a part: one share of the city in a process of its own, which ``gridwhistle/whole.py`` starts."""

from typing import Any

import msgspec

from config.settings import Settings
from gridwhistle.child import obey, serve, told_to_end
from gridwhistle.daemon import part_of_city

PROGRAM = "gridwhistle.part"


class PartOrder(msgspec.Struct, frozen=True):
    """Which part to run. settings: those of the whole city. name: of the part. city_version: with which all run."""

    settings: dict[str, Any]
    name: str
    city_version: str


def main() -> None:
    """Run until standard input ends."""
    obey(lambda line: _run(msgspec.json.decode(line, type=PartOrder)))


async def _run(order: PartOrder) -> None:
    end = told_to_end()
    settings = Settings.model_validate(order.settings)
    part = next(part for part in settings.parts if part.name == order.name)
    async with part_of_city(settings, part, order.city_version):
        await serve(end)


if __name__ == "__main__":
    main()
