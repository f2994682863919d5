import asyncio
import json
import math
from dataclasses import replace

import httpx
import pytest

from alerting.model import CENTRE
from config.vocabulary import GridLevel, Severity
from dashboard_api import views
from dashboard_api.routes.grids import Drawing
from dashboard_api.schemas.world import GridCollection
from detectors.model import Phase, Reason
from ingest.model import ReadingBatch
from tests.support.dashboard import ACCOUNT, START_US, Desk, verdict_of


async def get(client: httpx.AsyncClient, path: str, **params: object) -> httpx.Response:
    return await client.get(f"/api/v1{path}", params={name: str(value) for name, value in params.items()})


async def ids(client: httpx.AsyncClient, path: str, **params: object) -> list[int]:
    answer = await get(client, path, **params)
    assert answer.status_code == 200, answer.text
    return [item["id"] for item in answer.json()["items"]]


async def test_one_event_tells_what_where_who_why_and_what_was_done(client: httpx.AsyncClient, desk: Desk) -> None:
    sensor = desk.sensor("ch4")
    event = desk.alarm(sensor, 31.2)
    body = (await get(client, f"/events/{event.id}")).json()
    assert body["code"] == "GW-20260131-0001"
    assert (body["category"], body["severity"], body["state"]) == ("gas_leak", 2, "dispatched")
    assert body["place"] == {"zh": sensor.place.zh, "en": sensor.place.en}
    assert body["opened_at"] == "2026-01-31T02:00:00.000Z"
    assert body["grid"]["code"] == sensor.grid
    assert len(body["grid"]["path"]) == 3
    assert body["department"]["name"]["en"]
    assert [person["worker"] for person in body["line"]] == [person.worker for person in event.line]
    assert body["line"][0]["name"]["zh"]
    assert "phone" not in str(body)
    [alarm] = body["alarms"]
    assert (alarm["value"], alarm["unit"], alarm["expected_low"], alarm["expected_high"]) == (31.2, "%LEL", None, 25.0)
    assert alarm["score"] is None
    assert "31.2" in alarm["reason"]["text"]["zh"]
    assert "31.2" in alarm["reason"]["text"]["en"]
    assert {entry["action"] for entry in body["trail"]} >= {"alarm_raised", "event_opened"}


@pytest.mark.parametrize("odd", [None, math.nan, math.inf, -math.inf])
async def test_a_reason_may_lack_a_number(client: httpx.AsyncClient, desk: Desk, odd: float | None) -> None:
    sensor = desk.sensor("ch4")
    verdict = verdict_of(sensor, 31.2, Severity.MAJOR, START_US)
    params = {**verdict.reason.params, "threshold": odd}
    desk.say(replace(verdict, reason=Reason(verdict.reason.key, params)))  # type: ignore[arg-type]  # an older ledger's
    event = desk.ledger.events(limit=1)[0]
    for path in (f"/events/{event.id}", "/alarms"):
        answer = await get(client, path)
        assert answer.status_code == 200
        body = answer.json()
        [alarm] = body.get("alarms") or body["items"]
        assert alarm["reason"]["params"]["threshold"] is None
        assert alarm["reason"]["params"]["value"] == 31.2


def test_numbers_that_json_cannot_hold_leave_as_null(desk: Desk) -> None:
    """Also where the ledger keeps them: other ledgers than SQLite may hold infinite numbers."""
    desk.alarm(desk.sensor("ch4"), 31.2)
    [alarm] = desk.ledger.alarms()
    params = {**alarm.reason.params, "high": math.inf, "low": -math.inf, "usual": math.nan, "none": None, "readings": 3}
    odd = replace(alarm, value=math.nan, reason=Reason(alarm.reason.key, params))  # type: ignore[arg-type]  # as above
    shown = json.loads(views.alarm(desk.city, odd).model_dump_json())
    assert shown["value"] is None
    nulls = dict.fromkeys(("high", "low", "usual", "none"))
    assert shown["reason"]["params"] == {**alarm.reason.params, **nulls, "readings": 3}


