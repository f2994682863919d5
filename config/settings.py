"""The settings: one TOML or YAML file, overridden by ``GRIDWHISTLE_*``. Unknown keys stop the start."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator

from config.vocabulary import Language


class Section(BaseModel):
    """A part of the settings: frozen, and strict about keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


_LONGEST_S = 1e10  # three hundred years: far from where a count of microseconds ends
_LONGEST_TOPIC = 65_535  # bytes (MQTT 3.1.1, 1.5.3)


def _speakable(name: str) -> str:
    """A topic or filter that the protocol can carry at all. Raises ValueError."""
    if "\0" in name or len(name.encode("utf-8", "surrogatepass")) > _LONGEST_TOPIC:
        raise ValueError(f"without a null character, of at most {_LONGEST_TOPIC} bytes")
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        raise ValueError("text that UTF-8 can carry")
    return name


def _topic_filter(name: str) -> str:
    """A topic filter (MQTT 3.1.1, 4.7), or one behind ``$share/<group>/``. Raises ValueError."""
    _speakable(name)
    levels = name.split("/")
    if levels[0] == "$share":
        if len(levels) < 3 or not levels[1] or not "/".join(levels[2:]) or set("+#") & set(levels[1]):
            raise ValueError("a shared subscription is $share/<group>/<filter>, without + and # in the group")
        levels = levels[2:]
    if any("#" in level for level in levels[:-1]) or ("#" in levels[-1] and levels[-1] != "#"):
        raise ValueError("# stands only at the end, alone behind the last /")
    if any("+" in level and level != "+" for level in levels):
        raise ValueError("+ stands alone between two /")
    return name


def _plain_topic(name: str) -> str:
    """A topic that can be published to. Raises ValueError."""
    if set("+#") & set(_speakable(name)):
        raise ValueError("a topic without + and #")
    return name


TopicFilter = Annotated[str, AfterValidator(_topic_filter)]
PlainTopic = Annotated[str, AfterValidator(_plain_topic)]


