"""A real Mosquitto restarted again and again under a stream of QoS 1 readings into a real InfluxDB.

    .venv/bin/python -m benchmarks.broker_restarts [--times 20]

Prints how soon readings flow again after each return of the broker, and how many of those it had acknowledged to their
device are in the store. Exit code 1 where one is missing, or twice.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

from tests.support.broker_restarts import restarts


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20, help="how many restarts")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="gridwhistle-restarts-") as temporary:
        found = asyncio.run(restarts(Path(temporary), asked.times, lambda line: print(line, flush=True)))
    slowest = max(found.resumed_s)
    print(f"acknowledged to the device {found.sent:,}, in the store {found.stored:,}, called late {found.late:,}")
    print(f"slowest return {slowest:.2f} s, of {asked.times} restarts")
    raise SystemExit(found.stored != found.sent)


if __name__ == "__main__":
    main()
