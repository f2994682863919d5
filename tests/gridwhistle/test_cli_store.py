"""``gridwhistle store`` against the real stores."""

import shutil
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from config.city_files import EXAMPLE, load_city
from config.errors import RetryableError
from config.settings import LocalStoreSettings
from gridwhistle.cli_store import store_app
from ingest.model import ReadingBatch
from ingest.stores import open_store
from tests.support.servers import Server, free_port, influxdb1

PROGRAM = shutil.which("victoria-metrics", path="/usr/bin:/usr/local/bin")


@pytest.fixture(scope="module")
def influx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with influxdb1(tmp_path_factory.mktemp("influx")) as server:
        yield server


def settings_file(folder: Path, store: str) -> Path:
    path = folder / "gridwhistle.toml"
    path.write_text(f'city = "{EXAMPLE}"\ndata_dir = "{folder}/var"\nlanguage = "en"\n[store]\n{store}\n')
    return path


def told(command: str, path: Path, *more: str) -> str:
    result = CliRunner().invoke(store_app, [command, "--config", str(path), *more], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def influx1(server: Server, database: str, **days: float) -> str:
    lines = [f'type = "influx1"\nurl = "http://127.0.0.1:{server.port}"\ndatabase = "{database}"']
    return "\n".join(lines + [f"{name} = {value}" for name, value in days.items()])


def ask(server: Server, statement: str) -> str:
    query = urllib.parse.urlencode({"q": statement})
    request = urllib.request.Request(f"http://127.0.0.1:{server.port}/query?{query}", method="POST")  # loopback
    with urllib.request.urlopen(request, timeout=30) as answer:  # noqa: S310  # http on loopback
        body: bytes = answer.read()
        return body.decode()


@pytest.mark.influx
def test_a_new_influxdb_is_set_up_once_and_a_changed_setting_is_applied(influx: Server, tmp_path: Path) -> None:
    path = settings_file(tmp_path, influx1(influx, "fresh", raw_days=30))
    assert "readings is missing" in told("info", path)
    first = told("init", path)
    assert "readings: created, keeps 30 days" in first
    assert "hours: created, keeps 3660 days" in first
    policies = ask(influx, "SHOW RETENTION POLICIES ON fresh")
    assert '"720h0m0s","24h0m0s",1,true' in policies
    again = told("init", path)
    assert "readings: keeps 30 days, as before" in again
    assert "created" not in again
    assert ask(influx, "SHOW RETENTION POLICIES ON fresh") == policies
    path = settings_file(tmp_path, influx1(influx, "fresh", raw_days=60))
    assert "readings is not kept for as long as the settings say" in told("info", path)
    assert "readings: kept 30 days, now 60 days" in told("init", path)
    shown = told("info", path)
    assert "InfluxDB 1." in shown
    assert "0 series" in shown
    assert "not kept" not in shown


@pytest.mark.influx
def test_a_database_made_by_the_daemon_keeps_everything_until_init(influx: Server, tmp_path: Path) -> None:
    ask(influx, "CREATE DATABASE old")
    path = settings_file(tmp_path, influx1(influx, "old"))
    shown = told("info", path, "--language", "zh")
    assert "永久" in shown
    assert "readings: kept for ever, now 30 days" in told("init", path)


@pytest.mark.influx
@pytest.mark.skipif(PROGRAM is None, reason="victoria-metrics is not installed")
def test_victoriametrics_is_told_apart_and_says_where_its_retention_is_set(tmp_path: Path) -> None:
    assert PROGRAM is not None
    port = free_port()
    options = [f"-storageDataPath={tmp_path}/data", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=40d"]
    server = Server([PROGRAM, *options], port, tmp_path)
    server.start()
    try:
        path = settings_file(tmp_path, f'type = "influx1"\nurl = "http://127.0.0.1:{port}"')
        assert "-retentionPeriod=30d" in told("init", path)
        shown = told("info", path)
        assert "VictoriaMetrics" in shown
        assert "40 days" in shown
        assert "does not understand InfluxQL" in shown
    finally:
        server.stop(kill=True)


def test_the_local_store_shows_its_rows_and_is_not_made_by_looking(tmp_path: Path) -> None:
    path = settings_file(tmp_path, 'type = "local"')
    assert "not there yet" in told("info", path)
    assert not (tmp_path / "var" / "readings.duckdb").exists()
    assert "readings: created, keeps 30 days" in told("init", path)
    city = load_city(EXAMPLE)
    store = open_store(LocalStoreSettings(), tmp_path / "var", city)
    store.write(ReadingBatch.of([0, 1], [1, 2], [1, 2], [1.0, 2.0], [0, 0]))
    store.close()
    shown = told("info", path)
    assert "DuckDB" in shown
    assert f"{len(city.sensors)} series" in shown
    assert "as before" in told("init", path)


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{free_port()}"
    path = settings_file(tmp_path, f'type = "influx1"\nurl = "{address}"')
    with pytest.raises(RetryableError, match=f"{address} cannot be reached"):
        told("info", path)