def _password_of_somebody(password: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
    """A password belongs to a user name, which stands before it. Raises ValueError."""
    if password is not None and info.data.get("username", "") is None:
        raise ValueError("a username with it")
    return password


Password = Annotated[SecretStr | None, AfterValidator(_password_of_somebody)]


class PayloadFormat(StrEnum):
    """The payload formats that can be subscribed to."""

    NATIVE = "native"
    SENML = "senml"
    SENML_CBOR = "senml_cbor"
    CHIRPSTACK = "chirpstack"
    TTN = "ttn"
    FRIGATE = "frigate"
    ONVIF = "onvif"
    ZIGBEE2MQTT = "zigbee2mqtt"
    TASMOTA = "tasmota"
    SPARKPLUG = "sparkplug"
    HJ212 = "hj212"


LOCAL_FORMATS = frozenset({PayloadFormat.TASMOTA})
"""Formats whose devices write local times without their zone unless they are told otherwise."""


def _zone(name: str | None) -> str | None:
    """A time zone of the IANA database. Raises ValueError."""
    if name is not None:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError("a time zone of the IANA database, like Asia/Shanghai") from error
    return name


class Subscription(Section):
    """Which topics carry readings, and in which format.

    urgent: they come over a connection of their own and overtake all others; for topics of life safety (gas, smoke).
    timezone: the zone of times that are written without one; without it such times are refused.
    """

    filter: TopicFilter = Field(min_length=1, description="MQTT topic filter, + and # allowed")
    format: PayloadFormat = Field(description="how its payloads are read")
    urgent: bool = Field(False, description="on a connection of its own, overtaking the others")
    timezone: Annotated[str | None, AfterValidator(_zone)] = Field(
        None, description="zone of times written without one (IANA name); none refuses them"
    )


class MqttProtocol(StrEnum):
    """Version of MQTT spoken with the broker."""

    V5 = "5"
    V311 = "3.1.1"


class TlsSettings(Section):
    """Encryption on the way to the broker."""

    enabled: bool = Field(False, description="speak TLS with the broker")
    ca_file: Path | None = Field(None, description="certificates that vouch for the broker; the system's if not given")
    cert_file: Path | None = Field(None, description="our own certificate, where the broker asks for one")
    key_file: Path | None = Field(None, description="key of our own certificate")
    server_name: str | None = Field(None, description="name the broker's certificate must bear; mqtt.host if not given")


class MqttSettings(Section):
    """The broker."""

    host: str = Field("127.0.0.1", description="name or address of the broker")
    port: int = Field(1883, ge=1, le=65535, description="port of the broker")
    protocol: MqttProtocol = Field(
        MqttProtocol.V5, description="version of MQTT; 3.1.1 for old brokers, at a twentieth of the speed"
    )
    receive_maximum: int = Field(
        10_000,
        ge=1,
        le=65_535,
        description="messages of QoS 1 on their way to us and not yet acknowledged (MQTT 5 receive maximum)",
    )
    client_id: str = Field("gridwhistle", min_length=1, description="names the persistent session; unique per daemon")
    username: str | None = Field(None, description="user name at the broker")
    password: Password = Field(None, description="password at the broker")
    keepalive_s: int = Field(30, ge=5, le=3600, description="seconds between signs of life")
    reconnect_min_s: float = Field(
        0.5, gt=0, le=3600, description="first pause before connecting again; doubles, with jitter"
    )
    reconnect_max_s: float = Field(
        3,
        gt=0,
        le=86_400,
        validate_default=True,
        description="longest pause before connecting again; not below reconnect_min_s",
    )
    subscriptions: tuple[Subscription, ...] = Field(
        (
            Subscription(filter="gridwhistle/urgent/#", format=PayloadFormat.NATIVE, urgent=True),
            Subscription(filter="gridwhistle/readings/#", format=PayloadFormat.NATIVE),
            Subscription(filter="gridwhistle/senml/#", format=PayloadFormat.SENML),
        ),
        min_length=1,
        description="topics that carry readings; docs/formats.md tells the formats",
    )
    notify_prefix: PlainTopic = Field(
        "gridwhistle/notify", min_length=1, description="pushes go to <prefix>/<worker id>"
    )
    tls: TlsSettings = TlsSettings()

    @field_validator("reconnect_max_s")
    @classmethod
    def _not_below_the_first(cls, longest: float, info: ValidationInfo) -> float:
        first = info.data.get("reconnect_min_s", 0)
        if longest < first:
            raise ValueError(f"at least reconnect_min_s, which is {first:g}")
        return longest


class Retention(Section):
    """How long readings are kept, and how their aggregates are."""

    raw_days: float = Field(30, gt=0, le=36_500, description="days every reading is kept")
    five_minutes_days: float = Field(366, gt=0, le=36_500, description="days aggregates of 5 minutes are kept")
    hours_days: float = Field(3660, gt=0, le=36_500, description="days aggregates of an hour are kept")


class LocalStoreSettings(Retention):
    """The embedded store: needs no server."""

    type: Literal["local"] = "local"
    path: Path | None = Field(None, description="file of the DuckDB database; <data_dir>/readings.duckdb if not given")


class Influx1StoreSettings(Retention):
    """InfluxDB 1.x over /write and InfluxQL."""

    type: Literal["influx1"]
    url: str = Field("http://127.0.0.1:8086", description="address of the server")
    database: str = Field("gridwhistle", min_length=1, description="database; created if missing")
    username: str | None = Field(None, description="user name at the server")
    password: Password = Field(None, description="password at the server")


class InfluxStoreSettings(Retention):
    """InfluxDB 2.x or 3.x through influxdb-client."""

    type: Literal["influx"]
    url: str = Field("http://127.0.0.1:8086", description="address of the server")
    org: str = Field(min_length=1, description="organisation")
    bucket: str = Field("gridwhistle", min_length=1, description="bucket (2.x) or database (3.x)")
    token: SecretStr = Field(description="token with read and write rights on the bucket")


StoreSettings = Annotated[LocalStoreSettings | Influx1StoreSettings | InfluxStoreSettings, Field(discriminator="type")]


class IngestSettings(Section):
    """How readings are admitted and gathered."""

    batch_min_ms: int = Field(5, ge=0, le=1000, description="wait for a micro-batch to fill when idle, milliseconds")
    batch_ms: int = Field(
        100, ge=1, le=1000, description="longest wait for a micro-batch to fill, under load, milliseconds"
    )
    batch_messages: int = Field(5000, ge=1, le=100_000, description="most messages in a micro-batch")
    future_s: float = Field(120, ge=0, le=_LONGEST_S, description="a device time further ahead than this is refused")
    too_old_s: float = Field(
        7 * 86_400, gt=0, le=_LONGEST_S, description="a device time further back than this is refused"
    )
    late_s: float = Field(
        300,
        gt=0,
        le=_LONGEST_S,
        description="a reading that arrives later than this, and later than two intervals, is kept but pages nobody",
    )
    silent_after: float = Field(
        3, ge=1.5, le=1_000_000, description="intervals without a reading after which a sensor is silent"
    )
    silent_floor_s: float = Field(60, ge=0, le=_LONGEST_S, description="never call a sensor silent sooner than this")
    grace_s: float = Field(
        60,
        ge=0,
        le=_LONGEST_S,
        description="after our own outage (start, broker link) nobody is called silent for at least this long",
    )


class SpoolSettings(Section):
    """The journal on disk between what is acknowledged and what is stored."""

    max_mb: int = Field(
        4096, ge=16, description="most megabytes on disk, for each lane; beyond it nothing more is acknowledged"
    )
    segment_mb: int = Field(32, ge=1, le=1024, description="megabytes of one file")


class ClockSource(StrEnum):
    """Where the daemon's wall time comes from."""

    SYSTEM = "system"
    BROKER = "broker"


class ClockSettings(Section):
    """Whose time it is. ``broker``: a replay or simulation publishes it, for history that runs like life."""

    source: ClockSource = Field(ClockSource.SYSTEM, description="system, or broker for a replay")
    topic: PlainTopic = Field(
        "gridwhistle/clock", min_length=1, description="topic of the time when the source is broker"
    )


class LedgerSettings(Section):
    """Where cases, people and the trail are kept."""

    url: str | None = Field(None, description="SQLAlchemy address; SQLite in <data_dir>/ledger.sqlite if not given")


class Part(Section):
    """A share of the city that an ingest process of its own takes, where one core is not enough for all.

    nodes: codes of the grid tree; the sensors below them belong to the part. subscriptions: topics that carry the
    readings of those sensors and of no others.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$", description="small letters, digits and -")
    nodes: tuple[str, ...] = Field(min_length=1, description="codes of nodes of the grid tree")
    subscriptions: tuple[Subscription, ...] = Field(min_length=1, description="topics of these sensors")


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
    parts: tuple[Part, ...] = Field(
        (), description="shares of the city, each taken by an ingest process of its own; none: one process for all"
    )
    mqtt: MqttSettings = MqttSettings()
    store: StoreSettings = LocalStoreSettings()
    ingest: IngestSettings = IngestSettings()
    spool: SpoolSettings = SpoolSettings()
    clock: ClockSettings = ClockSettings()
    ledger: LedgerSettings = LedgerSettings()
    dashboard: DashboardSettings = DashboardSettings()
