"""Cameras that somebody makes blind: one after the other down a street, each in a way of its own.

For each camera it is a fault: somebody has to clean it. For the street it is a deed of people, which nobody sees in one
camera alone. So the truth tells both: a fault of every sensor that lies, and, from two cameras on, one episode of
intrusion, the police's, seen by the sensors of the cameras' pictures.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from config.clock import US_PER_SECOND
from config.vocabulary import Category
from sensors_sim.faults.told import told
from sensors_sim.happenings.common import away_m, knows, option, showing
from sensors_sim.happenings.places import free_rows, of, same_box
from sensors_sim.scenario import Wish
from sensors_sim.staging import CannotError, Stage, Staged, episode
from sensors_sim.truth import FaultKind

PICTURE = ("image_brightness", "image_sharpness", "image_change")
OF_A_CAMERA = (*PICTURE, "people", "vehicles", "smoke_score", "fire_score", "intrusion_score")

CAMERAS = 6
WALKS_M_S = 1.2
"""A person on foot."""
WORKS_S = (60.0, 300.0)
"""Ladder up, spray, ladder down."""
REACH_M = 1_500.0
"""No further from the first camera than that."""
CLEANED_S = 12 * 3600.0


WAYS: Mapping[str, FaultKind] = MappingProxyType(
    {
        "covered": FaultKind.COVERED_LENS,  # a bag over the housing
        "sprayed": FaultKind.BLURRED_IMAGE,  # a film of paint, or grease
        "darkened": FaultKind.DARK_IMAGE,  # its lamp and the street light broken
        "frozen": FaultKind.FROZEN_IMAGE,  # the cable cut behind the encoder: the recorder repeats the last picture
    }
)
"""What vandals do to cameras, by the word of the option ``way``. What is then seen, ``sensors_sim.faults`` knows."""


@dataclass(frozen=True, slots=True)
class _Blind:
    """A sensor of a blinded camera, from when on, and how."""

    row: int
    from_us: int
    kind: FaultKind


def _down_the_street(stage: Stage, rows: list[int], count: int) -> list[int]:
    """Cameras in the order of a walk: from one drawn to the next nearest, never far from the first."""
    world = stage.world
    first = stage.pick(rows)
    near = [row for row in rows if away_m(world, first, row) <= REACH_M and row != first]
    order = [first]
    while near and len(order) < count:
        nearest = min(near, key=lambda row: away_m(world, order[-1], row))
        near.remove(nearest)
        order.append(nearest)
    return order


def camera_vandal(stage: Stage, wish: Wish) -> Staged:
    """Somebody walks down a street and blinds one camera after the other; they stay blind for ``lasts`` (12 h).

    Options: ``cameras`` (6), ``way``: covered, sprayed, darkened or frozen for all of them, else each another.
    """
    knows(wish, "cameras", "way")
    pictures = free_rows(stage, wish, "sensor of a camera's picture", *PICTURE)
    device = stage.world.city.columns.device.code
    one_of_each = list({int(device[row]): row for row in reversed(pictures)}.values())[::-1]
    count = max(1, round(option(wish, "cameras", CAMERAS) * wish.strength))
    order = _down_the_street(stage, one_of_each, count)
    names = list(WAYS)
    asked = wish.options.get("way")
    if asked is not None and asked not in WAYS:
        raise CannotError(f"option way is {asked!r}, expected one of {', '.join(names)}")
    from_us = stage.onset_us(wish)
    to_us = min(stage.end_us, from_us + stage.lasts_us(wish, CLEANED_S))
    blinded: list[_Blind] = []
    at_us, before = from_us, order[0]
    for camera in order:
        at_us += int(away_m(stage.world, before, camera) / WALKS_M_S) * US_PER_SECOND
        if at_us >= to_us:
            break
        kind = WAYS[str(asked) if asked is not None else names[int(stage.rng.integers(len(names)))]]
        blinded += [_Blind(row, at_us, kind) for row in of(stage, same_box(stage.world, camera), *OF_A_CAMERA).tolist()]
        at_us += int(stage.rng.uniform(*WORKS_S)) * US_PER_SECOND
        before = camera
    if not blinded:
        raise CannotError("the run ends before it begins")
    return _told(stage, order[0], sorted(blinded, key=lambda one: one.row), to_us)


def _told(stage: Stage, centre: int, blinded: list[_Blind], to_us: int) -> Staged:
    faults = tuple(told(stage.world.city, ((one.kind, one.row, one.from_us, to_us) for one in blinded)))
    rows = np.array([one.row for one in blinded], np.int64)
    stage.reserve(rows)
    cameras = len({one.from_us for one in blinded})
    seeing = np.intersect1d(rows, stage.world.measuring(*PICTURE))
    from_us = min(one.from_us for one in blinded)
    if cameras == 1 or not showing(stage, seeing, from_us, to_us):
        return Staged(faults=faults)
    truth = episode(
        stage,
        (),
        centre,
        kind="camera_vandal",
        category=Category.INTRUSION,
        from_us=from_us,
        to_us=to_us,
        seen_by=seeing,
        details={"cameras": cameras},
    )
    return Staged(episodes=(truth,), faults=faults)
