"""People who need somebody: an elder who falls, a help button, a door that is forced, somebody inside at night."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import numpy as np
from numpy.typing import NDArray

from config.clock import US_PER_SECOND, from_datetime, to_datetime
from config.vocabulary import Category
from sensors_sim.changes import Made, Replaced, sigmas_of_a_run
from sensors_sim.happenings.common import TOO_SHORT, Certain, event, knows, narrowed, option, showing
from sensors_sim.happenings.places import free_rows, of, same_box, same_building, use_of, wanted
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged, episode
from sensors_sim.world import Use

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

HOUR_US = 3600 * US_PER_SECOND
FOUND_S = 5 * 3600.0
"""A fallen elder who lives alone lies for hours: more than one in the half of cases (Fleming and Brayne 2008, BMJ
337, a2227: 54 % lay on the floor over an hour), and is found by evening."""
AWAKE = (8, 18)
"""Local hours in which an elder who does not move is beyond the habit of most."""
REACHES_S = (120.0, 900.0)
"""So long after the fall the button is reached."""
PRESSED_S = 1800.0
"""The button stays raised until somebody has come and set it back."""
NIGHT = (23, 5)
INSIDE_S = 1500.0
CAMERA_M = 60.0
ENTERS_S = 8.0
"""From the door until a camera sees who came in."""
COMES_S = 60.0
PASSES_EVERY_S = 300.0
PASSES_S = 40.0
"""In the picture for the first and the last minute, and for 40 s of every 5 minutes between."""
SCORE = 0.9
"""What a classifier says of a person where none should be, at strength 1 and above."""
GUARDED = (Use.SCHOOL, Use.OFFICE, Use.SHOP, Use.MARKET)
FORCED_S = 1800.0


def steady(elapsed_s: Floats) -> Floats:
    """1 all the while."""
    return np.ones_like(elapsed_s)


def between(stage: Stage, hours: tuple[int, int], wish: Wish) -> int:
    """A moment between two local hours, as wished or drawn from the last such stretch of the run that is long enough.

    Early in the run a habit is not known yet. Raises CannotError where the run has no such hours.
    """
    if wish.at_s is not None:
        return stage.onset_us(wish)
    zone = stage.world.city.timezone
    day = to_datetime(stage.start_us).astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    first, last = hours
    stretches: list[tuple[int, int]] = []
    day -= timedelta(days=1)
    while from_datetime(day) < stage.end_us:
        begin = from_datetime(day.replace(hour=first))
        end = from_datetime((day + timedelta(days=last <= first)).replace(hour=last))
        begin, end = max(begin, stage.start_us + 60 * US_PER_SECOND), min(end, stage.end_us - 600 * US_PER_SECOND)
        if end > begin:
            stretches.append((begin, end))
        day += timedelta(days=1)
    if not stretches:
        raise CannotError(f"the run has no time between {first} and {last} o'clock")
    begin, end = max(stretches[-2:], key=lambda stretch: min(stretch[1] - stretch[0], HOUR_US))
    return begin + int(stage.rng.uniform(0, end - begin)) // US_PER_SECOND * US_PER_SECOND


def _held(row: int, value: float, from_us: int, to_us: int) -> Replaced:
    """One sensor that says one thing for a while."""
    return Replaced(np.array([row], np.int64), np.array([value]), np.zeros(1), from_us, to_us, steady)


def elder_falls(stage: Stage, wish: Wish) -> Staged:
    """An elder who lives alone falls by day and moves no more until found, ``lasts`` (5 h) later.

    Option ``presses: 1``: the help button is pressed minutes later and stays so until somebody comes. strength has no
    meaning: a fall is a fall.
    """
    knows(wish, "presses")
    rows = free_rows(stage, wish, "sensor of an elder's activity", "activity")
    presses = option(wish, "presses", 0) > 0
    if presses and not (rows := [row for row in rows if of(stage, same_box(stage.world, row), "help_button").size]):
        raise CannotError("no home with a free sensor of activity has a help button")
    row = stage.pick(rows)
    from_us = between(stage, AWAKE, wish)
    to_us = min(stage.end_us, from_us + stage.lasts_us(wish, FOUND_S))
    changes: list[Made] = [_held(row, 0.0, from_us, to_us)]
    details: dict[str, float | str] = {}
    if presses:
        button = int(of(stage, same_box(stage.world, row), "help_button")[0])
        pressed_us = from_us + int(stage.rng.uniform(*REACHES_S)) * US_PER_SECOND
        changes.append(_held(button, 1.0, pressed_us, max(to_us, pressed_us)))
        details["pressed_s"] = (pressed_us - stage.start_us) / US_PER_SECOND
    interval_s = float(stage.world.city.columns.interval_s[row])
    sigmas = sigmas_of_a_run((to_us - from_us) / US_PER_SECOND / interval_s)
    return event(
        stage, changes, row, kind="elder_falls", category=Category.CARE, sigmas=max(1.0, sigmas), details=details
    )


def help_pressed(stage: Stage, wish: Wish) -> Staged:
    """Somebody presses a help button; it stays raised until somebody has come (``lasts``, 30 min)."""
    knows(wish)
    row = stage.pick(free_rows(stage, wish, "help button", "help_button"))
    from_us = stage.onset_us(wish)
    change = _held(row, 1.0, from_us, min(stage.end_us, from_us + stage.lasts_us(wish, PRESSED_S)))
    return _certain(stage, (change,), row, kind="help_pressed", category=Category.CARE)


def _certain(stage: Stage, changes: tuple[Made, ...], row: int, *, kind: str, category: Category) -> Staged:
    """The truth about what leaves nothing of the noise: it is seen by all that it touches, as long as it lasts."""
    if changes[0].from_us >= changes[0].to_us:
        raise CannotError("the run ends before it begins")
    rows = np.unique(np.concatenate([change.sensors for change in changes]))
    from_us, to_us = min(change.from_us for change in changes), max(change.to_us for change in changes)
    if not showing(stage, rows, from_us, to_us):
        raise CannotError(TOO_SHORT)
    stage.reserve(rows)
    told = episode(
        replace(narrowed(stage, from_us, to_us), nature=Certain(stage.nature)),
        changes,
        row,
        kind=kind,
        category=category,
        from_us=from_us,
        to_us=to_us,
        seen_by=rows,
    )
    return Staged(changes=changes, episodes=(told,))


def door_forced(stage: Stage, wish: Wish) -> Staged:
    """A door is forced and stands open until somebody shuts it (``lasts``, 30 min)."""
    knows(wish)
    row = stage.pick(free_rows(stage, wish, "door contact", "door_open"))
    from_us = stage.onset_us(wish)
    change = _held(row, 1.0, from_us, min(stage.end_us, from_us + stage.lasts_us(wish, FORCED_S)))
    return _certain(stage, (change,), row, kind="door_forced", category=Category.INTRUSION)


def in_view(elapsed_s: Floats, *, lasts_s: float) -> Floats:
    """1 while somebody is in a camera's picture, else 0: coming in, going out, and now and then between."""
    time = np.asarray(elapsed_s, np.float64)
    passing = (time < COMES_S) | (time >= lasts_s - COMES_S) | (time % PASSES_EVERY_S < PASSES_S)
    return np.where(passing & (time >= 0), 1.0, 0.0)


