"""The plain script that most people write: paho, json, influxdb-client's batching WriteApi, a threshold.

Usage: peer_paho_influx.py BROKER_PORT STORE_URL. Prints READY, then a line for every reading over the limit.
"""

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import paho.mqtt.client as mqtt
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write_api import WriteOptions
from influxdb_client.domain.write_precision import WritePrecision
from paho.mqtt.enums import CallbackAPIVersion

LIMIT = 25.0


def run(judge: Callable[[str, float], None] | None = None) -> None:
    """Subscribe and write until killed. judge: what else is done with each reading's sensor and value."""
    port, url = int(sys.argv[1]), sys.argv[2]
    store = InfluxDBClient(url=url, token="none", org="none")  # noqa: S106 the benchmark's store has no tokens
    write = store.write_api(WriteOptions(batch_size=5000, flush_interval=200))

    def arrived(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        reading = json.loads(message.payload)
        if reading["v"] >= LIMIT:
            print("ALARM", reading["id"], time.time(), flush=True)
        if judge is not None:
            judge(reading["id"], reading["v"])
        record = {
            "measurement": "peer",
            "tags": {"sensor": reading["id"]},
            "fields": {"value": float(reading["v"])},
            "time": int(reading["t"] * 1e6),
        }
        write.write(bucket="peer", record=record, write_precision=WritePrecision.US)  # type: ignore[arg-type]  # a constant of the library, typed str

    def connected(client: mqtt.Client, *_: Any) -> None:
        client.subscribe("gridwhistle/readings/#", qos=1)

    client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id="peer", clean_session=False)
    client.on_message = arrived
    client.on_connect = connected
    client.on_subscribe = lambda *_: print("READY", flush=True)
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    run()
