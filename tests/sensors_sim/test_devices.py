"""How devices send: every reading arrives once, or is lost for a reason that has a name, or is still on its way."""

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from config.city import City
from config.quantities import QUANTITIES
from sensors_sim import devices
from sensors_sim import manners as drawn
from sensors_sim.devices import Delivery, Gone
from sensors_sim.scenario import Manners
from sensors_sim.staging import Outage
from sensors_sim.truth import FAULT_ROLES, Fault, FaultKind, on_duty
from sensors_sim.wire import Instant
from sensors_sim.world import world_of
from tests.sensors_sim.cities import LIVELY, make_city
from tests.sensors_sim.measuring import START_US, Floats, Stretch, measured

SECOND = 1_000_000
# half of the boxes have no gas sensor and no camera: they may batch and run on a battery
QUIET = make_city((("pm25", 30.0), ("temperature", 30.0), ("noise", 10.0)), side=6, per_grid=2)
MIXED = make_city(LIVELY, side=3, per_grid=2)
RUN_S = 3600
END_US = START_US + RUN_S * SECOND
STRETCHES: dict[str, list[Stretch]] = {
    "quiet": list(measured(QUIET, RUN_S)),
    "coarse": list(measured(QUIET, RUN_S, tick_s=20)),
    "mixed": list(measured(MIXED, RUN_S, tick_s=13)),
}
MEASURED = {
    name: Counter(
        (row, time_us, value)
        for _, sensors, times_us, values in stretches
        for row, time_us, value in zip(sensors.tolist(), times_us.tolist(), values.tolist(), strict=True)
    )
    for name, stretches in STRETCHES.items()
}
NONE = Manners(
    loss=0, duplicates=0, clock_off=0, batching=0, offline=0, reboot=0, flat_battery=0, retained=0
)  # well-behaved


def manners(**changes: float) -> Manners:
    return NONE.model_copy(update=changes)


class Sent:
    """Everything that a delivery answers, as columns. instant: the number of the call that brought it."""

    def __init__(
        self,
        how: Manners,
        *,
        city: str = "quiet",
        spared: Sequence[str] = (),
        outages: Sequence[Outage] = (),
        faults: Sequence[Fault] = (),
        seed: int = 1,
    ) -> None:
        self.city = MIXED if city == "mixed" else QUIET
        self.delivery = Delivery(world_of(self.city), how, outages, faults, seed, START_US, END_US, spared=spared)
        self.instants: list[Instant] = []
        self.measured = MEASURED[city]
        for until, sensors, times_us, values in STRETCHES[city]:
            before = sensors.copy(), times_us.copy(), values.copy()
            self.instants.append(self.delivery.deliver(until, sensors, times_us, values))
            assert all(np.array_equal(*pair) for pair in zip(before, (sensors, times_us, values), strict=True))
        self.sensors = np.concatenate([one.sensors for one in self.instants])
        self.told = np.concatenate([one.times_us for one in self.instants])
        self.values = np.concatenate([one.values for one in self.instants])
        self.until = np.concatenate([np.full(len(one.sensors), one.time_us) for one in self.instants])

    @property
    def readings(self) -> Counter[tuple[int, int, float]]:
        return Counter(zip(self.sensors.tolist(), self.told.tolist(), self.values.tolist(), strict=True))

    @property
    def counts(self) -> dict[str, int]:
        return self.delivery.counts

    def late_s(self) -> Floats:
        """How long before the end of its stretch each reading was measured, by its own clock."""
        late: Floats = (self.until - self.told) / SECOND
        return late

    def balance(self) -> None:
        gone = sum(self.counts[why.name.lower()] for why in Gone if why is not Gone.NOT)
        came = self.counts["measured"] + self.counts["duplicated"]
        assert came == self.counts["delivered"] + gone + self.delivery.waiting
        assert self.counts["delivered"] == len(self.sensors)
        assert self.counts["measured"] == sum(self.measured.values())


def boxes(sent: Sent, matches: Callable[[Sent, int], bool]) -> set[int]:
    codes = sent.city.columns.device.code
    return {int(codes[row]) for row in range(len(codes)) if matches(sent, row)}


def test_well_behaved_devices_send_everything_at_once_as_it_was_measured() -> None:
    sent = Sent(NONE, city="mixed")
    for (_, sensors, times_us, values), instant in zip(STRETCHES["mixed"], sent.instants, strict=True):
        assert np.array_equal(instant.sensors, sensors)
        assert np.array_equal(instant.times_us, times_us)
        assert np.array_equal(instant.values, values)
        assert instant.retain is None
    assert sent.delivery.truth() == []