def _watching(stage: Stage, door: int) -> Integers:
    """Rows of the free intrusion scores of cameras at a door: in its building, or within some metres of it."""
    world = stage.world
    near = np.union1d(world.within(door, CAMERA_M), same_building(world, door))
    return of(stage, near, "intrusion_score")


def intrusion(stage: Stage, wish: Wish) -> Staged:
    """Somebody gets into a guarded building at night: its door stands open, its camera sees a person, frame by frame.

    ``lasts`` 25 min. strength below 1 is a person whom the camera takes for one less surely.
    """
    knows(wish)
    doors, scores = stage.rows("door_open"), stage.rows("intrusion_score")
    if not doors and not scores:
        raise CannotError("the city has neither a free door contact nor a free intrusion score of a camera")
    fitting = wanted(stage, doors or scores, wish.place)
    if wish.place is None:
        fitting = [row for row in fitting if use_of(stage.world, row) in GUARDED] or fitting
        fitting = [row for row in fitting if _watching(stage, row).size] or fitting
    row = stage.pick(fitting)
    from_us = between(stage, NIGHT, wish)
    lasts_us = stage.lasts_us(wish, INSIDE_S)
    to_us = min(stage.end_us, from_us + lasts_us)
    changes: list[Made] = [_held(row, 1.0, from_us, to_us)] if doors else []
    if (cameras := _watching(stage, row)).size:
        course = partial(in_view, lasts_s=lasts_us / US_PER_SECOND - ENTERS_S)
        delay = np.full(len(cameras), ENTERS_S if doors else 0.0)
        target = np.full(len(cameras), SCORE * min(wish.strength, 1.0))
        changes.append(Replaced(cameras, target, delay, from_us, to_us, course))
    return _certain(stage, tuple(changes), row, kind="intrusion", category=Category.INTRUSION)
