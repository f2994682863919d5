"""A daemon killed (kill -9) at random moments of a QoS 1 stream, beside a run that nobody disturbed.

    .venv/bin/python -m benchmarks.kills [--runs 100] [--readings 50000] [--seed 1]

Every run: the same readings of the example district through a real Mosquitto into a real InfluxDB, one kill -9 at a
random moment, a restart. Then every reading must be in the store once with its value, none marked late, and alarms and
grid events must be those of the undisturbed run. Exit code 1 where anything differs.
"""

import argparse
import platform
import tempfile
import time
from pathlib import Path

from tests.support.kills import Outcome, difference, kill_times, run, stream
from tests.support.servers import influxdb1, mosquitto


def main() -> None:
    """Run and print a line for each run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=100, help="how many kills")
    parser.add_argument("--readings", type=int, default=50_000, help="readings of each run")
    parser.add_argument("--seed", type=int, default=1, help="of the moments")
    asked = parser.parse_args()
    sent = stream(asked.readings)
    print(f"{platform.node()} {platform.machine()}: {asked.runs} kills, {sent.readings:,} readings each", flush=True)
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="gridwhistle-kills-") as temporary:
        folder = Path(temporary)
        with mosquitto(folder / "broker") as broker, influxdb1(folder / "influxdb") as database:
            begun = time.monotonic()
            undisturbed: Outcome = run(folder / "undisturbed", broker, database, sent, None)
            took = time.monotonic() - begun
            print(f"undisturbed: {undisturbed.stored:,} stored, {len(undisturbed.alarms)} alarms, {took:.1f} s")
            for number, kill_after_s in enumerate(kill_times(asked.seed, asked.runs, sent.longest_s), 1):
                found = run(folder / f"run{number}", broker, database, sent, kill_after_s)
                differs = difference(sent, undisturbed, found)
                wrong += bool(differs)
                print(
                    f"{number:4d} killed after {kill_after_s:6.2f} s: {differs or 'as if nothing had been'}", flush=True
                )
    print(f"{asked.runs - wrong} of {asked.runs} runs as if nothing had been")
    raise SystemExit(wrong > 0)


if __name__ == "__main__":
    main()
