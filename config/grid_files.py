"""``grids.geojson``: the grid tree, from the district down to the grids, and whether its polygons fit together."""

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from config.city import Grid
from config.geometry import SLIVER_M2, Shape, left_over_m2, overlaps_m2, read_shape
from config.problems import FileProblems, join
from config.tables import bad_id, decode, read_bytes
from config.vocabulary import GridLevel, LocalText

FILE = "grids.geojson"
PROPERTIES = ("code", "level", "parent", "name_zh", "name_en")


@dataclass(frozen=True, slots=True)
class GridRows:
    """What could be read. codes: every code, also of broken features; None where a feature could not be read."""

    grids: Mapping[str, Grid]
    codes: frozenset[str] | None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A feature as read, before the tree is checked: whatever is unusable is None."""

    row: int
    code: str
    level: GridLevel | None
    parent: str | None
    name: LocalText | None
    shape: Shape | None


def read_grids(folder: Path, problems: FileProblems) -> GridRows:
    """Read the tree; every mistake is written down and what is left is answered."""
    drafts: dict[str, _Draft] = {}
    for row, feature in enumerate(_features(folder, problems), start=1):
        draft = _read_feature(feature, row, problems)
        if draft is None:
            continue
        if draft.code in drafts:
            problems.error("duplicate_id", row=row, field="code", found=draft.code, first=drafts[draft.code].row)
        else:
            drafts[draft.code] = draft
    _check_tree(drafts, problems)
    grids = {
        draft.code: Grid(draft.code, draft.level, draft.parent, draft.name, draft.shape)
        for draft in drafts.values()
        if draft.level is not None and draft.name is not None and draft.shape is not None
    }
    _check_fit(grids, drafts, problems)
    return GridRows(grids, None if problems.incomplete else frozenset(drafts))


def _features(folder: Path, problems: FileProblems) -> list[object]:
    data = read_bytes(folder / FILE, problems)
    content = None if data is None else decode(data, problems)
    if content is None:
        return []
    try:
        document = json.loads(content)
    except json.JSONDecodeError as error:
        problems.unreadable("broken_json", found=f"{error.msg} ({error.lineno}:{error.colno})")
        return []
    except (ValueError, RecursionError) as error:  # a number of thousands of digits, brackets thousands deep
        problems.unreadable("broken_json", found=error)
        return []
    features = document.get("features") if isinstance(document, dict) else None
    if not isinstance(features, list):
        problems.unreadable("not_feature_collection", found=content[:40])
        return []
    if not features:
        problems.unreadable("no_grids")
    return features


def _read_feature(feature: object, row: int, problems: FileProblems) -> _Draft | None:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(feature, dict) or not isinstance(properties, dict):
        problems.unreadable("not_feature", row=row, found=str(feature)[:40])
        return None
    texts = {name: _property(properties, name) for name in PROPERTIES}
    for name in properties:
        if name not in PROPERTIES:
            problems.error("unknown_key", row=row, field=name, found=name, choices=join(PROPERTIES))
    code = texts["code"]
    level = _level(texts["level"], row, problems)
    shape = read_shape(feature.get("geometry"), row, problems)
    for name in ("name_zh", "name_en"):
        if not texts[name]:
            problems.error("missing_translation", row=row, field=name)
    name = LocalText(zh=texts["name_zh"], en=texts["name_en"]) if texts["name_zh"] and texts["name_en"] else None
    if not code:
        problems.unreadable("missing_value", row=row, field="code")
        return None
    if bad_id(code):
        problems.error("bad_id", row=row, field="code", found=code)
    return _Draft(row, code, level, texts["parent"] or None, name, shape)


def _property(properties: Mapping[str, object], name: str) -> str:
    value = properties.get(name)
    # JSON can spell half a character (a lone surrogate), which no encoding can write down again
    return "" if value is None else str(value).strip().encode("utf-8", "replace").decode()


def _level(found: str, row: int, problems: FileProblems) -> GridLevel | None:
    if found in set(GridLevel):
        return GridLevel(found)
    if found:
        problems.error("unknown_choice", row=row, field="level", found=found, choices=join(GridLevel))
    else:
        problems.error("missing_value", row=row, field="level")
    return None


def _check_tree(drafts: Mapping[str, _Draft], problems: FileProblems) -> None:
    for draft in drafts.values():
        if draft.parent is None:
            if draft.level is not None and draft.level is not GridLevel.DISTRICT:
                problems.error("missing_value", row=draft.row, field="parent")
        elif draft.parent not in drafts:
            if not problems.incomplete:
                problems.error("unknown_reference", row=draft.row, field="parent", found=draft.parent, target=FILE)
        elif not _in_cycle(draft, drafts, problems):
            _check_level(draft, drafts[draft.parent], problems)


def _in_cycle(draft: _Draft, drafts: Mapping[str, _Draft], problems: FileProblems) -> bool:
    way, node = [draft.code], draft.parent
    while node is not None and node in drafts and node not in way:
        way.append(node)
        node = drafts[node].parent
    if node != draft.code:
        return False
    if draft.code == min(way):  # one word for the whole circle
        problems.error("tree_cycle", row=draft.row, field="parent", found=" > ".join([*way, draft.code]))
    return True


def _check_level(draft: _Draft, parent: _Draft, problems: FileProblems) -> None:
    if draft.level is None or parent.level is None or draft.level.rank == parent.level.rank + 1:
        return
    expected = "" if draft.level is GridLevel.DISTRICT else list(GridLevel)[draft.level.rank - 1]
    if expected:
        found = f"{draft.level} < {parent.level}"
        problems.error("wrong_level", row=draft.row, field="parent", found=found, level=expected)
    else:
        problems.error("district_parent", row=draft.row, field="parent", found=parent.code)


def _check_fit(grids: Mapping[str, Grid], drafts: Mapping[str, _Draft], problems: FileProblems) -> None:
    children: dict[str | None, list[Grid]] = defaultdict(list)
    for grid in grids.values():
        children[grid.parent].append(grid)
    for parent_code, siblings in children.items():
        for i, j, area in overlaps_m2([grid.polygon for grid in siblings]):
            one, other = siblings[i].code, siblings[j].code
            row = drafts[other].row
            problems.warning("overlap", row=row, field="geometry", found=f"{area:.0f} m²", one=one, other=other)
        parent = grids.get(parent_code or "")
        if parent is not None:
            _check_inside(parent, siblings, drafts, problems)
    unusable = {draft.parent for draft in drafts.values() if draft.code not in grids}
    for code in grids.keys() & children.keys() - unusable:
        if not problems.incomplete:
            _check_filled(grids[code], children[code], drafts[code].row, problems)


def _check_inside(parent: Grid, parts: list[Grid], drafts: Mapping[str, _Draft], problems: FileProblems) -> None:
    for grid in parts:
        outside, _ = left_over_m2(grid.polygon, [parent.polygon])
        if outside > SLIVER_M2:
            found, row = f"{outside:.0f} m²", drafts[grid.code].row
            problems.warning("outside_parent", row=row, field="geometry", found=found, parent=parent.code)


def _check_filled(parent: Grid, parts: list[Grid], row: int, problems: FileProblems) -> None:
    gap, point = left_over_m2(parent.polygon, [grid.polygon for grid in parts])
    if point is not None:
        place = f"{point[0]:.5f}, {point[1]:.5f}"
        found = f"{gap:.0f} m²"
        problems.warning("gap", row=row, field="geometry", found=found, parent=parent.code, place=place)
