"""Which store the settings ask for."""

from pathlib import Path

from config.city import City
from config.settings import Influx1StoreSettings, InfluxStoreSettings, StoreSettings
from ingest.influx import Influx1Store, InfluxStore
from ingest.local import DuckdbStore
from ingest.store_info import ManagedStore


def open_store(settings: StoreSettings, data_dir: Path, city: City) -> ManagedStore:
    """The store of the settings, not yet prepared. data_dir: where the embedded store lives by default."""
    if isinstance(settings, InfluxStoreSettings):
        return InfluxStore(settings, city)
    if isinstance(settings, Influx1StoreSettings):
        return Influx1Store(settings, city)
    return DuckdbStore(settings.path or data_dir / "readings.duckdb", city, settings)
