"""CPU microseconds per message of the receivers, from the socket to a yielded batch that is acknowledged.

``python -m benchmarks.receivers``: a real Mosquitto holds messages for a session that is away; then the receiver takes
them all. Only its own process is counted (``time.process_time``, the least of several runs), the broker is another.
Beside them stands mosquitto_sub, the limit of what a program in C with the same library as the broker takes.
"""

import argparse
import asyncio
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import mqtt5
import structlog

from config.clock import SystemClock
from config.settings import IngestSettings, MqttProtocol, MqttSettings
from ingest.receiver import ReceiverState
from ingest.receivers import open_receiver
from tests.support.servers import Server, mosquitto

SINGLE = b'{"id":"gas-000001-ch4","t":1700000000.123,"v":12.34,"u":"%LEL","s":123456}'.ljust(124)
PACK = b"[" + b",".join([SINGLE.strip()[:50]] * 100) + b"]"
LIMITS = "queue_qos0_messages true\nset_tcp_nodelay true\nmax_inflight_messages 20000"
TOPIC = "gridwhistle/readings/bench/{}"
AT_ONCE = 1000


def mqtt_settings(port: int, protocol: MqttProtocol) -> MqttSettings:
    """A session of its own for each protocol."""
    return MqttSettings.model_validate({"port": port, "protocol": protocol, "client_id": f"bench-{protocol}"})


def fill(port: int, count: int, qos: int, payload: bytes) -> None:
    """Publish to whoever is subscribed; returns when the broker has all of it."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(mqtt5.ConnectPacket("bench-publisher", clean_start=True).write())
        sock.recv(1000)
        left = count
        while left:
            part = min(left, AT_ONCE)
            # A ping behind each part is answered when all of it was read, so that nothing runs ahead.
            packets = [
                mqtt5.PublishPacket(
                    TOPIC.format(number % 500),
                    payload,
                    qos=mqtt5.QoS(qos),
                    packet_id=number + 1 if qos else None,
                ).write()
                for number in range(part)
            ]
            sock.sendall(b"".join(packets) + mqtt5.PingReqPacket().write())
            answered = 0
            pong = mqtt5.PingRespPacket().write()
            while answered < (4 * part if qos else 0) + len(pong):
                answered += len(sock.recv(1 << 20))
            left -= part


def end_session(port: int, client_id: str) -> None:
    """What the run before may have left unacknowledged is gone."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        sock.sendall(mqtt5.ConnectPacket(client_id, clean_start=True).write())
        sock.recv(1000)


async def subscribe(port: int, protocol: MqttProtocol) -> None:
    """Leave a fresh session behind."""
    settings = mqtt_settings(port, protocol)
    end_session(port, settings.client_id)
    async with open_receiver(settings, IngestSettings(), SystemClock(), settings.subscriptions) as receiver:
        while receiver.state is not ReceiverState.CONNECTED:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def take(port: int, protocol: MqttProtocol, count: int, busy_us: float) -> tuple[float, float, int]:
    """Receive and acknowledge all; CPU seconds, wall seconds, batches."""
    settings = mqtt_settings(port, protocol)
    cpu, wall, got, batches = time.process_time(), time.perf_counter(), 0, 0
    async with open_receiver(settings, IngestSettings(), SystemClock(), settings.subscriptions) as receiver:
        async for messages in receiver.batches():
            receiver.acknowledge(messages)
            got += len(messages)
            batches += 1
            judge(busy_us * len(messages))
            if got >= count:
                break
    return time.process_time() - cpu - busy_us * got / 1e6, time.perf_counter() - wall, batches


def judge(busy_us: float) -> None:
    """Keep the event loop's thread busy for so long, as the rooms behind the receiver do."""
    end = time.thread_time() + busy_us / 1e6
    while time.thread_time() < end:
        sum(range(100))


def of_receiver(server: Server, protocol: MqttProtocol, busy_us: float = 0) -> Callable[[int, int, bytes], float]:
    """A run of one of our receivers: (messages, QoS, payload) > CPU seconds."""

    def measure(count: int, qos: int, payload: bytes) -> float:
        asyncio.run(subscribe(server.port, protocol))
        fill(server.port, count, qos, payload)
        cpu, wall, batches = asyncio.run(take(server.port, protocol, count, busy_us))
        print(f"    {count / wall:9,.0f} messages/s, {count / batches:7,.0f} a batch", flush=True)
        return cpu

    return measure


def of_mosquitto_sub(server: Server, version: str) -> Callable[[int, int, bytes], float]:
    """The same of mosquitto_sub, which prints what it receives into nothing."""
    program = shutil.which("mosquitto_sub") or "mosquitto_sub"

    def measure(count: int, qos: int, payload: bytes) -> float:
        common = [program, "-p", str(server.port), "-V", version, "-i", "bench-sub", "-c", "-q", "1"]
        common += ["-t", "gridwhistle/readings/#"]
        if version == "5":
            common += ["-x", "3600"]
        subprocess.run([*common, "-E"], check=True)
        fill(server.port, count, qos, payload)
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([*common, "-C", str(count)], check=True, stdout=subprocess.DEVNULL)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    return measure


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=200_000, help="for each run; a tenth for MQTT 3.1.1")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(40))  # pauses are part of it
    rows: list[tuple[str, list[float]]] = []
    with tempfile.TemporaryDirectory() as folder, mosquitto(Path(folder), extra=LIMITS) as server:
        many, few = options.messages, options.messages // 10
        contenders: list[tuple[str, int, Callable[[int, int, bytes], float]]] = [
            ("MQTT 5", many, of_receiver(server, MqttProtocol.V5)),
            ("MQTT 5, the loop busy 3 us a message", many, of_receiver(server, MqttProtocol.V5, 3)),
            ("MQTT 3.1.1 (paho)", few, of_receiver(server, MqttProtocol.V311)),
        ]
        if shutil.which("mosquitto_sub"):
            contenders.append(("mosquitto_sub, MQTT 5, printing", many, of_mosquitto_sub(server, "5")))
        for name, count, measure in contenders:
            costs = []
            for qos, payload, share in ((0, SINGLE, 1), (1, SINGLE, 1), (1, PACK, 20)):
                print(f"{name}, QoS {qos}, {len(payload)} bytes", flush=True)
                runs = [measure(count // share, qos, payload) for _ in range(options.repeat)]
                costs.append(min(runs) / (count // share) * 1e6)
            rows.append((name, costs))
    print(f"\nload {os.getloadavg()[0]:.1f}; CPU us per message\n")
    print(f"| receiver | QoS 0, {len(SINGLE)} bytes | QoS 1, {len(SINGLE)} bytes | QoS 1, {len(PACK)} bytes |")
    print("| --- | --- | --- | --- |")
    for name, costs in rows:
        print(f"| {name} | " + " | ".join(f"{cost:.2f}" for cost in costs) + " |")


if __name__ == "__main__":
    main()
