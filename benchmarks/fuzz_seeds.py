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
from ingest.formats.hj212 import crc16
from ingest.formats.sparkplug_payload import Metric, value_of, write_payload

NOW_S: Final = 1_700_000_000

FIELDS: Final = ("ch4", "temperature", "humidity", "pm25")
FACTORS: Final = {
    "a34004-Rtd": "pm25",
    "a01001-Rtd": "temperature",
    "a01002-Rtd": "humidity",
    "hour/a34004-Avg": "pm25",
}
CAMERA: Final = {"person/count": "ch4", "person/score": "temperature", "camera_fps": "humidity", "person": "pm25"}
EVENTS: Final = {"RuleEngine/Counter/&1/Count": "ch4", "VideoAnalytics/1/M/Human/count": "pm25"}
BOXES: Final = 100


def _places() -> list[FieldRule]:
    """Fields of devices whose names begin with where they are, for as many boxes as a city of the fuzzing has."""
    rules = []
    for box in (f"box-{number:06d}" for number in range(BOXES)):
        rules += [FieldRule(f"gridwhistle/frigate/{box}", name, f"{box}-{of}") for name, of in CAMERA.items()]
        rules += [FieldRule(f"gridwhistle/onvif/{box}", name, f"{box}-{of}") for name, of in EVENTS.items()]
        rules += [FieldRule(f"gridwhistle/sparkplug/g/n/{box}", name, f"{box}-{name}") for name in FIELDS]
    return rules


RULES: Final = FieldRules.of(
    [
        *(FieldRule("*", name, f"{{device}}-{name}") for name in FIELDS),
        *(FieldRule("*", f"BME280.{name.capitalize()}", f"{{device}}-{name}") for name in FIELDS),
        *(FieldRule("*", name, f"{{device}}-{of}") for name, of in FACTORS.items()),
        *_places(),
    ]
)
"""Every field of a made-up city's boxes, as several formats name them."""

Maker = Callable[[random.Random, City], tuple[str, bytes]]
"""Makes the end of a topic and a payload."""


def device_of(chance: random.Random, city: City) -> str:
    """One of the boxes, now and then one that nobody lists."""
    return chance.choice(city.columns.ids).rpartition("-")[0] if chance.random() < 0.9 else "stranger"


def place_of(chance: random.Random, city: City) -> str:
    """One of the first boxes, for formats whose devices bear the name of their topic: see ``_places``."""
    return chance.choice(city.columns.ids[: 4 * BOXES]).rpartition("-")[0] if chance.random() < 0.9 else "stranger"


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


def frigate(chance: random.Random, city: City) -> tuple[str, bytes]:
    """A message of Frigate: mostly an event of an object."""
    device, name = place_of(chance, city), chance.choice("abcdefgh")
    seconds = NOW_S - chance.randrange(900) + 0.25
    if chance.random() < 0.15:
        return f"{device}/{chance.choice(['person', 'motion', 'person/snapshot'])}", chance.choice(
            [b"2", b"ON", b"\xff"]
        )
    if chance.random() < 0.1:
        return "stats", written({"cameras": {device: {"camera_fps": 5.1}}, "service": {"last_updated": NOW_S}})
    if chance.random() < 0.1:
        item = {"id": name, "camera": device, "start_time": seconds, "end_time": seconds, "severity": "alert"}
        return "reviews", written({"type": chance.choice(["new", "end"]), "before": item, "after": item})
    thing: dict[str, Any] = {
        "id": f"{device}-{name}",
        "camera": device,
        "frame_time": seconds,
        "end_time": seconds,
        "label": "person",
    }
    thing |= {"score": round(chance.random(), 3), "false_positive": chance.random() < 0.1, "active": True}
    thing |= {"current_zones": chance.choice([[], ["roof"], ["roof", "door"]]), "stationary": chance.random() < 0.2}
    return "events", written({"type": chance.choice(["new", "update", "end"]), "before": thing, "after": thing})


def onvif(chance: random.Random, city: City) -> tuple[str, bytes]:
    """An event or a frame of metadata of a camera."""
    device = place_of(chance, city)
    if chance.random() < 0.3:
        kinds = [{"Appearance": {"Class": {"Type": [{"#text": "Human", "@Likelihood": 0.5}]}}}] * chance.randrange(4)
        frames = {"Frame": [{"@UtcTime": moment(chance), "Object": kinds}]}
        return f"{device}/onvif-mj/VideoAnalytics/1/M", written(frames)
    count = chance.choice([7, "8", "9.5", True, "x"])
    said = {"UtcTime": moment(chance), "Source": {"Rule": "1"}, "Data": {"Count": count, "State": "true"}}
    return f"{device}/onvif-ej/RuleEngine/Counter/&1", b"" if chance.random() < 0.05 else written(said)


def sparkplug(chance: random.Random, city: City) -> tuple[str, bytes]:
    """A message of one node's device: a birth, or data by name or by alias."""
    device, birth = place_of(chance, city), chance.random() < 0.3
    metrics = []
    for alias, name in enumerate(FIELDS):
        metric = Metric(name if birth or chance.random() < 0.7 else None, alias, (NOW_S - chance.randrange(900)) * 1000)
        metric.datatype = chance.choice([9, 10, 3]) if birth else None
        metric.kind, metric.raw = value_of(metric.datatype or 10, round(chance.uniform(0, 50), 2))
        metric.historical, metric.null = chance.random() < 0.05, chance.random() < 0.05
        metric.quality = chance.choice([None, None, None, 192, 0, 500])
        metrics.append(metric)
    kind = "DBIRTH" if birth else chance.choice(["DDATA"] * 9 + ["DDEATH"])
    return f"spBv1.0/g/{kind}/n/{device}", write_payload(NOW_S * 1000, chance.randrange(256), metrics)


def hj212(chance: random.Random, city: City) -> tuple[str, bytes]:
    """A frame of a station, or several."""
    frames = []
    for _ in range(chance.choice([1, 1, 1, 2])):
        at = f"{datetime.fromtimestamp(NOW_S + 8 * 3600 - chance.randrange(900), UTC):%Y%m%d%H%M%S}"
        values = [(code, round(chance.uniform(0, 50), 1)) for code in ("a34004", "a01001", "a01002")]
        items = [f"{code}-Rtd={value},{code}-Flag={chance.choice('NNNNDTX')}" for code, value in values]
        command, split = chance.choice([2011, 2011, 2061, 9014]), "PNUM=2;PNO=1;" if chance.random() < 0.05 else ""
        head = f"QN={at}000;ST=22;CN={command};MN={device_of(chance, city)};Flag=5;{split}"
        data = f"{head}CP=&&DataTime={at};{';'.join(items)}&&".encode()
        frames.append(b"##%04d" % len(data) + data + b"%04X\r\n" % crc16(data))
    return "x", b"".join(frames)


MAKERS: Final[Mapping[PayloadFormat, Maker]] = MappingProxyType(
    {
        PayloadFormat.NATIVE: native,
        PayloadFormat.SENML: senml,
        PayloadFormat.SENML_CBOR: senml_cbor,
        PayloadFormat.CHIRPSTACK: chirpstack,
        PayloadFormat.TTN: ttn,
        PayloadFormat.FRIGATE: frigate,
        PayloadFormat.ONVIF: onvif,
        PayloadFormat.ZIGBEE2MQTT: zigbee2mqtt,
        PayloadFormat.TASMOTA: tasmota,
        PayloadFormat.SPARKPLUG: sparkplug,
        PayloadFormat.HJ212: hj212,
    }
)
"""A new format is one maker and one entry."""
