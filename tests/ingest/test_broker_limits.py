"""A broker that would lose readings is found out, one that would not is left in peace: real Mosquitto."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from config.clock import SystemClock
from config.problems import Level
from config.settings import MqttProtocol, MqttSettings
from config.vocabulary import Language
from ingest.broker_limits import QOS_0, Finding, Observed, check_broker, judge
from tests.ingest.scripted import Script
from tests.support.broker import mqtt_settings
from tests.support.certificates import Certificates
from tests.support.servers import free_port, mosquitto, plain_mosquitto

GOOD = Observed(tried=20_000, kept=20_000, qos_0_kept=QOS_0, window=10_000)


def codes(found: tuple[Finding, ...]) -> set[str]:
    return {finding.code for finding in found}


def lines(found: tuple[Finding, ...]) -> set[str]:
    return {line for finding in found for line in finding.lines}


class TestJudge:
    def test_a_broker_that_kept_everything_is_good(self) -> None:
        assert judge(GOOD, MqttSettings()) == ()

    @pytest.mark.parametrize(
        ("changed", "code", "level"),
        [
            ({"max_qos": 0, "allowed": False}, "no_acknowledgement", Level.ERROR),
            ({"wildcards": False}, "no_wildcards", Level.ERROR),
            ({"session_kept": False}, "session_forgotten", Level.ERROR),
            ({"dropped": 7}, "dropped", Level.WARNING),
            ({"allowed": False}, "not_allowed", Level.WARNING),
            ({"kept": 19_999}, "queue_too_short", Level.WARNING),
            ({"qos_0_kept": QOS_0 - 1}, "qos_0_not_kept", Level.WARNING),
            ({"window": 9_999}, "window_too_small", Level.WARNING),
            ({"max_packet_bytes": 1000, "large_passes": False}, "packets_too_small", Level.WARNING),
            ({"large_passes": False}, "large_lost", Level.WARNING),
        ],
    )
    def test_each_limit_that_costs_readings_is_told(self, changed: dict[str, Any], code: str, level: Level) -> None:
        [finding] = judge(dataclasses.replace(GOOD, **changed), MqttSettings())
        assert (finding.code, finding.level) == (code, level)
        assert finding.text(Language.ZH) != finding.text(Language.EN)

    def test_what_the_settings_do_not_use_need_not_be_there(self) -> None:
        bare = dataclasses.replace(GOOD, wildcards=False, shared=False)
        plain = MqttSettings.model_validate({"subscriptions": [{"filter": "a", "format": "native"}]})
        assert judge(bare, plain) == ()
        shared = MqttSettings.model_validate({"subscriptions": [{"filter": "$share/g/a", "format": "native"}]})
        assert codes(judge(bare, shared)) == {"no_shared"}

    def test_a_window_as_small_as_we_asked_for_is_good(self) -> None:
        assert judge(dataclasses.replace(GOOD, window=500), MqttSettings(receive_maximum=500)) == ()

    def test_errors_come_first(self) -> None:
        found = judge(dataclasses.replace(GOOD, dropped=1, session_kept=False), MqttSettings())
        assert [finding.level for finding in found] == [Level.ERROR, Level.WARNING]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.broker_limits._QUIET_S", 0.3)
    monkeypatch.setattr("ingest.broker_limits.TRIED", 3_000)


@pytest.mark.broker
@pytest.mark.usefixtures("quick")
class TestCheckBroker:
    def test_mosquittos_defaults_lose_readings_and_are_told_with_the_lines_that_help(self, tmp_path: Path) -> None:
        with plain_mosquitto(tmp_path) as broker:
            seen, found = check_broker(mqtt_settings(broker), SystemClock())
            assert seen is not None
            assert seen.version is not None
            assert "mosquitto" in seen.version
            assert 1000 <= seen.kept < seen.tried
            assert codes(found) == {"queue_too_short", "qos_0_not_kept"}
            assert {line.split()[0] for line in lines(found)} == {
                "max_queued_messages",
                "max_queued_bytes",
                "queue_qos0_messages",
            }

    def test_the_old_protocol_gets_a_window_of_twenty_only(self, tmp_path: Path) -> None:
        with plain_mosquitto(tmp_path) as broker:
            seen, found = check_broker(mqtt_settings(broker, protocol="3.1.1"), SystemClock())
            assert seen is not None
            assert seen.window == 20
            assert "max_inflight_messages 20000" in lines(found)

    def test_the_lines_help(self, tmp_path: Path) -> None:
        with plain_mosquitto(tmp_path / "before") as broker:
            _, found = check_broker(mqtt_settings(broker), SystemClock())
        with plain_mosquitto(tmp_path / "after", extra="\n".join(lines(found))) as broker:
            seen, found = check_broker(mqtt_settings(broker), SystemClock())
            assert found == ()
            assert seen is not None
            assert seen.kept == seen.tried

    def test_it_leaves_nothing_behind_and_can_be_run_again(self, tmp_path: Path) -> None:
        with mosquitto(tmp_path / "mosquitto") as broker:
            first, _ = check_broker(mqtt_settings(broker), SystemClock())
            again, _ = check_broker(mqtt_settings(broker), SystemClock())
            assert first is not None
            assert again is not None
            assert (first.kept, first.window) == (again.kept, again.window)
        assert "check-probe" not in (tmp_path / "mosquitto" / "mosquitto.db").read_bytes().decode(errors="replace")

    def test_packets_that_are_too_small_are_told(self, tmp_path: Path) -> None:
        with mosquitto(tmp_path / "mosquitto", extra="max_packet_size 2000\nqueue_qos0_messages true") as broker:
            _, found = check_broker(mqtt_settings(broker, receive_maximum=100), SystemClock())
            assert codes(found) == {"packets_too_small"}

    def test_messages_that_are_swallowed_for_their_size_are_told(self, tmp_path: Path) -> None:
        with mosquitto(tmp_path / "mosquitto", extra="message_size_limit 5000\nqueue_qos0_messages true") as broker:
            _, found = check_broker(mqtt_settings(broker, receive_maximum=100), SystemClock())
            assert codes(found) == {"large_lost"}

    def test_an_account_without_the_right_is_told_the_line_of_the_access_list(self, tmp_path: Path) -> None:
        (tmp_path / "acl").write_text("topic read gridwhistle/readings/#\n")
        with mosquitto(tmp_path / "mosquitto", extra=f"acl_file {tmp_path}/acl") as broker:
            _, found = check_broker(mqtt_settings(broker), SystemClock())
            assert codes(found) == {"not_allowed"}
            assert lines(found) == {"topic readwrite gridwhistle/check/#"}

    def test_a_broker_behind_tls_is_checked_as_well(self, tmp_path: Path) -> None:
        certificates, port = Certificates(tmp_path), free_port()
        files = {"ca_file": certificates.ca, "cert_file": certificates.client, "key_file": certificates.client_key}
        extra = certificates.listener(port) + "\nqueue_qos0_messages true"
        with mosquitto(tmp_path / "mosquitto", extra=extra):
            settings = mqtt_settings(
                port, receive_maximum=100, tls={"enabled": True, "server_name": "broker.example", **files}
            )
            seen, found = check_broker(settings, SystemClock())
            assert found == ()
            assert seen is not None


def test_where_no_broker_is_it_is_told() -> None:
    seen, [finding] = check_broker(mqtt_settings(free_port()), SystemClock())
    assert seen is None
    assert (finding.code, finding.level) == ("unreachable", Level.ERROR)
    assert "refused" in finding.text(Language.EN)


@pytest.mark.parametrize(
    ("protocol", "code", "level"),
    [(MqttProtocol.V5, "old_protocol", Level.ERROR), (MqttProtocol.V311, "not_tried", Level.WARNING)],
)
def test_an_old_broker_is_told_by_what_the_settings_expect(protocol: MqttProtocol, code: str, level: Level) -> None:
    with Script(b"\x20\x02\x00\x01") as broker:
        seen, [finding] = check_broker(mqtt_settings(broker.port, protocol=protocol), SystemClock())
        assert seen is None
        assert (finding.code, finding.level) == (code, level)
