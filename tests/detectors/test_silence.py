from dataclasses import replace

import pytest

from config.city import City
from config.texts import text
from config.vocabulary import Language
from detectors.silence import silence_reason
from ingest.model import LivenessChange, Silence
from tests.detectors.build import START_US, city

MINUTE_US = 60_000_000
NOW_US = START_US + 30 * MINUTE_US


def town() -> City:
    built = city(["pm25"] * 4)
    return replace(built, sensors=tuple(replace(one, device="cabinet-7") for one in built.sensors))


def change(silence: Silence, *, silent: bool = True, last_us: int = START_US, box_us: int = START_US) -> LivenessChange:
    return LivenessChange(0, silent, NOW_US, last_us, 180.0, silence, box_us, 4, (1, 2), times=3, window_s=1200.0)


WORDS = [
    (change(Silence.SENSOR), "reason.silent.raised", "has not sent for 30 min (allowed: 3 min)"),
    (change(Silence.SENSOR, last_us=0), "reason.silent.raised_never", "has never sent anything"),
    (change(Silence.CHILD), "reason.silent.raised_child", "other sensors of the same box cabinet-7 send"),
    (change(Silence.CHILD, last_us=0), "reason.silent.raised_child_never", "has never sent anything"),
    (change(Silence.BOX), "reason.silent.raised_box", "the whole box cabinet-7 for 30 min, from none of its 4 sensors"),
    (change(Silence.BOX, last_us=0), "reason.silent.raised_box", "for 30 min"),
    (change(Silence.BOX, last_us=0, box_us=0), "reason.silent.raised_box_never", "nothing has ever come"),
    (change(Silence.FLAPPING), "reason.silent.raised_flapping", "silent 3 times within 20 min"),
    (change(Silence.SENSOR, silent=False), "reason.silent.cleared", "sends again"),
    (change(Silence.FLAPPING, silent=False), "reason.silent.cleared_flapping", "steadily again for 20 min"),
]


@pytest.mark.parametrize(("given", "key", "words"), WORDS)
def test_every_kind_of_silence_has_its_words(given: LivenessChange, key: str, words: str) -> None:
    reason = silence_reason(given, town(), NOW_US)
    assert reason.key == key
    assert words in text(reason.key, Language.EN, reason.params)
    assert "{" not in text(reason.key, Language.ZH, reason.params)


def test_the_sensors_of_a_silent_box_are_named_as_far_as_they_are_told() -> None:
    reason = silence_reason(change(Silence.BOX), town(), NOW_US)
    ids = town().columns.ids
    assert reason.params["others"] == f"{ids[1]}, {ids[2]}, ..."
    all_of_it = replace(change(Silence.BOX), others=(1, 2, 3))
    assert silence_reason(all_of_it, town(), NOW_US).params["others"] == f"{ids[1]}, {ids[2]}, {ids[3]}"
