"""Everything that is simulated arrives at a real broker, once and in order."""

import asyncio
import base64
import hashlib
import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import pytest

from config.clock import SystemClock
from config.errors import PermanentError, RetryableError
from sensors_sim.generate import readings
from sensors_sim.logins import Login, logins_from_template
from sensors_sim.publish import Broker, Pace, Progress, Publisher, Run, Stopped, play, run_simulation
from sensors_sim.truth import Truth
from sensors_sim.wire import Message, timed_messages
from tests.sensors_sim.cities import LIVELY, make_city
from tests.sensors_sim.listener import listening
from tests.sensors_sim.moments import instants
from tests.support.servers import Server, free_port, mosquitto

START_US = 1_780_000_000_000_000
SMALL = make_city(LIVELY, side=2)


def expected(seed: int, minutes: float) -> Counter[tuple[str, float, float]]:
    return Counter(
        (sensor, time_us / 1e6, value)
        for time_us, entries in readings(SMALL, seed, START_US, minutes)
        for sensor, value in entries
    )


@pytest.mark.broker
@pytest.mark.parametrize("pack", [1, 7])
async def test_every_reading_arrives_exactly_once_alone_or_in_packs(tmp_path: Path, pack: int) -> None:
    with mosquitto(tmp_path) as broker, listening(broker.port) as listener:
        result = await run_simulation(
            SMALL, 3, 10, speed=None, start_us=START_US, port=broker.port, pack=pack, clock=True
        )
        await asyncio.to_thread(listener.wait_for_readings, result.readings_sent)
    assert Counter(listener.readings()) == expected(3, 10)
    assert result.readings_sent == len(listener.readings())
    packs = [content for topic, content in listener.heard if "readings" in topic and isinstance(content, list)]
    assert all(len(content) <= pack for content in packs)
    assert bool(packs) is (pack > 1)
    assert max((len(content) for content in packs), default=1) == pack


