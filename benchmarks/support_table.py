"""What a measurement found, as lines of a table, and the search for the highest rate that holds."""

import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

SETTLED_S, SETTLED_SHARE = 1.0, 0.05
"""A rate holds where everything is stored so soon after the last was sent: seconds, and a share of the run."""
PARTS = ("subject", "broker", "store", "generator")


@dataclass(frozen=True)
class Row:
    """One run.

    offered: readings a second asked for, 0 for as fast as it goes. sent: readings. seconds: that sending took.
    stored: readings found in the store. behind_s: from the last one sent to the last one stored. dropped: messages
    thrown away by the broker, by its own count. cpu_us: per reading, by part. memory_mb: the most of each part.
    latencies_ms: from publish to the alarm, of ``alarms`` sent. late: share of the generator's ticks that were late.
    """

    name: str
    offered: float
    sent: int
    seconds: float
    stored: int
    behind_s: float
    dropped: int
    cpu_us: Mapping[str, float]
    memory_mb: Mapping[str, float]
    latencies_ms: Sequence[float] = field(default_factory=tuple)
    alarms: int = 0
    late: float = 0.0

    @property
    def rate(self) -> float:
        """Readings really sent a second."""
        return self.sent / self.seconds

    @property
    def lost(self) -> int:
        """Readings sent that the store does not have."""
        return max(0, self.sent - self.stored)

    @property
    def twice(self) -> int:
        """Readings that the store has beyond those sent."""
        return max(0, self.stored - self.sent)

    def holds(self, lost_share: float = 0.0) -> bool:
        """Whether the rate can be kept: sent as asked, stored soon after, no more lost than allowed."""
        kept_pace = self.rate >= 0.98 * self.offered
        settled = self.behind_s <= SETTLED_S + SETTLED_SHARE * self.seconds
        return kept_pace and settled and self.lost <= lost_share * self.sent


_HEAD = (
    "what", "offered/s", "sent/s", "stored", "lost", "twice", "dropped", "behind s",
    *(f"µs {part}" for part in PARTS), *(f"MB {part}" for part in PARTS[:3]),
    "alarm p50 ms", "p99 ms", "worst ms", "alarms", "late",
)  # fmt: skip


def cells(row: Row) -> list[str]:
    """The cells of a row, as the table's head names them."""
    found = ["–"] * 3
    if row.latencies_ms:
        found = [f"{value:,.0f}" for value in (*np.percentile(row.latencies_ms, [50, 99]), max(row.latencies_ms))]
    return [
        row.name,
        f"{row.offered:,.0f}" if row.offered else "most",
        f"{row.rate:,.0f}",
        f"{row.stored:,}",
        f"{row.lost:,}",
        f"{row.twice:,}",
        f"{row.dropped:,}",
        f"{row.behind_s:.1f}",
        *(f"{row.cpu_us[part]:.1f}" if part in row.cpu_us else "–" for part in PARTS),
        *(f"{row.memory_mb[part]:,.0f}" if part in row.memory_mb else "–" for part in PARTS[:3]),
        *found,
        f"{len(row.latencies_ms)} of {row.alarms}" if row.alarms else "–",
        f"{row.late:.1%}",
    ]


def table(rows: Sequence[Row]) -> str:
    """The rows in Markdown, with the machine they come from above."""
    return "\n".join([machine(), "", markdown(_HEAD, [cells(row) for row in rows])])


def markdown(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, its columns padded so that it reads as plain text too."""
    widths = [max(len(line[place]) for line in (head, *lines)) for place in range(len(head))]

    def written(line: Sequence[str]) -> str:
        rest = (text.rjust(width) for text, width in zip(line[1:], widths[1:], strict=True))
        return "| " + " | ".join((line[0].ljust(widths[0]), *rest)) + " |"

    rule = "| " + " | ".join(
        "-" * width if place == 0 else "-" * (width - 1) + ":" for place, width in enumerate(widths)
    )
    return "\n".join([written(head), rule + " |", *(written(line) for line in lines)])


def machine() -> str:
    """Where the figures come from, and what else it was doing."""
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{_processor()}, {os.cpu_count()} cores, load average {load}, Python {sys.version.split()[0]}"


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123 - a device, not a file of ours
            names = [line.split(":", 1)[1].strip() for line in file if line.startswith("model name")]
    except FileNotFoundError:
        names = []
    return f"{platform.machine()} {names[0] if names else platform.processor()}".strip()


def highest(holds: Callable[[float], bool], first: float, *, factor: float = 1.6, precision: float = 1.08) -> float:
    """The highest rate that holds, to within ``precision``; 0 where not even a hundredth of the first does.

    Climbs by ``factor`` from the first while it holds (falls while it does not), then halves the gap.
    """
    low, high, rate = 0.0, 0.0, first
    while not low or not high:
        if holds(rate):
            low = rate
            rate *= factor
        else:
            high = rate
            if rate <= first / 100:
                return 0.0
            rate = max(rate / factor, first / 100)
    while high / low > precision:
        rate = (low * high) ** 0.5
        low, high = (rate, high) if holds(rate) else (low, rate)
    return low
