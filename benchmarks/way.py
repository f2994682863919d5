"""The whole way, from a device's publish to the store and to the alarm: real broker, real store, real daemon.

    .venv/bin/python -m benchmarks.way singles  [--qos 0|1] [--rate 60000] [--minutes 5] [--search]
    .venv/bin/python -m benchmarks.way packs    [--qos 0|1] [--rate 300000] [--minutes 5] [--search]
    .venv/bin/python -m benchmarks.way latency  [--rate 10000] [--alarms 0.001]
    .venv/bin/python -m benchmarks.way overload [--rate 900000] [--minutes 1]
    .venv/bin/python -m benchmarks.way outage   [--rate 5000] [--minutes 10]
    .venv/bin/python -m benchmarks.way peers    [--qos 0|1] [--only NAME]

All take --store victoria|influx1|local and --sensors. A table at the end; docs/performance.md says what its columns
mean. Needs Debian's ``mosquitto`` with its clients, and ``victoria-metrics`` or ``influxdb``.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import latency, outage, peer_runs
from benchmarks.support import STORES
from benchmarks.support_measure import bench, measure
from benchmarks.support_table import Row, cells, highest, table

PACK = 100
STEP_S = 30.0  # of a search


@dataclass(frozen=True)
class Scenario:
    """A stream of readings as it is asked for."""

    name: str
    asked: argparse.Namespace
    pack: int

    def run(self, rate: float, seconds: float) -> Row:
        """Everything fresh, so much a second for so long."""
        asked = self.asked
        arguments = [
            *("--sensors", str(asked.sensors), "--rate", str(rate), "--seconds", str(seconds)),
            *("--qos", str(asked.qos), "--pack", str(self.pack), "--connections", str(asked.connections)),
            *("--alarms", str(asked.alarms)),
        ]
        with bench(asked.store, asked.sensors) as whole:
            row = measure(whole.subject, arguments, rate)
            told = {name: count for name, count in whole.health()["counters"].items() if count}
        print("  " + "  ".join(cells(row)), told, sep="\n  ", flush=True)
        return row

    def rows(self) -> list[Row]:
        """One run as asked, or a search whose last line is the highest rate that holds, run for the whole time."""
        asked = self.asked
        if not asked.search:
            return [self.run(asked.rate, asked.minutes * 60)]
        found: list[Row] = []

        def holds(rate: float) -> bool:
            found.append(self.run(rate, STEP_S))
            return found[-1].holds()

        best = highest(holds, asked.rate)
        return [*found, self.run(best, asked.minutes * 60)] if best else found


def singles(asked: argparse.Namespace) -> list[Row]:
    """One reading in each message."""
    return Scenario("singles", asked, 1).rows()


def packs(asked: argparse.Namespace) -> list[Row]:
    """A hundred readings in each message."""
    return Scenario("packs", asked, PACK).rows()


SCENARIOS: dict[str, tuple[Callable[[argparse.Namespace], list[Row]], float, float]] = {
    "singles": (singles, 60_000, 5),
    "packs": (packs, 300_000, 5),
    "latency": (latency.latency, 10_000, 1),
    "overload": (latency.overload, 900_000, 1),
    "outage": (outage.outage, 5_000, 10),
    "peers": (peer_runs.peers, 0, 0.5),
}
"""By name: what runs, its rate in readings a second, and its minutes."""


def arguments() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    chosen = parser.add_subparsers(dest="scenario", required=True)
    for name, (run, rate, minutes) in SCENARIOS.items():
        one = chosen.add_parser(name, help=(run.__doc__ or "").splitlines()[0].replace("%", "%%"))
        one.add_argument(
            "--rate", type=float, default=rate, help="readings a second; 0: as fast as it goes, for peers: a search"
        )
        one.add_argument("--minutes", type=float, default=minutes, help="for how long")
        one.add_argument("--sensors", type=int, default=100_000, help="how many speak")
        one.add_argument("--store", choices=STORES, default="victoria")
        one.add_argument("--qos", type=int, choices=(0, 1), default=0)
        one.add_argument("--connections", type=int, default=1, help="publishers")
        one.add_argument("--alarms", type=float, default=0.001 if name in {"latency", "peers"} else 0.0)
        one.add_argument("--search", action="store_true", help="find the highest rate that holds, from --rate on")
        one.add_argument("--only", choices=sorted(peer_runs.PEERS), action="append", help="of the peers")
    return parser


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print."""
    asked = arguments().parse_args(given)
    run, _, _ = SCENARIOS[asked.scenario]
    rows = run(asked)
    print(table(rows))


if __name__ == "__main__":
    main()