@pytest.mark.broker
async def test_the_clock_is_published_before_the_readings_of_its_instant_and_none_is_later(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, listening(broker.port) as listener:
        result = await run_simulation(SMALL, 3, 1, speed=None, start_us=START_US, port=broker.port)
        await asyncio.to_thread(listener.wait_for_readings, result.readings_sent)
    now, clocks = "", 0
    for topic, content in listener.heard:
        if topic == "gridwhistle/clock":
            assert content["time"] > now
            now, clocks = content["time"], clocks + 1
        else:
            second = (START_US // 1_000_000) + clocks
            assert second - 1 <= content["t"] < second
    assert clocks == 60
    assert now == "2026-05-28T20:27:40.000Z"


@pytest.mark.broker
async def test_nothing_is_lost_when_the_broker_is_restarted_in_the_middle(tmp_path: Path) -> None:
    restarted = threading.Event()

    storage = "autosave_interval 1\nautosave_on_changes true"
    with mosquitto(tmp_path, extra=storage) as broker, listening(broker.port) as listener:
        loop = asyncio.get_running_loop()

        def restart() -> None:
            broker.stop()
            broker.start()
            restarted.set()

        def progress(step: Progress) -> None:
            if step.share > 0.2 and not restarted.is_set() and not jobs:
                jobs.append(loop.run_in_executor(None, restart))

        jobs: list[asyncio.Future[None]] = []
        result = await run_simulation(SMALL, 3, 3, speed=60, start_us=START_US, port=broker.port, progress=progress)
        assert restarted.is_set()
        await asyncio.gather(*jobs)
        await asyncio.to_thread(listener.wait_for_readings, result.readings_sent)
    # at least once: a broker may repeat what it could not acknowledge
    assert set(listener.readings()) == set(expected(3, 3))


async def test_a_broker_that_is_not_there_is_named() -> None:
    port = free_port()
    with pytest.raises(RetryableError, match=f"no broker answers at 127.0.0.1:{port}"):
        await run_simulation(SMALL, 1, 1, speed=None, start_us=START_US, port=port)


@pytest.mark.broker
async def test_a_broker_that_forbids_the_topic_stops_the_run_instead_of_losing_it(tmp_path: Path) -> None:
    rules = tmp_path / "acl"
    rules.write_text("topic write gridwhistle/clock\n")
    with (
        mosquitto(tmp_path / "broker", extra=f"acl_file {rules}") as broker,
        pytest.raises(PermanentError, match="Not authorized"),
    ):
        await run_simulation(SMALL, 1, 1, speed=None, start_us=START_US, port=broker.port)


@pytest.mark.broker
async def test_a_broker_that_wants_a_password_refuses_by_name(tmp_path: Path) -> None:
    with (
        mosquitto(tmp_path, extra="password_file /dev/null\nallow_anonymous false") as broker,
        pytest.raises(PermanentError, match=r"refuses the connection: (Not authorized|Bad user name)"),
    ):
        await run_simulation(SMALL, 1, 1, speed=None, start_us=START_US, port=broker.port)


@pytest.mark.broker
async def test_real_time_is_kept_at_a_speed(tmp_path: Path) -> None:
    clock = SystemClock()
    with mosquitto(tmp_path) as broker:
        before = clock.monotonic()
        await run_simulation(SMALL, 1, 0.5, speed=60, start_us=START_US, port=broker.port)
        took = clock.monotonic() - before
    assert took >= 0.5


@pytest.mark.broker
async def test_a_cancelled_run_ends_at_once_and_leaves_no_thread(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        begun = asyncio.Event()
        truths: list[Truth] = []
        before = set(threading.enumerate())
        work = asyncio.create_task(
            run_simulation(
                SMALL,
                1,
                60,
                start_us=START_US,
                port=broker.port,
                progress=lambda _: begun.set(),
                on_truth=truths.append,
            )
        )
        await asyncio.wait_for(begun.wait(), 10)
        work.cancel()
        with pytest.raises(asyncio.CancelledError):
            await work
        assert [truth.end_us for truth in truths] == [START_US + 3600 * 1_000_000]
        ours = [thread for thread in set(threading.enumerate()) - before if not thread.name.startswith("asyncio_")]
        assert ours == []  # the event loop keeps the idle threads of its pool


@pytest.mark.broker
async def test_progress_ends_with_everything_sent(tmp_path: Path) -> None:
    steps: list[Progress] = []
    with mosquitto(tmp_path) as broker:
        result = await run_simulation(
            SMALL, 1, 1, speed=None, start_us=START_US, port=broker.port, progress=steps.append
        )
        await asyncio.sleep(0)
    assert steps[-1].share == 1
    assert steps[-1].sent == result.readings_sent
    assert result.truth.seed == 1


async def test_a_speed_of_zero_is_refused() -> None:
    with pytest.raises(ValueError, match="speed is 0"):
        await run_simulation(SMALL, 1, 1, speed=0, start_us=START_US)


@pytest.mark.broker
def test_a_publisher_that_is_told_to_stop_says_so(tmp_path: Path) -> None:
    stop = threading.Event()
    with mosquitto(tmp_path) as broker, Publisher(Broker(port=broker.port), stop=stop) as publisher:
        publisher.publish(Message("gridwhistle/readings/a", json.dumps({}).encode(), 1))
        stop.set()
        with pytest.raises(Stopped):
            publisher.drain()


@pytest.mark.broker
async def test_a_broker_that_wants_few_messages_in_flight_gets_no_more(tmp_path: Path) -> None:
    storage = "max_inflight_messages 3\nlog_type all"
    with mosquitto(tmp_path, extra=storage) as broker, listening(broker.port) as listener:
        result = await run_simulation(SMALL, 3, 2, speed=None, start_us=START_US, port=broker.port, clock=False)
        await asyncio.to_thread(listener.wait_for_readings, result.readings_sent)
    assert Counter(listener.readings()) == expected(3, 2)
    assert "receive maximum exceeded" not in (tmp_path / "server.log").read_text().lower()


@pytest.mark.broker
def test_at_most_so_many_messages_wait_for_their_acknowledgement(tmp_path: Path) -> None:
    with (
        mosquitto(tmp_path, extra="max_inflight_messages 3") as broker,
        Publisher(Broker(port=broker.port)) as publisher,
    ):
        assert publisher.in_flight == 3
    with mosquitto(tmp_path) as broker, Publisher(Broker(port=broker.port), in_flight=7) as publisher:
        assert publisher.in_flight == 7


@pytest.mark.broker
def test_a_broker_that_acknowledges_nothing_is_given_up_with_the_number_missing(tmp_path: Path) -> None:
    with (
        mosquitto(tmp_path) as broker,
        Publisher(Broker(port=broker.port), patience_s=0.5) as publisher,
    ):
        publisher.publish(Message("gridwhistle/readings/a", b"{}", 1))
        publisher.drain()
        assert broker.process is not None
        broker.process.send_signal(signal.SIGSTOP)
        try:
            publisher.publish(Message("gridwhistle/readings/a", b"{}", 1))
            with pytest.raises(RetryableError, match=r"acknowledged nothing for 0\.5 s; 1 of 2 messages may not"):
                publisher.drain()
        finally:
            broker.process.send_signal(signal.SIGCONT)


AMQTT = """
import asyncio, sys
from amqtt.broker import Broker
plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
async def main():
    listeners = {"default": {"type": "tcp", "bind": "127.0.0.1:" + sys.argv[1]}}
    await Broker({"listeners": listeners, "plugins": plugins}).start()
    await asyncio.Event().wait()
asyncio.run(main())
"""


async def test_a_broker_that_knows_only_mqtt_3_gets_everything_too(tmp_path: Path) -> None:
    port = free_port()
    server = Server([sys.executable, "-c", AMQTT, str(port)], port, tmp_path)
    server.start()
    try:
        with listening(port) as listener:
            result = await run_simulation(SMALL, 3, 1, speed=None, start_us=START_US, port=port, pack=10)
            await asyncio.to_thread(listener.wait_for_readings, result.readings_sent)
        assert Counter(listener.readings()) == expected(3, 1)
    finally:
        server.stop()


@pytest.mark.broker
async def test_a_retained_reading_is_there_for_whoever_comes_later(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker:
        with Publisher(Broker(port=broker.port)) as publisher:
            for value in (1.0, 2.0):
                payload = json.dumps({"id": "a", "t": 1, "v": value}).encode()
                publisher.publish(Message("gridwhistle/readings/kept", payload, 1, retain=True))
                publisher.publish(Message("gridwhistle/readings/gone", payload, 1))
            publisher.drain()
        with listening(broker.port) as listener:
            await asyncio.to_thread(listener.wait_for_readings, 1)
    assert [(topic, content["v"]) for topic, content in listener.heard] == [("gridwhistle/readings/kept", 2.0)]


@pytest.mark.broker
def test_a_broker_that_keeps_nothing_is_told_apart_from_one_that_does(tmp_path: Path) -> None:
    message = Message("gridwhistle/readings/a", b"{}", 1, retain=True)
    with (
        mosquitto(tmp_path, extra="retain_available false") as broker,
        Publisher(Broker(port=broker.port)) as publisher,
        pytest.raises(PermanentError, match="keeps no messages"),
    ):
        publisher.publish(message)


@pytest.mark.broker
def test_a_message_that_the_broker_would_not_take_is_not_sent(tmp_path: Path) -> None:
    with (
        mosquitto(tmp_path, extra="max_packet_size 300") as broker,
        Publisher(Broker(port=broker.port)) as publisher,
    ):
        publisher.publish(Message("gridwhistle/readings/a", b"x" * 200, 1))
        with pytest.raises(PermanentError, match=r"has 330 bytes, the broker at 127\.0\.0\.1:\d+ takes 300 at most"):
            publisher.publish(Message("gridwhistle/readings/a", b"x" * 300, 1))
        publisher.drain()


@pytest.mark.broker
async def test_without_acknowledgements_everything_arrives_at_a_broker_that_stands(tmp_path: Path) -> None:
    with mosquitto(tmp_path) as broker, listening(broker.port) as listener:
        run = Run(SMALL, instants(200), START_US, START_US + 200_000_000)
        sent = await play(run, Broker(port=broker.port), Pace(None, 3, True, SystemClock(), qos=0), None)
        await asyncio.to_thread(listener.wait_for_readings, sent)
    assert sent == len(listener.readings()) == 1800


async def test_another_quality_of_service_is_refused() -> None:
    with pytest.raises(ValueError, match="qos is 2, expected 0 or 1"):
        Publisher(Broker(), qos=2)


def _password_file(path: Path, logins: Mapping[str, Login]) -> Path:
    """As Mosquitto keeps passwords: PBKDF2 of SHA-512."""
    lines = []
    for login in logins.values():
        digest = hashlib.pbkdf2_hmac("sha512", (login.password or "").encode(), b"twelve bytes", 101)
        salted = base64.b64encode(b"twelve bytes").decode(), base64.b64encode(digest).decode()
        lines.append(f"{login.username}:$7$101${salted[0]}${salted[1]}\n")
    path.write_text("".join(lines))
    return path


@pytest.mark.broker
async def test_every_box_speaks_for_itself_and_the_clock_stands_between_the_instants(tmp_path: Path) -> None:
    logins = logins_from_template(SMALL.columns.device.names, "{device}", "secret of {device}")
    passwords = _password_file(tmp_path / "passwords", {**logins, "": Login("clock", "tick")})
    rules = tmp_path / "rules"  # a box may write on its own topic only
    rules.write_text(
        "topic read gridwhistle/#\n\nuser clock\ntopic write gridwhistle/clock\n\n"
        "pattern write gridwhistle/readings/%u\n"
    )
    extra = f"password_file {passwords}\nacl_file {rules}"
    with mosquitto(tmp_path / "broker", extra=extra) as broker, listening(broker.port) as listener:
        run = Run(SMALL, instants(20), START_US, START_US + 20_000_000)
        pace = Pace(None, 5, True, SystemClock(), logins=logins)
        sent = await play(run, Broker("127.0.0.1", broker.port, "clock", "tick"), pace, None)
        await asyncio.to_thread(listener.wait_for_readings, sent)
        assert sent == 180
        wrong = {**logins, "G00-0": Login("G00-0", "guessed")}
        with pytest.raises(PermanentError, match=r"refuses the connection: (Not authorized|Bad user name)"):
            Publisher(Broker("127.0.0.1", broker.port, "clock", "tick"), logins=wrong).__enter__()
    second = START_US / 1e6
    for topic, content in listener.heard:
        if topic == "gridwhistle/clock":
            second += 1
        else:
            assert all(second - 1 <= entry["t"] < second for entry in content)
    assert second == START_US / 1e6 + 20


@pytest.mark.broker
async def test_boxes_of_their_own_come_back_after_a_restart_and_nothing_is_lost(tmp_path: Path) -> None:
    logins = logins_from_template(SMALL.columns.device.names, "{device}")
    storage = "autosave_interval 1\nautosave_on_changes true"
    with mosquitto(tmp_path, extra=storage) as broker, listening(broker.port) as listener:
        with Publisher(Broker(port=broker.port), logins=logins) as publisher:
            messages = list(timed_messages(SMALL, instants(40), pack=5, clock_topic=False, boxes=True))
            for number, timed in enumerate(messages):
                if number == len(messages) // 2:
                    broker.stop()
                if number == len(messages) // 2 + 5:  # what was sent into nothing is kept
                    broker.start()
                publisher.publish(timed.message)
            publisher.drain()
        await asyncio.to_thread(listener.wait_for_readings, 360)
    expected = {
        (SMALL.columns.ids[row], time_us / 1e6, value)
        for one in instants(40)
        for row, time_us, value in zip(one.sensors.tolist(), one.times_us.tolist(), one.values.tolist(), strict=True)
    }
    assert set(listener.readings()) == expected


async def test_a_broker_of_mqtt_3_cannot_serve_boxes_of_their_own(tmp_path: Path) -> None:
    port = free_port()
    server = Server([sys.executable, "-c", AMQTT, str(port)], port, tmp_path)
    server.start()
    try:
        with pytest.raises(PermanentError, match="speaks no MQTT 5"):
            Publisher(Broker(port=port), logins={"a": Login("a", None)}).__enter__()
    finally:
        server.stop()
