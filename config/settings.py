"""The settings: one TOML or YAML file, overridden by ``GRIDWHISTLE_*``. Unknown keys stop the start."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from config.vocabulary import Language


class Section(BaseModel):
    """A part of the settings: frozen, and strict about keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class PayloadFormat(StrEnum):
    """The payload formats that can be subscribed to."""

    NATIVE = "native"
    SENML = "senml"


class Subscription(Section):
    """Which topics carry readings, and in which format."""

    filter: str = Field(min_length=1, description="MQTT topic filter, + and # allowed")
    format: PayloadFormat = Field(description="how its payloads are read")


class MqttSettings(Section):
    """The broker."""

    host: str = Field("127.0.0.1", description="name or address of the broker")
    port: int = Field(1883, ge=1, le=65535, description="port of the broker")
    client_id: str = Field("gridwhistle", min_length=1, description="names the persistent session; unique per daemon")
    username: str | None = Field(None, description="user name at the broker")
    password: SecretStr | None = Field(None, description="password at the broker")
    keepalive_s: int = Field(30, ge=5, le=3600, description="seconds between signs of life")
    reconnect_min_s: float = Field(0.5, gt=0, description="first pause before connecting again; doubles, with jitter")
    reconnect_max_s: float = Field(30, gt=0, description="longest pause before connecting again")
    subscriptions: tuple[Subscription, ...] = Field(
        (
            Subscription(filter="gridwhistle/readings/#", format=PayloadFormat.NATIVE),
            Subscription(filter="gridwhistle/senml/#", format=PayloadFormat.SENML),
        ),
        min_length=1,
        description="topics that carry readings",
    )
    notify_prefix: str = Field("gridwhistle/notify", description="pushes go to <prefix>/<worker id>")


class LocalStoreSettings(Section):
    """The embedded store: needs no server."""

    type: Literal["local"] = "local"
    path: Path | None = Field(None, description="file of the DuckDB database; <data_dir>/readings.duckdb if not given")


class Influx1StoreSettings(Section):
    """InfluxDB 1.x over /write and InfluxQL."""

    type: Literal["influx1"]
    url: str = Field("http://127.0.0.1:8086", description="address of the server")
    database: str = Field("gridwhistle", min_length=1, description="database; created if missing")
    username: str | None = Field(None, description="user name at the server")
    password: SecretStr | None = Field(None, description="password at the server")


class InfluxStoreSettings(Section):
    """InfluxDB 2.x or 3.x through influxdb-client."""

    type: Literal["influx"]
    url: str = Field("http://127.0.0.1:8086", description="address of the server")
    org: str = Field(min_length=1, description="organisation")
    bucket: str = Field("gridwhistle", min_length=1, description="bucket (2.x) or database (3.x)")
    token: SecretStr = Field(description="token with read and write rights on the bucket")


StoreSettings = Annotated[LocalStoreSettings | Influx1StoreSettings | InfluxStoreSettings, Field(discriminator="type")]


class IngestSettings(Section):
    """How readings are admitted and gathered."""

    batch_ms: int = Field(20, ge=1, le=1000, description="longest wait for a micro-batch to fill, milliseconds")
    batch_messages: int = Field(1000, ge=1, le=100_000, description="most messages in a micro-batch")
    future_s: float = Field(120, ge=0, description="a device time further ahead than this is refused")
    too_old_s: float = Field(7 * 86_400, gt=0, description="a device time further back than this is refused")
    late_s: float = Field(
        300,
        gt=0,
        description="a reading that arrives later than this, and later than two intervals, is kept but pages nobody",
    )
    silent_after: float = Field(3, ge=1.5, description="intervals without a reading after which a sensor is silent")
    silent_floor_s: float = Field(60, ge=0, description="never call a sensor silent sooner than this")


class ClockSource(StrEnum):
    """Where the daemon's wall time comes from."""

    SYSTEM = "system"
    BROKER = "broker"


class ClockSettings(Section):
    """Whose time it is. ``broker``: a replay or simulation publishes it, for history that runs like life."""

    source: ClockSource = Field(ClockSource.SYSTEM, description="system, or broker for a replay")
    topic: str = Field("gridwhistle/clock", description="topic of the time when the source is broker")


class LedgerSettings(Section):
    """Where cases, people and the trail are kept."""

    url: str | None = Field(None, description="SQLAlchemy address; SQLite in <data_dir>/ledger.sqlite if not given")


class DashboardSettings(Section):
    """The page and the API."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8080, ge=0, le=65535, description="port to listen on; 0 takes a free one")
    secure_cookie: bool = Field(False, description="send the session cookie over HTTPS only; set it behind TLS")
    session_hours: float = Field(12, gt=0, le=24 * 30, description="how long a sign-in lasts")


class Settings(Section):
    """Everything that can be set."""

    city: Path = Field(description="folder of the city's files")
    data_dir: Path = Field(Path("var"), description="folder for everything the daemon writes")
    language: Language = Field(Language.ZH, description="language of pushes, and the page's first one")
    mqtt: MqttSettings = MqttSettings()
    store: StoreSettings = LocalStoreSettings()
    ingest: IngestSettings = IngestSettings()
    clock: ClockSettings = ClockSettings()
    ledger: LedgerSettings = LedgerSettings()
    dashboard: DashboardSettings = DashboardSettings()
