"""The simulated district: one quiet, honest signal per sensor, as columns over all sensors of a city."""

from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from config.city import City
from config.clock import US_PER_SECOND, to_datetime
from config.limits import Side
from config.quantities import QUANTITIES
from config.vocabulary import Kind
from sensors_sim.physics.field import Fields, to_metres
from sensors_sim.physics.noise import ar1, unit_hash
from sensors_sim.physics.rhythm import RHYTHMS, at_hour
from sensors_sim.physics.signals import SIGNALS, Law

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

JITTER_SHARE = 0.02
"""A device samples up to this share of its interval late, and never more than JITTER_MOST_S seconds."""
JITTER_MOST_S = 2.0

CROWD_SHARE = 0.6
"""In the rush hour of a quiet day a camera counts at most about this share of its place's limit."""
QUIET_SHARE = 0.8
"""No quiet day reaches more than about this share of a sensor's mildest limit."""


class District:
    """All sensors of a city on a day made by a seed. Owns what the signals remember between two samples."""

    def __init__(self, city: City, seed: int, start_us: int) -> None:
        """start_us: when the simulation begins; the local time of day there sets the rhythms."""
        count = len(city.sensors)
        self.city = city
        self._rng = np.random.default_rng([seed, 1])
        self._start_us = start_us
        offset = to_datetime(start_us).astimezone(city.timezone).utcoffset() or timedelta(0)
        self._zone_s = offset.total_seconds()
        lon = np.array([sensor.lon for sensor in city.sensors], dtype=np.float64)
        lat = np.array([sensor.lat for sensor in city.sensors], dtype=np.float64)
        self.east, self.north = to_metres(
            lon, lat, float(lon.mean()) if count else 0, float(lat.mean()) if count else 0
        )
        self._read_signals()
        self._fields = Fields(self._rng, len(SIGNALS), self.east, self.north)
        self._place *= self._rng.standard_normal(count).clip(-2, 2)
        self._state = self._rng.standard_normal(count)
        self._last_us = np.full(count, start_us, dtype=np.int64)
        self._set_clocks(seed)

    def _read_signals(self) -> None:
        names = {name: row for row, name in enumerate(SIGNALS)}
        signals = [SIGNALS[sensor.quantity] for sensor in self.city.sensors]
        kinds = [QUANTITIES[sensor.quantity] for sensor in self.city.sensors]

        def column(values: list[float]) -> Floats:
            return np.array(values, dtype=np.float64)

        self._law = np.array([signal.law for signal in signals], dtype=np.int64)
        self._level = column([signal.level for signal in signals])
        self._rhythm = np.array([RHYTHMS[signal.rhythm] for signal in signals], dtype=np.int64)
        self._swing = column([signal.swing for signal in signals])
        self._city = column([signal.city for signal in signals])
        self._local = column([signal.local for signal in signals])
        self._place = column([signal.place for signal in signals])
        self._noise = column([signal.noise for signal in signals])
        self._memory_s = column([signal.memory_s for signal in signals])
        self._steps = column([signal.steps for signal in signals])
        self._low = column([0.0 if kind.kind is Kind.GAS else kind.low for kind in kinds])
        self._high = column([kind.high for kind in kinds])
        self._field = np.array(
            [names[signal.field or sensor.quantity] for signal, sensor in zip(signals, self.city.sensors, strict=True)],
            dtype=np.int64,
        )
        self._keep_below_limits()

    def _keep_below_limits(self) -> None:
        """Make the quiet day of every sensor small enough that its own place's limits stay far off.

        The highest value of a quiet day is about three standard deviations above the crest of its rhythm; where
        that is more than QUIET_SHARE of the mildest limit, the whole signal shrinks.
        """
        for sensor in self.city.sensors:
            row, law = sensor.index, self._law[sensor.index]
            steps = self.city.limits.of(sensor.id, sensor.quantity)
            mildest = min((limit.threshold for limit in steps if limit.side is Side.HIGH), default=None)
            if mildest is None or mildest <= 0 or law in {Law.SWITCH, Law.REST}:
                continue
            z = self._swing[row] + 2 * self._place[row] + 2 * (self._city[row] + self._local[row])
            if law == Law.COUNT:
                crest = self._level[row] * np.exp(z)
                self._level[row] *= CROWD_SHARE * mildest / crest
                continue
            product = law == Law.PRODUCT
            crest = (self._level[row] * np.exp(z) if product else self._level[row] + z) + 3 * self._noise[row]
            shrink = min(1.0, QUIET_SHARE * mildest / crest)
            amplitudes = () if product else (self._swing, self._city, self._local, self._place)
            for column in (self._level, self._noise, *amplitudes):
                column[row] *= shrink

    def _set_clocks(self, seed: int) -> None:
        self.interval_us = np.array(
            [round(sensor.interval_s * US_PER_SECOND) for sensor in self.city.sensors], dtype=np.int64
        )
        boxes: dict[str, int] = {}
        self._box = np.array(
            [boxes.setdefault(sensor.device, len(boxes)) for sensor in self.city.sensors], dtype=np.int64
        )
        self._seed = np.int64(seed % (1 << 31))
        self._late_us = np.minimum(self.interval_us * JITTER_SHARE, JITTER_MOST_S * US_PER_SECOND)
        self._phase_us = (unit_hash(self._box + self._seed, np.zeros_like(self._box)) * self.interval_us).astype(
            np.int64
        )
        self._sample = np.zeros(len(self._box), dtype=np.int64)
        self.next_us = self._due(np.arange(len(self._box)))

    def _due(self, sensors: Integers) -> Integers:
        """When the given sensors take their next sample: whole milliseconds, a little late each time."""
        number = self._sample[sensors]
        nominal = self._start_us + self._phase_us[sensors] + number * self.interval_us[sensors]
        late = unit_hash(self._box[sensors] + self._seed, number + 1) * self._late_us[sensors]
        due: Integers = (nominal + late.astype(np.int64)) // 1000 * 1000
        return due

    def take_due(self, until_us: int) -> tuple[Integers, Integers]:
        """Sensors that sample before ``until_us`` with their times, in order of time; their next samples are set.

        A sensor with a short interval stands there several times.
        """
        sensors: list[Integers] = []
        times: list[Integers] = []
        due = np.flatnonzero(self.next_us < until_us)
        while due.size:
            sensors.append(due)
            times.append(self.next_us[due])
            self._sample[due] += 1
            self.next_us[due] = self._due(due)
            due = due[self.next_us[due] < until_us]
        if not sensors:
            return np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
        all_sensors, all_times = np.concatenate(sensors), np.concatenate(times)
        order = np.lexsort((all_sensors, all_times))
        return all_sensors[order], all_times[order]

    def mean(self, sensors: Integers, time_us: int) -> Floats:
        """What the given sensors would read on a quiet day without noise, at one time."""
        seconds = (time_us - self._start_us) / US_PER_SECOND
        hour = (time_us / US_PER_SECOND + self._zone_s) / 3600 % 24
        fields = self._field[sensors]
        z = (
            self._swing[sensors] * at_hour(hour)[self._rhythm[sensors]]
            + self._city[sensors] * self._fields.city_wide(seconds)[fields]
            + self._local[sensors] * self._fields.local(sensors, fields, seconds)
            + self._place[sensors]
        )
        law = self._law[sensors]
        level = self._level[sensors]
        scaled = (law == Law.PRODUCT) | (law == Law.COUNT)
        return np.where(scaled, level * np.exp(np.where(scaled, z, 0.0)), level + z)

    def sample(self, sensors: Integers, times_us: Integers, at_us: int) -> Floats:
        """Values on a quiet day, not yet rounded, for sensors and times as ``take_due`` gave them.

        Fields and rhythm are taken once, at ``at_us``: they do not move within the second or so of one call.
        A sensor that samples several times within the call gets independent noise for each.
        """
        mean = self.mean(sensors, at_us)
        elapsed = (times_us - self._last_us[sensors]) / US_PER_SECOND
        state = ar1(self._state[sensors], elapsed, self._memory_s[sensors], self._rng.standard_normal(len(sensors)))
        self._state[sensors] = state
        self._last_us[sensors] = times_us
        law = self._law[sensors]
        spread = self._noise[sensors] * np.where(law == Law.COUNT, np.sqrt(np.maximum(mean, 0.0)), 1.0)
        values = mean + spread * np.where(law == Law.SCORE, np.abs(state), state)
        values = np.where(law == Law.SWITCH, state > self._level[sensors], values)
        return np.where(law == Law.REST, self._level[sensors], values)

    def shown(self, sensors: Integers, values: Floats) -> Floats:
        """What the devices show of values: kept inside the physical range and rounded to their resolution."""
        steps = self._steps[sensors]
        inside = np.clip(values, self._low[sensors], self._high[sensors])
        rounded: Floats = np.rint(inside * steps) / steps + 0.0
        return rounded