async def test_events_are_filtered_by_state_category_severity_and_grid(client: httpx.AsyncClient, desk: Desk) -> None:
    gas = desk.alarm(desk.sensor("ch4"), 60, Severity.EXTREME)
    noise = desk.alarm(desk.sensor("noise"), 90, Severity.GENERAL)
    assert gas.id != noise.id
    desk.ports.commands.acknowledge(gas.id, actor=ACCOUNT, now_us=START_US)
    assert await ids(client, "/events") == [noise.id, gas.id]
    assert await ids(client, "/events", state="accepted") == [gas.id]
    assert await ids(client, "/events", category="noise") == [noise.id]
    assert await ids(client, "/events", worst=2) == [gas.id]
    assert await ids(client, "/events", worst=4) == [noise.id, gas.id]
    assert await ids(client, "/events", grid=gas.grid) == ([noise.id] if noise.grid == gas.grid else []) + [gas.id]
    district = next(code for code, grid in desk.city.grids.items() if grid.level is GridLevel.DISTRICT)
    assert await ids(client, "/events", grid=district) == [noise.id, gas.id]
    two = await client.get("/api/v1/events?state=accepted&state=dispatched")
    assert len(two.json()["items"]) == 2


async def test_pages_of_events_meet_without_gap_or_overlap(client: httpx.AsyncClient, desk: Desk) -> None:
    quantities = ("ch4", "noise", "pm25", "tilt", "current")
    expected = [desk.alarm(desk.sensor(quantity), 60).id for quantity in quantities][::-1]
    assert len(set(expected)) == 5
    found: list[int] = []
    before: dict[str, object] = {}
    for _ in range(3):
        page = (await get(client, "/events", limit=2, **before)).json()
        found += [item["id"] for item in page["items"]]
        before = {"before": page["next_before"]}
    assert found == expected
    assert page["next_before"] is None


async def test_an_event_is_taken_given_away_noted_and_closed(client: httpx.AsyncClient, desk: Desk) -> None:
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    path = f"/api/v1/events/{event.id}"
    taken = (await client.post(f"{path}/acknowledge")).json()
    assert (taken["state"], taken["acknowledged_by"]) == ("accepted", ACCOUNT)
    again = await client.post(f"{path}/acknowledge")
    assert again.status_code == 200
    people = (await get(client, "/people", grid=event.grid)).json()["items"]
    other = next(one["worker"] for one in people if one["worker"] not in (event.line[0].worker, CENTRE))
    given = (await client.post(f"{path}/assign", json={"worker": other})).json()
    assert (given["state"], given["line"][0]["worker"]) == ("dispatched", other)
    noted = (await client.post(f"{path}/note", json={"text": "阀门已关"})).json()
    assert noted["trail"][-1]["detail"]["text"] == "阀门已关"
    closed = (await client.post(f"{path}/close", json={"note": "done"})).json()
    assert (closed["state"], closed["closed_by"]) == ("closed", ACCOUNT)
    actors = {entry["actor"] for entry in closed["trail"] if entry["action"].startswith("event_") and entry["detail"]}
    assert ACCOUNT in actors


@pytest.mark.parametrize(
    ("act", "body", "reason"),
    [
        ("acknowledge", None, "already_closed"),
        ("note", {"text": "x"}, "already_closed"),
        ("close", {}, "already_closed"),
    ],
)
async def test_a_closed_event_refuses_with_a_reason_in_both_languages(
    client: httpx.AsyncClient, desk: Desk, act: str, body: object, reason: str
) -> None:
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    desk.ports.commands.close(event.id, actor=ACCOUNT, now_us=START_US)
    answer = await client.post(f"/api/v1/events/{event.id}/{act}", json=body)
    assert answer.status_code == 409
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["reason"] == reason
    assert answer.json()["text"]["zh"] != answer.json()["text"]["en"]


@pytest.mark.parametrize(
    ("worker", "status", "reason"),
    [("nobody", 409, "no_such_worker"), ("", 422, "invalid")],
)
async def test_an_event_goes_to_known_workers_only(
    client: httpx.AsyncClient, desk: Desk, worker: str, status: int, reason: str
) -> None:
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    answer = await client.post(f"/api/v1/events/{event.id}/assign", json={"worker": worker})
    assert (answer.status_code, answer.json()["reason"]) == (status, reason)


@pytest.mark.parametrize("text", ["", "x" * 2001])
async def test_a_note_has_1_to_2000_characters(client: httpx.AsyncClient, desk: Desk, text: str) -> None:
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    answer = await client.post(f"/api/v1/events/{event.id}/note", json={"text": text})
    assert answer.status_code == 422


async def test_a_note_of_blanks_is_refused(client: httpx.AsyncClient, desk: Desk) -> None:
    event = desk.alarm(desk.sensor("ch4"), 31.2)
    answer = await client.post(f"/api/v1/events/{event.id}/note", json={"text": "   "})
    assert (answer.status_code, answer.json()["reason"]) == (409, "empty_note")


