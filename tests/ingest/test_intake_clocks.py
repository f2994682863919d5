"""Devices' clocks and ours: offsets, how far behind the stream is, our own outages, times without zone."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import IngestSettings, PayloadFormat, Subscription
from ingest.formats.local_time import seconds_of_local
from ingest.intake import Intake
from ingest.model import Admission, Quality, RefusalReason
from ingest.offsets import WINDOW_US, middle
from tests.ingest.builders import NOW_S, NOW_US, SUBSCRIPTIONS, admit, city, good, intake, message, sensor, small_city

SECOND = 1_000_000
R = RefusalReason


def sent(chosen: Intake, age_s: float, at_s: float, sensor_id: str = "gas-1", v: float = 1.5) -> Admission:
    """One reading that is this old when it arrives."""
    now_us = NOW_US + round(at_s * SECOND)
    given = good(sensor_id, t=NOW_S + at_s - age_s, v=v)
    return admit(message(given, received_us=now_us), into=chosen, now_us=now_us)


def test_the_least_delay_of_a_device_is_how_far_its_clock_is_behind() -> None:
    chosen = intake()
    for second, age_s in enumerate([40, 31, 250, 30.5, 33]):
        sent(chosen, age_s, second * 10)
    offsets = chosen.offsets()
    assert offsets[0] == 30.5
    assert np.isnan(offsets[1:]).all()


def test_sensors_of_one_device_share_its_clock() -> None:
    pair = [replace(sensor(row, f"s-{row}"), device="box") for row in range(2)]
    chosen = Intake(city(pair), IngestSettings(), SUBSCRIPTIONS)
    sent(chosen, 7, 0, "s-1")
    assert chosen.offsets().tolist() == [7, 7]


@pytest.mark.parametrize(
    ("age_s", "admitted", "off"), [(-121, 0, True), (-119, 1, False), (299, 1, False), (301, 1, True), (10**6, 0, True)]
)
def test_a_clock_that_is_off_is_seen_even_in_what_is_refused(age_s: float, admitted: int, off: bool) -> None:
    chosen = intake()
    assert len(sent(chosen, age_s, 0).batch) == admitted
    assert chosen.offsets()[0] == age_s
    assert chosen.clocks_off().tolist() == [off, False, False, False]


def test_what_the_broker_kept_says_nothing_of_a_clock() -> None:
    chosen = intake()
    for age_s in (10, 10**6, -1000):
        admit(message(good(t=NOW_S - age_s), retained=True), into=chosen)
    assert np.isnan(chosen.offsets()).all()


def test_a_clock_that_is_set_right_is_forgiven_within_two_windows() -> None:
    chosen, window_s = intake(), WINDOW_US // SECOND
    sent(chosen, -100, 0)
    for hour in range(1, 4):
        sent(chosen, 5, hour * window_s + hour)
    assert chosen.offsets()[0] == 5


def test_a_device_that_is_quiet_for_hours_keeps_what_is_known_of_it() -> None:
    chosen = intake()
    sent(chosen, 20, 0)
    for hour in range(1, 5):
        sent(chosen, 0, hour * 3700, "crack-1")
    assert chosen.offsets()[0] == 20


def test_a_clock_that_was_put_back_is_seen_at_once() -> None:
    chosen = intake()
    sent(chosen, 0, 0)
    for second in range(10, 60, 10):
        sent(chosen, 100, second)
    assert chosen.counters["clock_steps"] == 1
    assert chosen.offsets()[0] == 100


def test_how_far_the_stream_is_behind_does_not_count_what_is_usual_for_a_device() -> None:
    chosen = intake()
    sent(chosen, 30, 0)
    assert chosen.delay_us == 30 * SECOND  # nothing else is known of the device
    sent(chosen, 30, 10)
    assert chosen.delay_us == 0
    sent(chosen, 75, 90)
    assert chosen.delay_us == 45 * SECOND
    admit(message(good(t=NOW_S - 10_000), retained=True), into=chosen)
    assert chosen.delay_us == 45 * SECOND


@given(st.lists(st.integers(-(10**15), 10**15), min_size=1, max_size=4000))
def test_the_middle_of_a_few_is_their_median_and_of_many_it_is_near(delays: list[int]) -> None:
    found = middle(np.array(delays, np.int64))
    assert found in delays
    if len(delays) <= 1000:
        assert found == sorted(delays)[(len(delays) - 1) // 2]


# Our own outages


def test_a_gas_alarm_that_waited_for_us_is_not_late() -> None:
    chosen = intake()
    sent(chosen, 0, 0)
    chosen.link_restored(NOW_US + 360 * SECOND)
    waited = sent(chosen, 355, 362, v=60)
    assert waited.batch.quality.tolist() == [Quality.GOOD]
    assert sent(chosen, 0, 370).batch.quality.tolist() == [Quality.GOOD]


def test_what_no_life_depends_on_is_late_even_if_it_waited_for_us() -> None:
    chosen = intake()
    sent(chosen, 0, 0, "crack-1")
    chosen.link_restored(NOW_US + 360 * SECOND)
    assert sent(chosen, 355, 362, "crack-1").batch.quality.tolist() == [Quality.LATE]


def test_what_is_behind_the_newest_of_its_sensor_is_late_whatever_it_waited_for() -> None:
    chosen = intake()
    sent(chosen, 0, 0)
    chosen.link_restored(NOW_US + 360 * SECOND)
    sent(chosen, 0, 361)
    assert sent(chosen, 355, 362, v=60).batch.quality.tolist() == [Quality.LATE]


@pytest.mark.parametrize(
    ("measured_s", "at_s", "quality"),
    [
        (-301, 362, Quality.LATE),  # would have been late without the outage
        (-299, 362, Quality.GOOD),
        (10, 720 + 300, Quality.GOOD),  # as long again as we were away, and the usual
        (10, 720 + 301, Quality.LATE),
        (719, 720 + 300, Quality.GOOD),
        (721, 720 + 302, Quality.LATE),  # by its own age, as ever
    ],
)
def test_lateness_counts_from_when_what_waited_has_had_time_to_come(
    measured_s: int, at_s: int, quality: Quality
) -> None:
    chosen = intake()
    chosen.link_restored(NOW_US + 360 * SECOND, NOW_US)
    assert sent(chosen, at_s - measured_s, at_s).batch.quality.tolist() == [quality]


def test_outages_that_follow_each_other_are_one() -> None:
    chosen = intake()
    for lost_s, restored_s in [(0, 100), (150, 200), (210, 211)]:
        chosen.link_restored(NOW_US + restored_s * SECOND, NOW_US + lost_s * SECOND)
    assert list(chosen._outages._stretches) == [(NOW_US, NOW_US + 250 * SECOND)]


def test_a_first_start_excuses_nothing() -> None:
    chosen = intake()
    chosen.link_restored(NOW_US)
    assert sent(chosen, 400, 1).batch.quality.tolist() == [Quality.LATE]


# Times without zone


def local_intake(zone: str | None) -> Intake:
    subscription = Subscription(filter="gridwhistle/readings/#", format=PayloadFormat.NATIVE, timezone=zone)
    return Intake(small_city(), IngestSettings(too_old_s=1e9), [subscription])


def at(text: str, received: str, zone: str | None = "Europe/Berlin") -> Admission:
    received_us = round(datetime.fromisoformat(received).timestamp() * 1e6)
    return admit(message(good(t=text), received_us=received_us), into=local_intake(zone), now_us=received_us)


def moments(admission: Admission) -> list[str]:
    return [datetime.fromtimestamp(us / 1e6, UTC).strftime("%H:%M:%S.%f") for us in admission.batch.event_us.tolist()]


@pytest.mark.parametrize(
    ("text", "received", "utc"),
    [
        ("2024-01-15T12:00:00", "2024-01-15T11:00:01+00:00", "11:00:00.000000"),
        ("2024-07-15T12:00:00.25", "2024-07-15T10:00:01+00:00", "10:00:00.250000"),
        ("2024-07-15 12:00:00", "2024-07-15T10:00:01+00:00", "10:00:00.000000"),
        ("2024-07-15T12:00:00Z", "2024-07-15T12:00:01+00:00", "12:00:00.000000"),  # what has a zone keeps it
        ("2024-07-15T12:00:00+08:00", "2024-07-15T04:00:01+00:00", "04:00:00.000000"),
        # 2024-10-27, 02:00 to 03:00 came twice: first at 00:00 UTC, then at 01:00 UTC
        ("2024-10-27T02:30:00", "2024-10-27T00:30:01+00:00", "00:30:00.000000"),
        ("2024-10-27T02:30:00", "2024-10-27T01:30:01+00:00", "01:30:00.000000"),
        ("2024-10-27T02:30:05", "2024-10-27T01:30:00+00:00", "01:30:05.000000"),  # a clock that is a little ahead
        ("2024-10-27T02:30:05", "2024-10-27T00:30:00+00:00", "00:30:05.000000"),
        ("2024-10-27T02:30:00", "2024-10-27T05:00:00+00:00", "01:30:00.000000"),
    ],
)
def test_a_time_without_zone_is_of_the_zone_of_the_subscription(text: str, received: str, utc: str) -> None:
    assert moments(at(text, received)) == [utc]


def test_a_time_that_the_clocks_skip_is_refused_in_plain_words() -> None:
    admission = at("2024-03-31T02:30:00", "2024-03-31T01:30:01+00:00")
    (refusal,) = admission.refused
    assert refusal.reason is R.BAD_TIME
    assert refusal.found == '"2024-03-31T02:30:00"'
    assert "a time that there is in Europe/Berlin (its clocks skip this one)" in refusal.expected


def test_beside_a_wrong_item_local_times_are_read_the_same_way() -> None:
    received_us = round(datetime.fromisoformat("2024-07-15T10:00:01+00:00").timestamp() * 1e6)
    items = [good(t="2024-07-15T12:00:00"), good(t="2024-03-31T02:30:00"), good(t="noon"), 7]
    admission = admit(message(items, received_us=received_us), into=local_intake("Europe/Berlin"), now_us=received_us)
    assert moments(admission) == ["10:00:00.000000"]
    assert [refusal.reason for refusal in admission.refused] == [R.BAD_TIME, R.BAD_TIME, R.UNREADABLE]
    assert "without a zone it is Europe/Berlin" in admission.refused[1].expected


@pytest.mark.parametrize("text", ["0001-01-01T00:00:00", "9999-12-31T23:59:59", "2024-02-30T00:00:00", "12:00:00"])
def test_local_times_that_no_calendar_holds_are_refused(text: str) -> None:
    for zone in ("Asia/Shanghai", "America/Los_Angeles"):
        (refusal,) = at(text, "2024-07-15T10:00:01+00:00", zone).refused
        assert refusal.reason in {R.BAD_TIME, R.TOO_OLD, R.IN_THE_FUTURE}


def test_without_a_zone_in_the_settings_local_times_stay_refused() -> None:
    (refusal,) = at("2024-07-15T12:00:00", "2024-07-15T10:00:01+00:00", None).refused
    assert (refusal.reason, refusal.expected) == (R.BAD_TIME, "Unix seconds, or RFC 3339 with a zone")


@settings(max_examples=100, deadline=None)
@given(
    st.datetimes(datetime.fromisoformat("2023-01-01"), datetime.fromisoformat("2026-01-01")),
    st.sampled_from(["Europe/Berlin", "Australia/Lord_Howe", "America/St_Johns", "Asia/Shanghai", "Asia/Kolkata"]),
    st.integers(0, 3000),
)
def test_what_a_clock_on_the_wall_shows_is_read_back(utc: datetime, name: str, delay_s: int) -> None:
    zone = ZoneInfo(name)
    moment = utc.replace(tzinfo=UTC)
    shown = moment.astimezone(zone).replace(tzinfo=None)
    received_us = round((moment + timedelta(seconds=delay_s)).timestamp() * 1e6)
    found = seconds_of_local(shown, zone, received_us)
    # Read twice an hour (Lord Howe: half an hour) it is taken for the later one that is possible.
    assert found == pytest.approx(moment.timestamp()) or (
        zone.utcoffset(shown.replace(fold=0)) != zone.utcoffset(shown.replace(fold=1))
        and moment.timestamp() < found <= received_us / 1e6 + 60
    )
