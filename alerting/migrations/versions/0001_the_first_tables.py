"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TRAIL_STANDS = {
    "sqlite": (
        """CREATE TRIGGER trail_no_update BEFORE UPDATE ON trail
        BEGIN SELECT RAISE(ABORT, 'the trail cannot be altered'); END""",
        """CREATE TRIGGER trail_no_delete BEFORE DELETE ON trail
        BEGIN SELECT RAISE(ABORT, 'the trail cannot be altered'); END""",
        """CREATE TRIGGER trail_no_gap BEFORE INSERT ON trail
        WHEN NEW.id <> (SELECT coalesce(max(id), 0) + 1 FROM trail)
        BEGIN SELECT RAISE(ABORT, 'the trail has no gaps'); END""",
    ),
    "postgresql": (
        """CREATE FUNCTION trail_stands() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN RAISE EXCEPTION 'the trail cannot be altered'; END $$""",
        """CREATE TRIGGER trail_stands BEFORE UPDATE OR DELETE OR TRUNCATE ON trail
        FOR EACH STATEMENT EXECUTE FUNCTION trail_stands()""",
    ),
}


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("password_hash", sa.String(length=200), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )
    op.create_table(
        "fault_tickets",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("sensor_id", sa.String(length=200), nullable=False),
        sa.Column("grid", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("opened_us", sa.BigInteger(), nullable=False),
        sa.Column("due_us", sa.BigInteger(), nullable=False),
        sa.Column("over_us", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_us", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=100), nullable=True),
        sa.Column("closed_us", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fault_tickets")),
        sa.UniqueConstraint("day", "number", name=op.f("uq_fault_tickets_day")),
    )
    op.create_index("ix_fault_tickets_over", "fault_tickets", ["state", "over_us"], unique=False)
    op.create_index(
        "uq_fault_tickets_open_sensor",
        "fault_tickets",
        ["sensor_id"],
        unique=True,
        sqlite_where=sa.text("closed_us IS NULL"),
        postgresql_where=sa.text("closed_us IS NULL"),
    )
    op.create_table(
        "grid_events",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("day", sa.Integer(), nullable=False, comment="local date of opening as YYYYMMDD"),
        sa.Column("number", sa.Integer(), nullable=False, comment="running number of that day"),
        sa.Column("category", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("grid", sa.String(length=64), nullable=False),
        sa.Column("lon", sa.Float(), nullable=False),
        sa.Column("lat", sa.Float(), nullable=False),
        sa.Column("place_zh", sa.String(length=200), nullable=False),
        sa.Column("place_en", sa.String(length=200), nullable=False),
        sa.Column("device", sa.String(length=200), nullable=False, comment="the box whose alarm opened it"),
        sa.Column("opened_us", sa.BigInteger(), nullable=False),
        sa.Column("started_us", sa.BigInteger(), nullable=False),
        sa.Column("department", sa.String(length=64), nullable=True),
        sa.Column("city_version", sa.String(length=80), nullable=False),
        sa.Column("over_us", sa.BigInteger(), nullable=True, comment="since when every alarm of it has cleared"),
        sa.Column("acknowledged_us", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=100), nullable=True),
        sa.Column("closed_us", sa.BigInteger(), nullable=True),
        sa.Column("closed_by", sa.String(length=100), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grid_events")),
        sa.UniqueConstraint("day", "number", name=op.f("uq_grid_events_day")),
    )
    op.create_index("ix_grid_events_grid", "grid_events", ["grid", "state"], unique=False)
    op.create_index("ix_grid_events_open", "grid_events", ["state", "category", "lat"], unique=False)
    op.create_table(
        "trail",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("subject_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trail")),
    )
    op.create_index("ix_trail_subject", "trail", ["subject", "subject_id", "id"], unique=False)
    op.create_table(
        "alarms",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column("sensor_id", sa.String(length=200), nullable=False),
        sa.Column("condition", sa.String(length=32), nullable=False),
        sa.Column("nature", sa.String(length=16), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("raised_us", sa.BigInteger(), nullable=False),
        sa.Column("cleared_us", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_us", sa.BigInteger(), nullable=True),
        sa.Column("acknowledged_by", sa.String(length=100), nullable=True),
        sa.Column("since_us", sa.BigInteger(), nullable=False),
        sa.Column("at_us", sa.BigInteger(), nullable=False),
        sa.Column("last_us", sa.BigInteger(), nullable=False, comment="event time of the last verdict that counted"),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("expected_low", sa.Float(), nullable=True),
        sa.Column("expected_high", sa.Float(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("detector", sa.String(length=64), nullable=False),
        sa.Column("reason_key", sa.String(length=120), nullable=False),
        sa.Column("reason_params", sa.JSON(), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["grid_events.id"], name=op.f("fk_alarms_event_id_grid_events")),
        sa.ForeignKeyConstraint(["ticket_id"], ["fault_tickets.id"], name=op.f("fk_alarms_ticket_id_fault_tickets")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_alarms")),
    )
    op.create_index("ix_alarms_sensor", "alarms", ["sensor_id", "condition", "id"], unique=False)
    op.create_index(
        "uq_alarms_standing",
        "alarms",
        ["sensor_id", "condition"],
        unique=True,
        sqlite_where=sa.text("cleared_us IS NULL"),
        postgresql_where=sa.text("cleared_us IS NULL"),
    )
    op.create_table(
        "event_line",
        sa.Column(
            "event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False, comment="0 is the responsible person"),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("name_zh", sa.String(length=100), nullable=False),
        sa.Column("name_en", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("grid", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["grid_events.id"], name=op.f("fk_event_line_event_id_grid_events")),
        sa.PrimaryKeyConstraint("event_id", "position", name=op.f("pk_event_line")),
    )
    op.create_index("ix_event_line_worker", "event_line", ["worker", "position"], unique=False)
    op.create_table(
        "notifications",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False),
        sa.Column(
            "key", sa.String(length=32), nullable=False, comment="stable over retries; receivers drop repeats by it"
        ),
        sa.Column("cause", sa.String(length=32), nullable=False),
        sa.Column("event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=True),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False, comment="the graver is sent first"),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_error", sa.String(length=500), nullable=True),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("sent_us", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(["event_id"], ["grid_events.id"], name=op.f("fk_notifications_event_id_grid_events")),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["fault_tickets.id"], name=op.f("fk_notifications_ticket_id_fault_tickets")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint("key", name=op.f("uq_notifications_key")),
    )
    op.create_index("ix_notifications_event", "notifications", ["event_id"], unique=False)
    op.create_index("ix_notifications_pending", "notifications", ["state", "channel", "severity", "id"], unique=False)
    op.create_table(
        "sessions",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("account_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_us", sa.BigInteger(), nullable=False),
        sa.Column("expires_us", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["account_id"], ["accounts.id"], name=op.f("fk_sessions_account_id_accounts")),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_expires", "sessions", ["expires_us"], unique=False)
    op.create_table(
        "ticket_line",
        sa.Column(
            "ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column("position", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("worker", sa.String(length=64), nullable=False),
        sa.Column("name_zh", sa.String(length=100), nullable=False),
        sa.Column("name_en", sa.String(length=100), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("grid", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["fault_tickets.id"], name=op.f("fk_ticket_line_ticket_id_fault_tickets")
        ),
        sa.PrimaryKeyConstraint("ticket_id", "position", name=op.f("pk_ticket_line")),
    )
    op.create_table(
        "event_alarms",
        sa.Column(
            "event_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "alarm_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.id"], name=op.f("fk_event_alarms_alarm_id_alarms")),
        sa.ForeignKeyConstraint(["event_id"], ["grid_events.id"], name=op.f("fk_event_alarms_event_id_grid_events")),
        sa.PrimaryKeyConstraint("event_id", "alarm_id", name=op.f("pk_event_alarms")),
    )
    op.create_index("ix_event_alarms_alarm", "event_alarms", ["alarm_id"], unique=False)
    op.create_table(
        "ticket_alarms",
        sa.Column(
            "ticket_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.Column(
            "alarm_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=False, nullable=False
        ),
        sa.ForeignKeyConstraint(["alarm_id"], ["alarms.id"], name=op.f("fk_ticket_alarms_alarm_id_alarms")),
        sa.ForeignKeyConstraint(
            ["ticket_id"], ["fault_tickets.id"], name=op.f("fk_ticket_alarms_ticket_id_fault_tickets")
        ),
        sa.PrimaryKeyConstraint("ticket_id", "alarm_id", name=op.f("pk_ticket_alarms")),
    )
    op.create_index("ix_ticket_alarms_alarm", "ticket_alarms", ["alarm_id"], unique=False)
    for statement in TRAIL_STANDS[op.get_bind().dialect.name]:
        op.execute(statement)