def test_lost_readings_never_arrive_and_are_counted() -> None:
    sent = Sent(manners(loss=0.1))
    assert sent.counts["lost"] / sent.counts["measured"] == pytest.approx(0.1, abs=0.01)
    missing = sent.measured - sent.readings
    assert sum(missing.values()) == sent.counts["lost"]
    assert not sent.readings - sent.measured


def test_everything_can_be_lost() -> None:
    sent = Sent(manners(loss=1, duplicates=1))
    assert not sent.readings
    assert sent.counts["lost"] == sent.counts["measured"]


def test_duplicates_arrive_at_once_or_out_of_order_and_nothing_is_invented() -> None:
    sent = Sent(manners(duplicates=0.2))
    sent.balance()
    twice = [key for key, count in sent.readings.items() if count == 2]
    assert len(twice) == pytest.approx(0.2 * sent.counts["measured"], rel=0.1)
    assert set(sent.readings) == set(sent.measured)
    late = sent.late_s()
    assert 0.02 < (late > 2).mean() < 0.15
    assert late.max() <= devices.OUT_OF_ORDER_S + 1


def test_batching_boxes_hold_their_readings_and_send_them_together() -> None:
    sent = Sent(manners(batching=0.5))
    sent.balance()
    batching = boxes(sent, lambda one, row: bool(one.late_s()[one.sensors == row].max() > 60))
    assert len(batching) == round(0.5 * len(QUIET.columns.device.names))
    mine = np.isin(sent.city.columns.device.code[sent.sensors], sorted(batching))
    assert (sent.late_s()[~mine] <= 1).all()
    assert sent.late_s()[mine].max() <= drawn.BATCH_S[1] + 1
    box = min(batching)
    bursts = np.unique(sent.until[sent.city.columns.device.code[sent.sensors] == box])
    assert len(bursts) < RUN_S / (drawn.BATCH_S[0] - 1)
    assert sent.delivery.waiting > 0  # what the run's end cut off


def test_gas_and_smoke_detectors_never_wait_for_a_batch() -> None:
    late = Sent(manners(batching=1), city="mixed").late_s()
    assert late.max() <= 13


def test_a_box_that_was_off_line_sends_what_it_kept_when_it_is_back() -> None:
    sent = Sent(manners(offline=0.2))
    sent.balance()
    late = sent.late_s()
    away = boxes(sent, lambda one, row: bool(late[one.sensors == row].max() > 60))
    assert len(away) == round(0.2 * len(QUIET.columns.device.names))
    mine = np.isin(sent.city.columns.device.code[sent.sensors], sorted(away))
    assert late[mine].max() > drawn.OFFLINE_S[0] - 30
    assert late[mine].max() < 0.3 * RUN_S + drawn.BACK_S + 1
    assert (late[~mine] <= 1).all()
    assert sum((sent.measured - sent.readings).values()) == sent.delivery.waiting == 0


@pytest.mark.parametrize("keeps", [True, False])
def test_a_cut_network_delays_and_a_power_cut_loses_what_is_measured_meanwhile(*, keeps: bool) -> None:
    dark = frozenset(QUIET.columns.device.names[:5])
    from_us, to_us = START_US + 600 * SECOND, START_US + 1200 * SECOND
    sent = Sent(NONE, outages=[Outage(dark, from_us, to_us, keeps)])
    sent.balance()
    mine = np.isin(sent.city.columns.device.code[sent.sensors], range(5))
    during = (sent.told >= from_us) & (sent.told < to_us) & mine
    assert (sent.late_s()[~mine] <= 1).all()
    if keeps:
        assert sent.readings == sent.measured
        assert (sent.until[during] >= to_us).all()
        assert (sent.until[during] <= to_us + (drawn.BACK_S + 1) * SECOND).all()
    else:
        assert not during.any()
        assert sent.counts["no_power"] == 5 * (20 + 20 + 60)


def test_a_box_of_an_outage_that_the_city_does_not_have_is_named() -> None:
    with pytest.raises(ValueError, match="does not have: nowhere"):
        Sent(NONE, outages=[Outage(frozenset({"nowhere"}), START_US, END_US, keeps=False)])


def test_clocks_are_seconds_to_minutes_off_and_those_over_a_minute_are_told() -> None:
    sent = Sent(manners(clock_off=1.0))
    sent.balance()
    off = sent.late_s()
    truth = sent.delivery.truth()
    assert {fault.kind for fault in truth} == {FaultKind.CLOCK}
    told = {sent.city.sensor_index[fault.sensor]: fault.from_us for fault in truth}
    for row in range(len(QUIET.sensors)):
        mine = sent.sensors == row
        # a reading is up to a second, or (with its clock) up to an hour's drift, away from the end of its stretch
        wrong = np.abs(off[mine] - 0.5) > devices.CLOCK_TOLD_S + 1
        assert (row in told) == bool(wrong.any())
        if row in told:
            assert (wrong == (sent.until[mine] > told[row] + SECOND)).mean() > 0.95
    assert 0.1 < len(told) / len(QUIET.sensors) < 0.4  # four of ten constant ones; nobody drifts so far in an hour
    assert (off < 0).any()
    assert (off > 60).any()


