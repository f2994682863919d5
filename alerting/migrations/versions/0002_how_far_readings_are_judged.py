"""How far the readings of each lane are judged, in the same transaction as what they said."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "judged",
        sa.Column("lane", sa.String(length=100), nullable=False, comment="one stream of readings with its own spool"),
        sa.Column(
            "position",
            sa.BigInteger(),
            nullable=False,
            comment="what the readings before it said is in this ledger",
        ),
        sa.PrimaryKeyConstraint("lane", name=op.f("pk_judged")),
    )


def downgrade() -> None:
    op.drop_table("judged")
