"""Real recordings through the whole daemon: nothing missing, the right people, faults told from events."""

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import pytest

from config.city import City
from config.city_files import load_city
from config.clock import from_datetime
from config.settings import Influx1StoreSettings, IngestSettings, LocalStoreSettings
from detectors.model import Condition
from gridwhistle.daemon import daemon
from gridwhistle.score import cases_of
from sensors_sim.recordings.city_folder import make_city
from sensors_sim.replay import replay
from tests.support.daemon import flow_settings, recordings, settled
from tests.support.servers import influxdb1, mosquitto

MONTH = tuple(
    from_datetime(datetime.fromisoformat(moment))
    for moment in ("2016-12-01T00:00:00+08:00", "2017-01-01T00:00:00+08:00")
)

Store = LocalStoreSettings | Influx1StoreSettings


def files_of(folder: str, pattern: str) -> list[Path]:
    found = sorted((recordings() / folder).glob(pattern))
    if not found:
        pytest.skip(f"no recordings in {recordings() / folder}: set GRIDWHISTLE_DATA to a folder that has them")
    return found


@pytest.fixture(params=["local", "influx1"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    if request.param == "local":
        yield LocalStoreSettings()
        return
    with influxdb1(tmp_path / "influxdb") as server:
        yield Influx1StoreSettings(type="influx1", url=f"http://127.0.0.1:{server.port}", database="flow")


def on_roster(city: City, worker: str, grid: str) -> bool:
    return any(shift.worker == worker and shift.grid == grid for shift in city.roster)


async def test_a_month_of_air_readings_is_kept_without_one_missing_and_names_each_stations_worker(
    tmp_path: Path, store: Store
) -> None:
    files = files_of("air_beijing", "*.csv.gz")
    city_folder = make_city(files, tmp_path / "city")
    city = load_city(city_folder)
    with mosquitto(tmp_path / "broker") as broker:
        async with daemon(flow_settings(city_folder, tmp_path / "data", broker.port, store=store)) as running:
            await running.listening()
            result = await replay(files, city, from_us=MONTH[0], to_us=MONTH[1], speed=None, port=broker.port, pack=100)
            await settled(running, 0, result.sent)
            stored = running.store.count()
            counted = running.line.counted()
            events, tickets = cases_of(running.ledger)
    refused = sum(count for name, count in counted.items() if name.startswith("refused."))
    assert result.sent > 50_000
    assert counted["readings"] == result.sent
    assert stored == result.sent - refused
    assert events, "a winter month has days on which somebody must come"
    assert all(on_roster(city, event.responsible.worker, event.grid) for event in events)
    assert len(tickets) < len(city.sensors)


FIRST_DAYS_US = from_datetime(datetime.fromisoformat("2004-03-01T12:00:00+00:00"))


@pytest.mark.parametrize("fault", ["malfunction", "bias"])
async def test_injected_faults_open_fault_tickets_not_grid_events(tmp_path: Path, fault: str) -> None:
    files = [*files_of("faults_intel", "clean/*.txt.gz"), *files_of("faults_intel", f"injected_{fault}/*.txt.gz")]
    city_folder = make_city(files, tmp_path / "city")
    city = load_city(city_folder)
    with mosquitto(tmp_path / "broker") as broker:
        # The motes' radio lost up to half of what they sent: minutes of silence were their normal life.
        settings = flow_settings(city_folder, tmp_path / "data", broker.port, ingest=IngestSettings(silent_after=20))
        async with daemon(settings) as running:
            await running.listening()
            result = await replay(files, city, to_us=FIRST_DAYS_US, speed=None, port=broker.port, pack=100)
            await settled(running, 0, result.sent)
            events, tickets = cases_of(running.ledger)
    assert result.sent > 10_000
    spoken = [ticket for ticket in tickets if any(alarm.condition is not Condition.SILENT for alarm in ticket.alarms)]
    assert spoken, "a sensor that lies must be found"
    assert len(spoken) >= 0.9 * (len(spoken) + len(events))
