"""The ledger's tables. Their history is ``migrations/``; a test holds the two together.

Times are microseconds since the epoch, enums their values, ids are given by the one writer (see ``transaction.py``),
so they rise by one in the order of commits. Numbers that are not known (NaN) are NULL.
"""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)

Id = BigInteger().with_variant(Integer, "sqlite")
"""An id: SQLite keeps an INTEGER PRIMARY KEY in the row itself, a BIGINT in a second index."""

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(column_0_label)s",
        "uq": "uq_%(table_name)s_%(column_0_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

grid_events = Table(
    "grid_events",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("day", Integer, nullable=False, comment="local date of opening as YYYYMMDD"),
    Column("number", Integer, nullable=False, comment="running number of that day"),
    Column("category", String(32), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("grid", String(64), nullable=False),
    Column("lon", Float, nullable=False),
    Column("lat", Float, nullable=False),
    Column("place_zh", String(200), nullable=False),
    Column("place_en", String(200), nullable=False),
    Column("device", String(200), nullable=False, comment="the box whose alarm opened it"),
    Column("opened_us", BigInteger, nullable=False),
    Column("started_us", BigInteger, nullable=False),
    Column("department", String(64)),
    Column("city_version", String(80), nullable=False),
    Column("over_us", BigInteger, comment="since when every alarm of it has cleared"),
    Column("acknowledged_us", BigInteger),
    Column("acknowledged_by", String(100)),
    Column("closed_us", BigInteger),
    Column("closed_by", String(100)),
    UniqueConstraint("day", "number"),
    Index("ix_grid_events_open", "state", "category", "lat"),
    Index("ix_grid_events_grid", "grid", "state"),
)

fault_tickets = Table(
    "fault_tickets",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("day", Integer, nullable=False),
    Column("number", Integer, nullable=False),
    Column("sensor_id", String(200), nullable=False),
    Column("grid", String(64), nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_us", BigInteger, nullable=False),
    Column("due_us", BigInteger, nullable=False),
    Column("over_us", BigInteger),
    Column("acknowledged_us", BigInteger),
    Column("acknowledged_by", String(100)),
    Column("closed_us", BigInteger),
    Column("closed_by", String(100)),
    UniqueConstraint("day", "number"),
    Index(
        "uq_fault_tickets_open_sensor",
        "sensor_id",
        unique=True,
        sqlite_where=text("closed_us IS NULL"),
        postgresql_where=text("closed_us IS NULL"),
    ),
    Index("ix_fault_tickets_over", "state", "over_us"),
)

alarms = Table(
    "alarms",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("sensor_id", String(200), nullable=False),
    Column("condition", String(32), nullable=False),
    Column("nature", String(16), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("raised_us", BigInteger, nullable=False),
    Column("cleared_us", BigInteger),
    Column("acknowledged_us", BigInteger),
    Column("acknowledged_by", String(100)),
    Column("since_us", BigInteger, nullable=False),
    Column("at_us", BigInteger, nullable=False),
    Column("last_us", BigInteger, nullable=False, comment="event time of the last verdict that counted"),
    Column("value", Float),
    Column("expected_low", Float),
    Column("expected_high", Float),
    Column("score", Float),
    Column("detector", String(64), nullable=False),
    Column("reason_key", String(120), nullable=False),
    Column("reason_params", JSON, nullable=False),
    Column("event_id", Id, ForeignKey("grid_events.id")),
    Column("ticket_id", Id, ForeignKey("fault_tickets.id")),
    Index(
        "uq_alarms_standing",
        "sensor_id",
        "condition",
        unique=True,
        sqlite_where=text("cleared_us IS NULL"),
        postgresql_where=text("cleared_us IS NULL"),
    ),
    Index("ix_alarms_sensor", "sensor_id", "condition", "id"),
)

event_alarms = Table(
    "event_alarms",
    metadata,
    Column("event_id", Id, ForeignKey("grid_events.id"), primary_key=True, autoincrement=False),
    Column("alarm_id", Id, ForeignKey("alarms.id"), primary_key=True, autoincrement=False),
    Index("ix_event_alarms_alarm", "alarm_id"),
)

ticket_alarms = Table(
    "ticket_alarms",
    metadata,
    Column("ticket_id", Id, ForeignKey("fault_tickets.id"), primary_key=True, autoincrement=False),
    Column("alarm_id", Id, ForeignKey("alarms.id"), primary_key=True, autoincrement=False),
    Index("ix_ticket_alarms_alarm", "alarm_id"),
)

event_line = Table(
    "event_line",
    metadata,
    Column("event_id", Id, ForeignKey("grid_events.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False, comment="0 is the responsible person"),
    Column("worker", String(64), nullable=False),
    Column("name_zh", String(100), nullable=False),
    Column("name_en", String(100), nullable=False),
    Column("role", String(16), nullable=False),
    Column("grid", String(64)),
    Index("ix_event_line_worker", "worker", "position"),
)

ticket_line = Table(
    "ticket_line",
    metadata,
    Column("ticket_id", Id, ForeignKey("fault_tickets.id"), primary_key=True, autoincrement=False),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("worker", String(64), nullable=False),
    Column("name_zh", String(100), nullable=False),
    Column("name_en", String(100), nullable=False),
    Column("role", String(16), nullable=False),
    Column("grid", String(64)),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("key", String(32), nullable=False, unique=True, comment="stable over retries; receivers drop repeats by it"),
    Column("cause", String(32), nullable=False),
    Column("event_id", Id, ForeignKey("grid_events.id")),
    Column("ticket_id", Id, ForeignKey("fault_tickets.id")),
    Column("worker", String(64), nullable=False),
    Column("channel", String(32), nullable=False),
    Column("severity", Integer, nullable=False, comment="the graver is sent first"),
    Column("payload", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("last_error", String(500)),
    Column("created_us", BigInteger, nullable=False),
    Column("sent_us", BigInteger),
    Index("ix_notifications_pending", "state", "channel", "severity", "id"),
    Index("ix_notifications_event", "event_id"),
)

trail = Table(
    "trail",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("at_us", BigInteger, nullable=False),
    Column("actor", String(100), nullable=False),
    Column("action", String(32), nullable=False),
    Column("subject", String(16), nullable=False),
    Column("subject_id", Id, nullable=False),
    Column("detail", JSON, nullable=False),
    Index("ix_trail_subject", "subject", "subject_id", "id"),
)

accounts = Table(
    "accounts",
    metadata,
    Column("id", Id, primary_key=True, autoincrement=False),
    Column("name", String(100), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("active", Boolean, nullable=False),
)

sessions = Table(
    "sessions",
    metadata,
    Column("token_sha256", String(64), primary_key=True),
    Column("account_id", Id, ForeignKey("accounts.id"), nullable=False),
    Column("created_us", BigInteger, nullable=False),
    Column("expires_us", BigInteger, nullable=False),
    Index("ix_sessions_expires", "expires_us"),
)

judged = Table(
    "judged",
    metadata,
    Column("lane", String(100), primary_key=True, comment="one stream of readings with its own spool"),
    Column("position", BigInteger, nullable=False, comment="what the readings before it said is in this ledger"),
)