def test_a_clock_fault_puts_the_sensors_of_a_box_minutes_or_hours_off_in_its_time() -> None:
    sensor = QUIET.sensors[0]
    from_us, to_us = START_US + 600 * SECOND, START_US + 1800 * SECOND
    fault = Fault(FaultKind.CLOCK, sensor.id, sensor.lon, sensor.lat, sensor.grid, from_us, to_us, None)
    sent = Sent(NONE, faults=[fault])
    mine = sent.sensors == 0
    off = np.abs(sent.late_s())
    on = (sent.until > from_us) & (sent.until <= to_us)
    assert (off[mine & on] >= drawn.CLOCK_FAULT_S[0] - 1).all()
    assert (off[mine & on] <= drawn.CLOCK_FAULT_S[1] + 1).all()
    assert (off[~mine | ~on] <= 1).all()


def test_a_silent_sensor_sends_nothing_in_its_time() -> None:
    sensor = QUIET.sensors[0]
    from_us, to_us = START_US + 600 * SECOND, START_US + 1200 * SECOND
    fault = Fault(FaultKind.SILENT, sensor.id, sensor.lon, sensor.lat, sensor.grid, from_us, to_us, None)
    sent = Sent(NONE, faults=[fault])
    gone = sent.measured - sent.readings
    assert {(row, from_us <= time_us < to_us) for row, time_us, _ in gone} == {(0, True)}
    assert sum(gone.values()) == sent.counts["silent"] == 600 / sensor.interval_s


def test_a_box_that_starts_anew_misses_a_minute_and_then_jumps_once_or_believes_in_1970() -> None:
    sent = Sent(manners(reboot=1.0), city="coarse")
    sent.balance()
    true = {(row, time_us): value for row, time_us, value in sent.measured}
    number = Counter(row for row, _, _ in sent.measured)
    early, jumps = 0, 0
    for row, sensor in enumerate(QUIET.sensors):
        mine = sent.sensors == row
        old = sent.told[mine] < 1_000_000_000 * SECOND
        times, values = sent.told[mine][~old], sent.values[mine][~old]
        wrong = sum(true[row, at] != value for at, value in zip(times.tolist(), values.tolist(), strict=True))
        assert wrong + int(old.sum()) <= 1
        early, jumps = early + int(old.sum()), jumps + wrong
        assert number[row] - mine.sum() <= drawn.REBOOT_S[1] / sensor.interval_s + 1
        assert np.diff(times).max() >= (drawn.REBOOT_S[0] - sensor.interval_s) * SECOND
    assert early + jumps > 0.9 * len(QUIET.sensors)
    assert min(early, jumps) > 0.3 * len(QUIET.sensors)


def test_what_keeps_lives_safe_does_not_jump_when_it_starts_anew() -> None:
    sent = Sent(manners(reboot=1.0), city="mixed")
    true = {(row, time_us): value for row, time_us, value in sent.measured}
    safe = [row for row, sensor in enumerate(MIXED.sensors) if QUANTITIES[sensor.quantity].life_safety]
    for row, time_us, value in sent.readings:
        if row in safe and time_us > START_US - SECOND:
            assert true[row, time_us] == value


def test_a_flat_battery_sends_less_and_less_and_then_nothing_and_is_told() -> None:
    sent = Sent(manners(flat_battery=0.3))
    sent.balance()
    truth = sent.delivery.truth()
    assert len({QUIET.sensor(fault.sensor).device for fault in truth}) == round(0.3 * len(QUIET.columns.device.names))
    for fault in truth:
        assert fault.kind is FaultKind.SILENT
        assert fault.to_us == END_US
        assert fault.responsible == on_duty(QUIET, fault.grid, fault.from_us, FAULT_ROLES)
        sensor = QUIET.sensor(fault.sensor)
        times = sent.told[sent.sensors == sensor.index]
        assert times.max() < fault.from_us
        gaps = np.diff(times) / SECOND / sensor.interval_s
        assert gaps[:5].max() == pytest.approx(1)
        if sensor.interval_s == 10:
            assert gaps[-3:].min() >= 3
            assert gaps[-3:].max() <= devices.SPARING + 1


