"""The plain script that most people write: paho-mqtt, json, influxdb-client's batching WriteApi, a threshold per reading.

Usage: peer_paho_influx.py BROKER_PORT STORE_URL. Prints one line for every second in which something arrived.
"""

import json
import sys
import time
from typing import Any

import paho.mqtt.client as mqtt
from influxdb_client.client.influxdb_client import InfluxDBClient
from influxdb_client.client.write.point import Point
from influxdb_client.client.write_api import WriteOptions
from influxdb_client.domain.write_precision import WritePrecision

LIMIT = 25.0


def main() -> None:
    """Subscribe and write until killed."""
    port, url = int(sys.argv[1]), sys.argv[2]
    store = InfluxDBClient(url=url, token="none", org="none")  # noqa: S106 the benchmark's store has no tokens
    write = store.write_api(WriteOptions(batch_size=5000, flush_interval=200))

    def arrived(_client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        reading = json.loads(message.payload)
        if reading["v"] >= LIMIT:
            print("ALARM", reading["id"], time.time(), flush=True)
        point = Point("peer").tag("sensor", reading["id"]).field("value", float(reading["v"]))
        write.write(bucket="peer", record=point.time(int(reading["t"] * 1e6), WritePrecision.US))

    client = mqtt.Client(mqtt.CallbackAPIVersion.VERSION2, client_id="peer", clean_session=False)
    client.on_message = arrived
    client.on_connect = lambda *_: client.subscribe("gridwhistle/readings/#", qos=1)
    client.connect("127.0.0.1", port)
    client.loop_forever()


if __name__ == "__main__":
    main()
