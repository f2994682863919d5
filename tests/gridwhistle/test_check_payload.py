"""What the operator reads of one message: what it becomes, what is refused and why, what is passed over."""

import json
import shutil
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from config.city_files import EXAMPLE
from config.settings import IngestSettings
from config.texts import text
from config.vocabulary import Language
from gridwhistle.check_payload import Reporter, check_payload
from gridwhistle.cli import app
from ingest.model import Message
from tests.ingest.builders import NOW_US
from tests.ingest.formats_page import EXAMPLES, Example, name_of, page_city, subscription_for

runner = CliRunner()
RECEIVED = "2023-11-14T22:13:21Z"
FIELDS = """device,field,sensor,unit,factor,offset
24e124136b502217,gas.ch4,gas-001-ch4,%VOL,2,0.01
*,co,{device}-co,,,
"""


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    """Settings of a copy of the example with fields.csv, and subscriptions of several formats."""
    shutil.copytree(EXAMPLE, tmp_path / "city")
    (tmp_path / "city" / "fields.csv").write_text(FIELDS)
    lines = [f'city = "{tmp_path / "city"}"']
    for found, filter_ in (("chirpstack", "lora/#"), ("zigbee2mqtt", "zigbee2mqtt/#"), ("native", "gridwhistle/#")):
        lines += ["[[mqtt.subscriptions]]", f'filter = "{filter_}"', f'format = "{found}"']
    lines += ["[[mqtt.subscriptions]]", 'filter = "tele/#"', 'format = "tasmota"', 'timezone = "Asia/Shanghai"']
    path = tmp_path / "gridwhistle.toml"
    path.write_text("\n".join(lines))
    return path


def check(payload: object, topic: str, *more: str, language: str = "en") -> Result:
    given = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    options = ["check", "--payload", "-", "--topic", topic, "--received", RECEIVED, "--language", language]
    return runner.invoke(app, [*options, *more], input=given)


UPLINK = {
    "time": "2023-11-14T22:13:20Z",
    "deviceInfo": {"devEui": "24E124136B502217"},
    "fCnt": 3,
    "object": {"gas": {"ch4": 0.02}, "battery": 98, "state": "open", "none": None},
}
TOPIC = "lora/application/1/device/24e124136b502217/event/up"


def test_a_reading_is_shown_with_its_field_its_scale_and_its_conversion(settings: Path) -> None:
    result = check(UPLINK, TOPIC, "--config", str(settings))
    assert result.exit_code == 0, result.output
    value = "0.02 × 2 + 0.01 = 0.05 %VOL = 1 %LEL"
    assert result.output.splitlines() == [
        "Subscription lora/#, format chirpstack, zone of times without one: none named.",
        f"{len(json.dumps(UPLINK))} bytes, taken as received at 2023-11-14T22:13:21.000Z.",
        "Readings admitted: 1",
        f"  gas-001-ch4 (from 24e124136b502217, field gas.ch4): Methane {value} at 2023-11-14T22:13:20.000Z, Good",
        "Fields passed over, as no sensor is named for them: battery, state",
        "Fields that hold nothing: 1",
    ]


def test_the_same_in_chinese(settings: Path) -> None:
    output = check(UPLINK, TOPIC, "--config", str(settings), language="zh").output
    assert "订阅 lora/#，格式 chirpstack，不带时区的时间按：未指定时区。" in output
    assert "来自设备 24e124136b502217 的字段 gas.ch4" in output
    assert "没有对应传感器而略过的字段：battery, state" in output


def test_native_readings_are_shown_and_what_is_refused_is_told_with_its_reason(settings: Path) -> None:
    readings = [
        {"id": "gas-001-ch4", "t": 1_700_000_000, "v": 1.5},
        {"id": "gas-001-ch4", "t": 1_700_000_001, "v": 2100},
        {"id": "nobody", "t": 1_700_000_000, "v": 1},
        {"id": "gas-001-co", "t": 1_700_000_000, "v": -40, "q": "doubtful"},
    ]
    result = check(readings, "gridwhistle/x", "--config", str(settings))
    assert result.exit_code == 1
    for line in (
        "Readings admitted: 2",
        "  gas-001-ch4: Methane 1.5 %LEL at 2023-11-14T22:13:20.000Z, Good",
        "  gas-001-ch4: Methane 2100 %LEL, taken as 2000 %LEL, the end of its range at 2023-11-14T22:13:21.000Z, Good",
        "Refused: 2",
        '  Unknown sensor: found id "nobody"; expected the id of a configured sensor',
        "  Impossible value: found -40 ppm; expected -10 to 2000 ppm",
    ):
        assert line in result.output.splitlines()