def test_boxes_that_publish_with_the_retain_flag_always_do() -> None:
    sent = Sent(manners(retained=0.25, duplicates=0.1))
    flags = defaultdict(set)
    for instant in sent.instants:
        assert instant.retain is not None
        for row, flag in zip(instant.sensors.tolist(), instant.retain.tolist(), strict=True):
            flags[int(QUIET.columns.device.code[row])].add(flag)
    assert all(len(seen) == 1 for seen in flags.values())
    assert sum(seen == {True} for seen in flags.values()) == round(0.25 * len(QUIET.columns.device.names))


def test_of_whom_the_truth_promises_something_the_box_is_punctual() -> None:
    every = manners(clock_off=1, batching=1, offline=1, reboot=1, flat_battery=1)
    promised = QUIET.sensors[0]
    sent = Sent(every, spared=[promised.id], city="coarse")
    sent.balance()
    together = [sensor.index for sensor in QUIET.sensors if sensor.device == promised.device]
    mine = np.isin(sent.sensors, together)
    assert Counter(sent.sensors[mine].tolist()) == Counter(row for row, _, _ in sent.measured if row in together)
    assert np.abs(sent.late_s()[mine]).max() <= 20
    others = np.setdiff1d(np.arange(len(QUIET.sensors)), together)
    assert all(np.abs(sent.late_s()[sent.sensors == row]).max() > 20 for row in others)


def some_faults(city: str, numbers: Sequence[int]) -> list[Fault]:
    sensors = (QUIET if city == "quiet" else MIXED).sensors
    found = []
    for place, number in enumerate(numbers):
        sensor = sensors[number % len(sensors)]
        kind = FaultKind.SILENT if place % 2 else FaultKind.CLOCK
        begin = START_US + number % RUN_S * SECOND
        found.append(Fault(kind, sensor.id, sensor.lon, sensor.lat, sensor.grid, begin, begin + 900 * SECOND, None))
    return found


SHARE = st.floats(0, 1)
HOW = st.builds(
    Manners,
    loss=st.floats(0, 0.3),
    duplicates=st.floats(0, 0.3),
    clock_off=SHARE,
    batching=SHARE,
    offline=SHARE,
    reboot=SHARE,
    flat_battery=SHARE,
    retained=SHARE,
)
OUTAGE = st.tuples(st.integers(0, 17), st.integers(0, RUN_S), st.integers(1, RUN_S), st.booleans())


def dark_boxes(city: City, outages: list[tuple[int, int, int, bool]]) -> list[Outage]:
    return [
        Outage(
            frozenset({city.columns.device.names[box]}),
            START_US + begin * SECOND,
            START_US + (begin + lasts) * SECOND,
            keeps,
        )
        for box, begin, lasts, keeps in outages
    ]


@settings(max_examples=15, deadline=None)
@given(
    how=HOW,
    outages=st.lists(OUTAGE, max_size=4),
    numbers=st.lists(st.integers(0, 100_000), max_size=6),
    seed=st.integers(0, 1000),
)
def test_every_reading_is_delivered_once_or_gone_for_a_reason_or_waits(
    how: Manners, outages: list[tuple[int, int, int, bool]], numbers: list[int], seed: int
) -> None:
    dark = dark_boxes(MIXED, outages)
    one = Sent(how, city="mixed", outages=dark, faults=some_faults("mixed", numbers), seed=seed)
    one.balance()
    assert (np.diff(one.until) >= 0).all()
    again = Sent(how, city="mixed", outages=dark, faults=some_faults("mixed", numbers), seed=seed)
    for first, second in zip(one.instants, again.instants, strict=True):
        assert np.array_equal(first.sensors, second.sensors)
        assert np.array_equal(first.times_us, second.times_us)
        assert np.array_equal(first.values, second.values)
        assert (first.retain is None) == (second.retain is None)
        if first.retain is not None and second.retain is not None:
            assert np.array_equal(first.retain, second.retain)
    assert one.delivery.counts == again.delivery.counts
    assert one.delivery.truth() == again.delivery.truth()


@settings(max_examples=15, deadline=None)
@given(
    how=st.builds(manners, loss=st.just(0.01), batching=SHARE, offline=SHARE, flat_battery=SHARE),
    outages=st.lists(OUTAGE, max_size=5),
    seed=st.integers(0, 1000),
)
def test_the_readings_of_a_box_arrive_in_the_order_in_which_they_were_measured(
    how: Manners, outages: list[tuple[int, int, int, bool]], seed: int
) -> None:
    sent = Sent(how, city="coarse", outages=dark_boxes(QUIET, outages), seed=seed)
    sent.balance()
    box = QUIET.columns.device.code[sent.sensors]
    order = np.argsort(box, kind="stable")
    same = box[order][1:] == box[order][:-1]
    assert (np.diff(sent.told[order])[same] >= 0).all()


def test_two_seeds_are_two_deliveries() -> None:
    assert Sent(Manners(), seed=1).readings != Sent(Manners(), seed=2).readings
