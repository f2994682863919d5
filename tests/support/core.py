"""A core without ingest: ledger, alert path, store and desk of the example district, with a page in its own process.

    python -m tests.support.core <folder>

runs one until it is killed, and says where its page is and which process serves it.
"""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from alerting.ledger import Ledger
from alerting.pipeline import Pipeline
from config.city import City
from config.settings import DashboardSettings, Settings
from config.vocabulary import Severity
from dashboard_api.ports import Health
from gridwhistle.desk import Desk, SeriesReader, StoredReadings
from gridwhistle.latest import Latest
from gridwhistle.page_process import DeskAddress, PageProcess, ledger_url, page_process
from ingest.local import DuckdbStore
from ingest.model import Series
from tests.support.dashboard import DISTRICT, START_US, example_city, fresh_ledger, verdict_of


@dataclass
class CoreParts:
    """What a core is made of. changes: how often pages said that people changed something."""

    city: City
    ledger: Ledger
    pipeline: Pipeline
    store: DuckdbStore
    latest: Latest
    desk: Desk
    page: PageProcess
    series: SeriesReader
    health: Health = field(default_factory=lambda: Health(True, {"broker": "ok"}, {"readings": 7}))
    changes: int = 0

    def alarm(self, sensor: int = 0) -> int:
        """Let a limit of a sensor be passed; answers the id of the newest grid event. Blocks."""
        verdict = verdict_of(self.city.sensors[sensor], 61.0, Severity.MAJOR, START_US)
        self.pipeline.handle([verdict], START_US)
        return self.ledger.events(limit=1)[0].id


@asynccontextmanager
async def core(folder: Path, *, city_version: str | None = None) -> AsyncIterator[CoreParts]:
    """Run one inside the block; its page may not serve yet. city_version: told to the page instead of the true one."""
    city = example_city()
    settings = Settings(city=DISTRICT, data_dir=folder, dashboard=DashboardSettings(port=0))
    (folder / "ledger.sqlite").write_bytes(fresh_ledger())
    ledger = Ledger.open(ledger_url(settings))
    store = DuckdbStore(folder / "readings.duckdb", city)
    store.prepare()
    readings = StoredReadings(store)
    latest = Latest.open(folder / "latest", city.columns.ids)
    parts: list[CoreParts] = []

    def on_changed() -> None:
        parts[0].changes += 1

    async def series(sensor: int, from_us: int, to_us: int, max_points: int) -> Series:
        return await parts[0].series(sensor, from_us, to_us, max_points)

    desk = Desk(
        folder / "desk.sock",
        health=lambda: parts[0].health,
        series=series,
        on_changed=on_changed,
        trail_id=ledger.last_trail_id(),
    )
    ledger.subscribe(desk.ring)
    told = replace(city, version=city_version) if city_version else city
    try:
        async with (
            desk,
            page_process(settings, city=told, desks=[DeskAddress(str(desk.path), str(folder / "latest"))]) as page,
        ):
            pipeline = Pipeline(ledger, city)
            parts.append(CoreParts(city, ledger, pipeline, store, latest, desk, page, readings.series))
            yield parts[0]
    finally:
        readings.close()
        store.close()
        ledger.close()


async def _main(folder: Path) -> None:
    async with core(folder) as parts:
        await parts.page.serving()
        sys.stdout.write(f"{parts.page.url} {parts.page.pid}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_main(Path(sys.argv[1])))