@pytest.mark.parametrize("path", ["events/77/acknowledge", "faults/77/acknowledge"])
async def test_what_does_not_exist_cannot_be_taken(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(f"/api/v1/{path}")
    assert (answer.status_code, answer.json()["reason"]) == (404, "no_such_case")


async def test_alarms_are_listed_by_standing_and_sensor(client: httpx.AsyncClient, desk: Desk) -> None:
    gas, noise = desk.sensor("ch4"), desk.sensor("noise")
    desk.alarm(gas, 31.2)
    desk.alarm(noise, 90)
    desk.advance(60)
    desk.alarm(gas, 3, Severity.MAJOR, Phase.CLEARED)
    assert len(await ids(client, "/alarms")) == 2
    standing = (await get(client, "/alarms", standing="true")).json()["items"]
    assert [alarm["sensor"] for alarm in standing] == [noise.id]
    cleared = (await get(client, "/alarms", standing="false")).json()["items"]
    assert [alarm["cleared_at"] for alarm in cleared] == ["2026-01-31T02:01:00.000Z"]
    assert len(await ids(client, "/alarms", sensor=gas.id)) == 1
    page = (await get(client, "/alarms", limit=1)).json()
    assert page["next_before"] == page["items"][0]["id"]


async def test_a_fault_ticket_is_apart_from_events_and_is_taken_and_closed(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    ticket = desk.fault(desk.sensor("temperature"))
    assert await ids(client, "/events") == []
    assert await ids(client, "/faults", state="open") == [ticket.id]
    assert await ids(client, "/faults", state="closed") == []
    body = (await get(client, f"/faults/{ticket.id}")).json()
    assert (body["due_at"], body["unit"]) == ("2026-02-01T02:00:00.000Z", "°C")
    assert [alarm["condition"] for alarm in body["alarms"]] == ["stuck"]
    taken = await client.post(f"/api/v1/faults/{ticket.id}/acknowledge")
    assert taken.json()["acknowledged_by"] == ACCOUNT
    closed = await client.post(f"/api/v1/faults/{ticket.id}/close", json={"note": "new probe"})
    assert closed.json()["state"] == "closed"
    refused = await client.post(f"/api/v1/faults/{ticket.id}/close", json={})
    assert (refused.status_code, refused.json()["reason"]) == (409, "already_closed")


async def test_sensors_of_a_viewport_come_with_their_last_value(client: httpx.AsyncClient, desk: Desk) -> None:
    sensor = desk.sensor("ch4")
    desk.read(sensor, [3.5])
    desk.last.silent[sensor.index] = True
    view = {"west": sensor.lon, "east": sensor.lon, "south": sensor.lat, "north": sensor.lat}
    page = (await get(client, "/sensors", **view)).json()
    expected = {one.id for one in desk.city.sensors if (one.lon, one.lat) == (sensor.lon, sensor.lat)}
    assert {item["id"] for item in page["items"]} == expected
    assert page["total"] == len(expected)
    mine = next(item for item in page["items"] if item["id"] == sensor.id)
    assert (mine["last_value"], mine["last_at"], mine["silent"]) == (3.5, "2026-01-31T02:00:00.000Z", True)
    assert mine["interval_seconds"] == sensor.interval_s
    others = [item for item in page["items"] if item["id"] != sensor.id]
    assert {item["last_at"] for item in others} <= {None}
    everywhere = {"west": -180, "east": 180, "south": -90, "north": 90}
    page = (await get(client, "/sensors", **everywhere, limit=10)).json()
    assert (len(page["items"]), page["total"]) == (10, len(desk.city.sensors))


async def test_one_sensor_tells_its_limits_with_their_source(client: httpx.AsyncClient, desk: Desk) -> None:
    body = (await get(client, f"/sensors/{desk.sensor('ch4').id}")).json()
    assert body["owner"]
    assert {limit["side"] for limit in body["limits"]} == {"high"}
    assert all(limit["source"] for limit in body["limits"])


async def test_readings_come_as_columns_within_the_span_and_thinned(client: httpx.AsyncClient, desk: Desk) -> None:
    sensor = desk.sensor("ch4")
    times = [START_US + second * 1_000_000 for second in range(100)]
    rows = [sensor.index] * 100
    desk.store.write(ReadingBatch.of(rows, times, times, [float(n) for n in range(100)], [0] * 100))
    path = f"/sensors/{sensor.id}/readings"
    span = {"from": "2026-01-31T02:00:10Z", "to": "2026-01-31T10:00:20+08:00"}
    body = (await get(client, path, **span)).json()
    assert body["value"] == [float(n) for n in range(10, 20)]
    assert body["at"][0] == "2026-01-31T02:00:10.000Z"
    assert body["low"] == body["high"] == body["value"]
    whole = {"from": "2026-01-31T02:00:00Z", "to": "2026-01-31T02:01:40Z", "max_points": 10}
    thinned = (await get(client, path, **whole)).json()
    assert 5 <= len(thinned["at"]) <= 10
    assert (min(thinned["low"]), max(thinned["high"])) == (0.0, 99.0)


@pytest.mark.parametrize(
    "span",
    [
        {"from": "2026-01-31T02:00:10Z", "to": "2026-01-31T02:00:10Z"},
        {"from": "2026-01-31T02:00:10", "to": "2026-01-31T02:00:20"},
        {"from": "yesterday", "to": "2026-01-31T02:00:20Z"},
        {"to": "2026-01-31T02:00:20Z"},
    ],
)
async def test_a_span_that_cannot_be_placed_is_refused(
    client: httpx.AsyncClient, desk: Desk, span: dict[str, str]
) -> None:
    answer = await client.get(f"/api/v1/sensors/{desk.sensor('ch4').id}/readings", params=span)
    assert (answer.status_code, answer.json()["reason"]) == (422, "invalid")


async def test_who_asks_for_the_grids_at_the_same_time_shares_an_answer_no_older_than_the_question(
    client: httpx.AsyncClient, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[bool] = []
    draw = Drawing._draw

    def counted(self: Drawing, geometry: bool) -> tuple[bytes, bytes]:
        made.append(geometry)
        return draw(self, geometry)

    monkeypatch.setattr(Drawing, "_draw", counted)
    answers = await asyncio.gather(*(client.get("/api/v1/grids") for _ in range(10)))
    assert len({answer.text for answer in answers}) == 1
    assert len(made) <= 3
    gas = desk.alarm(desk.sensor("ch4"), 60.0, Severity.EXTREME)
    for encoding in ("gzip", "identity"):
        answer = await client.get("/api/v1/grids", headers={"Accept-Encoding": encoding})
        assert answer.headers.get("Content-Encoding", "identity") == encoding
        worst = {one["id"]: one["properties"]["worst"] for one in answer.json()["features"]}
        assert worst[gas.grid] == Severity.EXTREME


async def test_grids_are_coloured_upwards_and_name_who_is_responsible_now(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    gas = desk.alarm(desk.sensor("ch4"), 60, Severity.EXTREME)
    noise = desk.alarm(desk.sensor("noise"), 90, Severity.GENERAL)
    body = (await get(client, "/grids")).json()
    GridCollection.model_validate(body)
    assert body["type"] == "FeatureCollection"
    grids = {feature["id"]: feature for feature in body["features"]}
    assert grids.keys() == desk.city.grids.keys()
    assert {feature["geometry"]["type"] for feature in body["features"]} <= {"Polygon", "MultiPolygon"}
    assert grids[gas.grid]["properties"]["worst"] == 1
    top = body["features"][0]["properties"]
    assert (top["level"], top["worst"], top["open_events"]) == ("district", 1, 2)
    assert grids[gas.grid]["properties"]["responsible"]["worker"] == gas.line[0].worker
    desk.ports.commands.close(gas.id, actor=ACCOUNT, now_us=START_US)
    light = (await get(client, "/grids", geometry="false")).json()
    assert {feature["geometry"] for feature in light["features"]} == {None}
    assert light["features"][0]["properties"]["worst"] == 4
    assert noise.severity is Severity.GENERAL


async def test_the_responsible_person_changes_with_the_hour(client: httpx.AsyncClient, desk: Desk) -> None:
    grid = desk.sensor("ch4").grid

    async def responsible() -> str:
        features = (await get(client, "/grids", geometry="false")).json()["features"]
        return next(str(one["properties"]["responsible"]["worker"]) for one in features if one["id"] == grid)

    by_day = await responsible()
    desk.advance(16 * 3600)
    assert await responsible() != by_day


async def test_people_on_duty_come_first_and_those_who_only_mend_not_at_all(
    client: httpx.AsyncClient, desk: Desk
) -> None:
    grid = desk.sensor("ch4").grid
    here = (await get(client, "/people", grid=grid)).json()["items"]
    everyone = (await get(client, "/people")).json()["items"]
    assert {one["worker"] for one in here} < {one["worker"] for one in everyone}
    assert here[0]["duties"][0]["role"] == "worker"
    on_duty = [one["on_duty"] for one in here[:-1]]
    assert on_duty == sorted(on_duty, reverse=True)
    assert any(on_duty)
    roles = {duty["role"] for one in everyone for duty in one["duties"]}
    assert "maintenance" not in roles
    assert here[-1]["worker"] == CENTRE
    assert not {worker.phone for worker in desk.city.workers.values()} & set(str(everyone).split("'"))
