"""What a message of each payload format costs, from its bytes to admitted columns.

``python -m benchmarks.formats [--sensors 50000] [--messages 1000] [--repeats 5]``

Sound messages of every format, as ``benchmarks.fuzz_seeds`` makes them (some hold fields that nobody wants, some are no
readings), in batches, through ``Intake.admit``: CPU time, least of several repeats.
"""

import argparse
import os
import random
import time
from dataclasses import replace

from benchmarks.fuzz import sound
from benchmarks.fuzz_seeds import MAKERS, NOW_S, RULES
from benchmarks.intake import made_up_city
from config.city import City
from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.intake import Intake
from ingest.model import Message, Messages

NOW_US = NOW_S * 1_000_000


def batch(city: City, found: PayloadFormat, count: int, seed: int) -> Messages:
    """So many messages of a format, as received in one go."""
    chance = random.Random(seed)  # noqa: S311  # a made-up stream
    return Messages.of([Message(*sound(chance, city, found), NOW_US) for _ in range(count)])


def measure(city: City, found: PayloadFormat, count: int, repeats: int) -> tuple[float, float, float]:
    """(CPU microseconds per message, bytes per message, readings per message, refused ones and fields included)."""
    subscription = Subscription(filter=f"gridwhistle/{found.value}/#", format=found, timezone="Asia/Shanghai")
    intake = Intake(city, IngestSettings(), [subscription])
    took = []
    messages = batch(city, found, count, 0)
    for number in range(repeats + 1):
        start = time.process_time()
        intake.admit(messages, NOW_US)
        if number:  # at first the devices are new
            took.append(time.process_time() - start)
        messages = batch(city, found, count, number + 1)
    counters = intake.counters
    values = counters["readings"] + counters["fields_passed_over"]
    size = sum(map(len, messages.payloads)) / count
    return min(took) / count * 1e6, size, values / counters["messages"]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sensors", type=int, default=50_000, help="configured sensors, four in a box")
    parser.add_argument("--messages", type=int, default=1000, help="messages in a batch")
    parser.add_argument("--repeats", type=int, default=5, help="repeats, of which the least counts")
    given = parser.parse_args()
    city = replace(made_up_city(given.sensors), fields=RULES)
    print(f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores; CPU")
    print(f"{'format':12} {'us/message':>10} {'messages/s':>11} {'bytes':>6} {'values':>7}")
    for found in MAKERS:
        cost, size, values = measure(city, found, given.messages, given.repeats)
        print(f"{found.value:12} {cost:10.1f} {1e6 / cost:11,.0f} {size:6.0f} {values:7.1f}", flush=True)


if __name__ == "__main__":
    main()
