"""From the house's own models to those of the wire. Pure: the city gives names, nothing is looked up elsewhere."""

from alerting.model import Alarm, FaultTicket, GridEvent, Responsible, TrailEntry
from alerting.reasons import reason_text
from config.city import City, Sensor
from config.clock import isoformat
from dashboard_api.ports import LastValues
from dashboard_api.schemas.base import Names, Person, finite, moment
from dashboard_api.schemas.cases import (
    AlarmOut,
    DepartmentName,
    EventDetail,
    EventOut,
    GridName,
    ReasonOut,
    TicketDetail,
    TicketOut,
    TrailOut,
)
from dashboard_api.schemas.world import LimitOut, SensorDetail, SensorOut


def person(who: Responsible) -> Person:
    """A person in line."""
    return Person(worker=who.worker, name=Names.of(who.name), role=who.role, grid=who.grid)


def _grid(city: City, code: str) -> GridName:
    """A grid of the present city; one that an older version of the city had is named by its code."""
    if code not in city.grids:
        return GridName(code=code, name=Names(zh=code, en=code), path=[])
    own, *above = city.upwards(code)
    return GridName(code=code, name=Names.of(own.name), path=[Names.of(grid.name) for grid in reversed(above)])


def _department(city: City, code: str | None) -> DepartmentName | None:
    if code is None:
        return None
    known = city.departments.get(code)
    return DepartmentName(id=code, name=Names.of(known.name) if known else Names(zh=code, en=code))


def _sensor(city: City, sensor_id: str) -> Sensor | None:
    index = city.sensor_index.get(sensor_id)
    return None if index is None else city.sensors[index]


def _param(value: str | float | None) -> str | float | None:
    return finite(value) if isinstance(value, float) else value


def alarm(city: City, one: Alarm) -> AlarmOut:
    """An alarm with the unit and place of its sensor (the bare id where the city no longer has it)."""
    sensor = _sensor(city, one.sensor_id)
    place = Names.of(sensor.place) if sensor else Names(zh=one.sensor_id, en=one.sensor_id)
    return AlarmOut(
        id=one.id,
        sensor=one.sensor_id,
        quantity=sensor.quantity if sensor else "",
        unit=sensor.unit if sensor else "",
        place=place,
        condition=one.condition,
        nature=one.nature,
        severity=one.severity,
        state=one.state,
        raised_at=isoformat(one.raised_us),
        cleared_at=moment(one.cleared_us),
        acknowledged_at=moment(one.acknowledged_us),
        acknowledged_by=one.acknowledged_by,
        since=isoformat(one.since_us),
        decided_by_reading_at=isoformat(one.at_us),
        value=finite(one.value),
        expected_low=finite(one.expected_low),
        expected_high=finite(one.expected_high),
        score=finite(one.score),
        detector=one.detector,
        reason=ReasonOut(
            key=one.reason.key,
            params={name: _param(value) for name, value in one.reason.params.items()},
            text=Names.of(reason_text(one.reason, sensor.quantity if sensor else "")),
        ),
        event=one.event_id,
        ticket=one.ticket_id,
    )


def trail_entry(entry: TrailEntry) -> TrailOut:
    """An entry of the trail."""
    return TrailOut(
        id=entry.id,
        at=isoformat(entry.at_us),
        actor=entry.actor,
        action=entry.action,
        subject=entry.subject,
        subject_id=entry.subject_id,
        detail=dict(entry.detail),
    )


def event(city: City, one: GridEvent) -> EventOut:
    """A grid event with the names of the people and places in it."""
    return EventOut(
        id=one.id,
        code=one.code,
        category=one.category,
        severity=one.severity,
        state=one.state,
        grid=_grid(city, one.grid),
        longitude=one.lon,
        latitude=one.lat,
        place=Names.of(one.place),
        opened_at=isoformat(one.opened_us),
        started_at=isoformat(one.started_us),
        line=[person(who) for who in one.line],
        department=_department(city, one.department),
        over=one.over,
        acknowledged_at=moment(one.acknowledged_us),
        acknowledged_by=one.acknowledged_by,
        closed_at=moment(one.closed_us),
        closed_by=one.closed_by,
    )


def event_detail(city: City, one: GridEvent, trail: list[TrailEntry]) -> EventDetail:
    """A grid event with its alarms and trail."""
    return EventDetail(
        **dict(event(city, one)),
        alarms=[alarm(city, entry) for entry in one.alarms],
        trail=[trail_entry(entry) for entry in trail],
    )


def ticket(city: City, one: FaultTicket) -> TicketOut:
    """A fault ticket with what its sensor measures and where."""
    sensor = _sensor(city, one.sensor_id)
    return TicketOut(
        id=one.id,
        code=one.code,
        sensor=one.sensor_id,
        quantity=sensor.quantity if sensor else "",
        unit=sensor.unit if sensor else "",
        place=Names.of(sensor.place) if sensor else Names(zh=one.sensor_id, en=one.sensor_id),
        grid=_grid(city, one.grid),
        state=one.state,
        opened_at=isoformat(one.opened_us),
        due_at=isoformat(one.due_us),
        line=[person(who) for who in one.line],
        over=one.over,
        acknowledged_at=moment(one.acknowledged_us),
        acknowledged_by=one.acknowledged_by,
        closed_at=moment(one.closed_us),
        closed_by=one.closed_by,
    )


def ticket_detail(city: City, one: FaultTicket) -> TicketDetail:
    """A fault ticket with its alarms."""
    return TicketDetail(**dict(ticket(city, one)), alarms=[alarm(city, entry) for entry in one.alarms])


def sensor(one: Sensor, last: LastValues) -> SensorOut:
    """A sensor with its last good reading."""
    at_us = int(last.event_us[one.index])
    return SensorOut(
        id=one.id,
        kind=one.kind,
        quantity=one.quantity,
        unit=one.unit,
        longitude=one.lon,
        latitude=one.lat,
        place=Names.of(one.place),
        grid=one.grid,
        device=one.device,
        interval_seconds=one.interval_s,
        last_value=finite(float(last.value[one.index])) if at_us else None,
        last_at=isoformat(at_us) if at_us else None,
        silent=bool(last.silent[one.index]),
        clock_offset_seconds=finite(round(float(last.offset_s[one.index]), 1)),
    )


def sensor_detail(city: City, one: Sensor, last: LastValues) -> SensorDetail:
    """A sensor with its owner, calibration and limits."""
    limits = [
        LimitOut(
            side=limit.side,
            severity=limit.severity,
            threshold=limit.threshold,
            clear_at=limit.clear_at,
            source=limit.source,
        )
        for limit in city.limits.of(one.id, one.quantity)
    ]
    calibrated = one.calibrated_on.isoformat() if one.calibrated_on else None
    return SensorDetail(**dict(sensor(one, last)), owner=one.owner, calibrated_on=calibrated, limits=limits)
