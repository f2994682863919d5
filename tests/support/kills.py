"""A daemon killed in the middle of a stream: what it kept and said, beside a run that nobody disturbed."""

import json
import random
import sqlite3
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from config.city_files import EXAMPLE, load_city
from config.clock import US_PER_SECOND, SystemClock
from sensors_sim.generate import Simulation
from sensors_sim.publish import Broker, Publisher
from sensors_sim.wire import Message, Payloads
from tests.support.daemon import DaemonProcess
from tests.support.servers import Server

PATIENCE_S = 60.0
SEED = 7
MINUTES = 62  # of the example district: more than 50,000 readings


READINGS_PER_S = 25_000.0
"""About what the publisher sends; kills fall into the time that a stream takes, and a little behind it."""


@dataclass(frozen=True, slots=True)
class Stream:
    """Messages in order, and what must come of them. values: their sum, readings: their number."""

    messages: Sequence[Message]
    readings: int
    values: float

    @property
    def longest_s(self) -> float:
        """Seconds from the first message within which kills fall."""
        return 1.0 + self.readings / READINGS_PER_S


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a run left.

    stored: readings in the store. values: the sum of their values. doubted: how many of them are not GOOD.
    alarms, events: as the ledger has them, without what depends on our own clock.
    """

    stored: int
    values: float
    doubted: int
    alarms: frozenset[tuple[Any, ...]]
    events: frozenset[tuple[Any, ...]]


def stream(readings: int) -> Stream:
    """The first so many readings of the example district's day, ended an hour before now."""
    city = load_city(EXAMPLE)
    start_us = SystemClock().now_us() // US_PER_SECOND * US_PER_SECOND - 3 * 3600 * US_PER_SECOND
    payloads = Payloads(city)
    messages: list[Message] = []
    values: list[np.ndarray[Any, np.dtype[np.float64]]] = []
    for instant in Simulation(city, SEED, start_us, MINUTES).instants():
        messages += payloads.messages(instant)
        values.append(instant.values)
        if len(messages) >= readings:
            break
    if len(messages) < readings:
        raise ValueError(f"the district's day has {len(messages)} readings, expected {readings}")
    sent = messages[:readings]
    return Stream(sent, readings, sum(json.loads(message.payload)["v"] for message in sent))


def configure(folder: Path, broker: Server, database: Server) -> Path:
    """Settings under which the stream's old event times are life, and nobody is called silent."""
    folder.mkdir(parents=True)
    path = folder / "gridwhistle.toml"
    path.write_text(
        f'city = "{EXAMPLE}"\ndata_dir = "{folder / "data"}"\nlanguage = "en"\n'
        f'[mqtt]\nport = {broker.port}\nclient_id = "{folder.name}"\nreconnect_min_s = 0.05\nreconnect_max_s = 0.5\n'
        f'[store]\ntype = "influx1"\nurl = "http://127.0.0.1:{database.port}"\ndatabase = "{folder.name}"\n'
        "[ingest]\nlate_s = 1e9\nsilent_after = 1e6\n[dashboard]\nport = 0\n"
    )
    return path


def run(folder: Path, broker: Server, database: Server, sent: Stream, kill_after_s: float | None) -> Outcome:
    """Publish the stream at QoS 1 through a daemon that is killed (and started again) after so long, if at all."""
    daemon = DaemonProcess(configure(folder, broker, database), folder)
    daemon.start()
    try:
        _healthy(daemon)

        def disturb() -> None:
            daemon.kill()
            daemon.start()

        disturbance = None if kill_after_s is None else threading.Timer(kill_after_s, disturb)
        if disturbance is not None:
            disturbance.start()
        with Publisher(Broker(port=broker.port)) as publisher:
            for message in sent.messages:
                publisher.publish(message)
            publisher.drain()
        if disturbance is not None:
            disturbance.join()
        _settle(database, folder.name, sent.readings)
        daemon.stop()
    finally:
        daemon.kill()
        _forget(broker, folder.name)
    return _outcome(folder, database)