def test_a_message_that_is_no_reading_says_so(settings: Path) -> None:
    result = check({"state": "online"}, "zigbee2mqtt/gas-001/availability", "--config", str(settings))
    assert result.exit_code == 0
    assert "The message speaks of something else than readings" in result.output


def test_of_a_device_that_nobody_lists_the_lines_for_the_table_are_told(settings: Path) -> None:
    said = {"ch4": 1.5, "state": "odd", "deep": {"a": 2}}
    result = check(said, "zigbee2mqtt/pit, north/sensor", "--config", str(settings))
    assert result.exit_code == 1
    lines = result.output.splitlines()
    at = lines.index("Lines for fields.csv, where each still wants the id of its sensor:")
    assert lines[at + 1 :] == ['    "pit, north/sensor",ch4,', '    "pit, north/sensor",deep.a,']
    assert 'device "pit, north/sensor" with state, ch4, deep.a' in result.output


def test_the_zone_of_the_subscription_is_named_and_used(settings: Path) -> None:
    said = {"Time": "2023-11-15T06:13:20", "co": 5}
    result = check(said, "tele/gas-001/SENSOR", "--config", str(settings))
    assert result.exit_code == 0, result.output
    assert "zone of times without one: Asia/Shanghai" in result.output
    assert "gas-001-co (from gas-001, field co)" in result.output
    assert "at 2023-11-14T22:13:20.000Z" in result.output


def test_a_topic_that_no_subscription_takes_is_told_with_the_filters(settings: Path) -> None:
    result = check(b"x", "elsewhere/x", "--config", str(settings))
    assert result.exit_code == 1
    assert "No subscription takes the topic elsewhere/x" in result.output
    assert "lora/#, zigbee2mqtt/#, gridwhistle/#, tele/#" in result.output


@pytest.mark.parametrize("payload", [b"", b"\xff\x00\xfe", b'{"id": "\\ud800", "t": 1700000000, "v": 1}', b"[bold]x"])
def test_any_bytes_are_told_of(settings: Path, payload: bytes) -> None:
    result = check(payload, "gridwhistle/x", "--config", str(settings))
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Refused: 1" in result.output


def test_a_folder_alone_takes_the_topics_of_a_daemon_without_settings(tmp_path: Path) -> None:
    file = tmp_path / "message.json"
    file.write_bytes(b'{"id": "gas-001-ch4", "t": 1700000000, "v": 1.5}')
    common = [str(EXAMPLE), "--topic", "gridwhistle/readings/x", "--received", RECEIVED, "--language", "en"]
    result = runner.invoke(app, ["check", "--payload", str(file), *common])
    assert result.exit_code == 0, result.output
    assert "Methane 1.5 %LEL" in result.output


def test_what_is_missing_is_named(settings: Path, tmp_path: Path) -> None:
    result = runner.invoke(app, ["check", "--config", str(settings), "--payload", "-"])
    assert result.exit_code == 2
    assert "--topic" in result.output
    gone = str(tmp_path / "gone.json")
    result = runner.invoke(app, ["check", "--config", str(settings), "--payload", gone, "--topic", "x"])
    assert "gone.json cannot be read: No such file" in str(result.exception)


@pytest.mark.parametrize("language", list(Language))
@pytest.mark.parametrize("one", EXAMPLES, ids=name_of)
def test_every_example_of_the_formats_page_is_told_of(tmp_path: Path, one: Example, language: Language) -> None:
    written = StringIO()
    report = Reporter(page_city(tmp_path), Console(file=written, width=1000), language)
    message = Message(one.topic, one.payload, NOW_US)
    good = check_payload(message, report, IngestSettings(), [subscription_for(one)])
    assert good == (one.reason in {"", "others"})
    told = written.getvalue()
    assert text("payload.admitted", language, {"count": one.readings}) in told or one.reason == "duplicate"
    reason = text(f"refusal.{one.reason}", language) if not good else ""
    assert reason in told
    assert told.count("\n  ") == one.readings + (not good) or one.reason == "duplicate"
