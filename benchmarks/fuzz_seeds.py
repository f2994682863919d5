"""Sound messages of every format, as they might come, for ``benchmarks.fuzz`` to break: one maker for each format."""

import json
import random
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

from config.city import City
from config.fields import FieldRule, FieldRules
from config.settings import PayloadFormat

NOW_S: Final = 1_700_000_000

FIELDS: Final = ("ch4", "temperature", "humidity", "pm25")
RULES: Final = FieldRules.of(
    [
        *(FieldRule("*", name, f"{{device}}-{name}") for name in FIELDS),
        *(FieldRule("*", f"BME280.{name.capitalize()}", f"{{device}}-{name}") for name in FIELDS),
    ]
)
"""Every field of a made-up city's boxes, as several formats name them."""

Maker = Callable[[random.Random, City], tuple[str, bytes]]
"""Makes the end of a topic and a payload."""


def device_of(chance: random.Random, city: City) -> str:
    """One of the boxes, now and then one that nobody lists."""
    return chance.choice(city.columns.ids).rpartition("-")[0] if chance.random() < 0.9 else "stranger"


def moment(chance: random.Random, *, zone: bool = True) -> str:
    """A time that may be admitted, as RFC 3339."""
    at = datetime.fromtimestamp(NOW_S - chance.randrange(-2, 900), UTC).replace(microsecond=chance.randrange(10**6))
    return at.isoformat().replace("+00:00", "Z") if zone else at.replace(tzinfo=None).isoformat(timespec="seconds")


def fields(chance: random.Random) -> dict[str, Any]:
    """What a device says of itself: some values that are wanted, and some housekeeping."""
    said: dict[str, Any] = {name: round(chance.uniform(0, 50), 2) for name in FIELDS if chance.random() < 0.7}
    for name, values in (
        ("battery", [98, 3.3]),
        ("linkquality", [120, None]),
        ("state", ["ON", "OFF", "odd"]),
        ("tamper", [True, False]),
        ("deep", [{"a": [1, {"b": 2}]}, []]),
    ):
        if chance.random() < 0.3:
            said[name] = chance.choice(values)
    return said


def written(given: object) -> bytes:
    """As JSON."""
    return json.dumps(given, separators=(",", ":")).encode()


def native(chance: random.Random, city: City) -> tuple[str, bytes]:
    """Readings of the project's own format."""
    items = []
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        item: dict[str, Any] = {
            "id": chance.choice(city.columns.ids),
            "t": NOW_S - chance.randrange(-2, 900),
            "v": round(chance.uniform(0, 50), 3),
        }
        odd = (("u", ["%LEL", "Cel", "K", "mm"]), ("q", ["good", "simulated", "odd"]), ("s", [1, -1, 2**70]))
        for name, values in odd:
            if chance.random() < 0.15:
                item[name] = chance.choice(values)
        items.append(item)
    return "x", written(items[0] if len(items) == 1 else items)


def _records(chance: random.Random, city: City) -> list[dict[str, Any]]:
    records = []
    for _ in range(chance.choice([1, 1, 1, 2, 5])):
        item: dict[str, Any] = {"n": chance.choice(city.columns.ids), "v": round(chance.uniform(0, 50), 3)}
        odd = (("bn", ["", "box-"]), ("bt", [NOW_S, -5]), ("t", [0, -3]), ("bver", [10, 11]))
        for name, values in odd:
            if chance.random() < 0.2:
                item[name] = chance.choice(values)
        records.append(item)
    return records


def senml(chance: random.Random, city: City) -> tuple[str, bytes]:
    """Records of SenML in JSON."""
    return "x", written(_records(chance, city))


LABELS: Final = {"bver": -1, "bn": -2, "bt": -3, "n": 0, "v": 2, "t": 6}


def senml_cbor(chance: random.Random, city: City) -> tuple[str, bytes]:
    """The same in CBOR."""
    records = [{LABELS[name]: value for name, value in record.items()} for record in _records(chance, city)]
    return "x", cbor(records)