def _forget(broker: Server, client_id: str) -> None:
    """End the sessions that a daemon left at the broker, or they would gather every later run's readings."""
    for name in (client_id, f"{client_id}-urgent"):
        client = Client(CallbackAPIVersion.VERSION2, client_id=name, protocol=MQTTProtocolVersion.MQTTv5)
        gone = threading.Event()
        client.on_connect = lambda told, *_: told.disconnect()
        client.on_disconnect = lambda *_, gone=gone: gone.set()
        client.connect("127.0.0.1", broker.port, clean_start=True)
        client.loop_start()
        gone.wait(PATIENCE_S)
        client.loop_stop()


def difference(sent: Stream, undisturbed: Outcome, found: Outcome) -> str:
    """What is not as it should be, in words; empty where all is."""
    wrong = []
    if found.stored != sent.readings:
        wrong.append(f"{found.stored} readings stored of {sent.readings}")
    if abs(found.values - sent.values) > 1e-6 * abs(sent.values):
        wrong.append(f"the values add up to {found.values}, expected {sent.values}")
    if found.doubted:
        wrong.append(f"{found.doubted} readings are not GOOD")
    for name, one, other in (
        ("alarms", undisturbed.alarms, found.alarms),
        ("events", undisturbed.events, found.events),
    ):
        if one != other:
            wrong.append(f"{name} differ: missing {sorted(one - other)[:3]}, more {sorted(other - one)[:3]}")
    return "; ".join(wrong)


def kill_times(seed: int, runs: int, longest_s: float) -> list[float]:
    """When to kill, in seconds after the first message of each run."""
    chosen = random.Random(seed)  # noqa: S311 - repeatable, guards nothing
    return [chosen.uniform(0.02, longest_s) for _ in range(runs)]


def _healthy(daemon: DaemonProcess) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"{daemon.url}/healthz", timeout=5):  # noqa: S310 - loopback
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the daemon is not well within {PATIENCE_S:.0f} s")


def _settle(database: Server, name: str, wanted: int) -> None:
    """Wait until so many readings are in the store, or none has come for 10 s."""
    last, since = -1.0, time.monotonic()
    while (have := _numbers(database, name, 'count("value")')) < wanted and time.monotonic() - since < 10:
        if have != last:
            last, since = have, time.monotonic()
        time.sleep(0.05)


def _numbers(database: Server, name: str, what: str, where: str = "") -> float:
    """One aggregate over all measurements together."""
    asked = f"SELECT {what} FROM /.*/ {where}"  # noqa: S608 - InfluxQL, of our own words
    query = urllib.parse.urlencode({"db": name, "q": asked})
    url = f"http://127.0.0.1:{database.port}/query?{query}"
    with urllib.request.urlopen(url, timeout=30) as answer:
        result = json.loads(answer.read())["results"][0]
    return float(sum(series["values"][0][1] for series in result.get("series", [])))


def _outcome(folder: Path, database: Server) -> Outcome:
    with closing(sqlite3.connect(folder / "data" / "ledger.sqlite")) as ledger:
        alarms = ledger.execute(
            "SELECT sensor_id, condition, nature, severity, state, since_us, at_us, last_us, value, reason_key"
            " FROM alarms"
        ).fetchall()
        events = ledger.execute(
            "SELECT e.category, e.grid, e.severity, e.started_us, group_concat(a.sensor_id || a.condition, ' ') FROM"
            " (SELECT * FROM grid_events) e JOIN event_alarms l ON l.event_id = e.id JOIN alarms a ON a.id = l.alarm_id"
            " GROUP BY e.id"
        ).fetchall()
    return Outcome(
        stored=round(_numbers(database, folder.name, 'count("value")')),
        values=_numbers(database, folder.name, 'sum("value")'),
        doubted=round(_numbers(database, folder.name, 'count("value")', 'WHERE "quality" > 0')),
        alarms=frozenset(alarms),
        events=frozenset((*rest, " ".join(sorted(members.split()))) for *rest, members in events),
    )