def cbor(given: Any) -> bytes:
    """Whole numbers, floats, texts, bytes, lists and maps as CBOR, in the shortest head."""
    if isinstance(given, float):
        return b"\xfb" + struct.pack(">d", given)
    if isinstance(given, int):
        return _head(0, given) if given >= 0 else _head(1, -1 - given)
    if isinstance(given, bytes):
        return _head(2, len(given)) + given
    if isinstance(given, str):
        return _head(3, len(given.encode())) + given.encode()
    if isinstance(given, list):
        return _head(4, len(given)) + b"".join(map(cbor, given))
    return _head(5, len(given)) + b"".join(cbor(key) + cbor(value) for key, value in given.items())


def _head(kind: int, argument: int) -> bytes:
    if argument < 24:
        return bytes([kind << 5 | argument])
    width = next(width for width in (1, 2, 4, 8) if argument < 256**width)
    return bytes([kind << 5 | {1: 24, 2: 25, 4: 26, 8: 27}[width]]) + argument.to_bytes(width, "big")


def chirpstack(chance: random.Random, city: City) -> tuple[str, bytes]:
    """An event of ChirpStack: mostly an uplink."""
    device = device_of(chance, city)
    event = chance.choice(["up", "up", "up", "up", "status", "join", "log"])
    said: dict[str, Any] = {"time": moment(chance), "deviceInfo": {"devEui": device, "tags": {}}, "fCnt": 7}
    if event == "up":
        said |= {"fPort": 85, "data": "A2ehAA==", "object": fields(chance), "rxInfo": [{"rssi": -56}]}
    elif event == "status":
        said |= {"margin": 6, "batteryLevel": 75.5, "batteryLevelUnavailable": chance.random() < 0.3}
    return f"application/1/device/{device}/event/{event}", written(said)


def ttn(chance: random.Random, city: City) -> tuple[str, bytes]:
    """A message of The Things Stack: mostly an uplink."""
    device = device_of(chance, city)
    said: dict[str, Any] = {"end_device_ids": {"device_id": device}, "received_at": moment(chance)}
    if chance.random() < 0.8:
        said["uplink_message"] = {"f_cnt": 3, "decoded_payload": fields(chance), "received_at": moment(chance)}
        said |= {"simulated": True} if chance.random() < 0.1 else {}
    else:
        said["join_accept"] = {}
    return f"v3/city@ttn/devices/{device}/up", written(said)


def zigbee2mqtt(chance: random.Random, city: City) -> tuple[str, bytes]:
    """A device behind Zigbee2MQTT; its base topic is what stands before."""
    device = device_of(chance, city)
    if chance.random() < 0.1:
        return f"{device}/availability", written({"state": "online"})
    seen = {"last_seen": chance.choice([moment(chance), NOW_S * 1000])} if chance.random() < 0.5 else {}
    return device, written(fields(chance) | seen)


def tasmota(chance: random.Random, city: City) -> tuple[str, bytes]:
    """A device with Tasmota, its time with or without an offset."""
    sensors = {name.capitalize(): value for name, value in fields(chance).items()}
    said = {"Time": moment(chance, zone=chance.random() < 0.7), "BME280": sensors, "TempUnit": chance.choice("CF")}
    return f"tele/{device_of(chance, city)}/{chance.choice(['SENSOR', 'SENSOR', 'SENSOR', 'STATE'])}", written(said)


MAKERS: Final[Mapping[PayloadFormat, Maker]] = MappingProxyType(
    {
        PayloadFormat.NATIVE: native,
        PayloadFormat.SENML: senml,
        PayloadFormat.SENML_CBOR: senml_cbor,
        PayloadFormat.CHIRPSTACK: chirpstack,
        PayloadFormat.TTN: ttn,
        PayloadFormat.ZIGBEE2MQTT: zigbee2mqtt,
        PayloadFormat.TASMOTA: tasmota,
    }
)
"""A new format is one maker and one entry."""
