"""Every detector of the registry passes the conformance suite, alone with the ones it builds on and all together."""

from collections.abc import Sequence

import pytest

from detectors.bank import Column, Columns, Detector, Round
from detectors.checks import CHECKS, CheckError, Maker, Stream, trouble
from detectors.engine import Engine
from detectors.model import Condition, Verdict
from detectors.registry import DETECTORS, bank
from detectors.stuck import Stuck
from tests.detectors.build import city

QUANTITIES = ["pm25"] * 4 + ["temperature"] * 3 + ["ch4", "o2", "tilt", "noise", "people", "smoke_score"]


def makers() -> dict[str, Maker]:
    town = city(QUANTITIES)
    names = list(DETECTORS)
    return {
        name: lambda upto=place + 1: Engine(town, bank(town)[:upto])  # type: ignore[misc]  # bound by its default
        for place, name in enumerate(names)
    }


@pytest.fixture(scope="module")
def stream() -> Stream:
    return trouble(city(QUANTITIES), 100)


@pytest.mark.parametrize("check", CHECKS)
@pytest.mark.parametrize("name", DETECTORS)
def test_every_detector_keeps_every_promise(name: str, check: str, stream: Stream) -> None:
    CHECKS[check](makers()[name], stream)


def test_the_stream_of_trouble_raises_every_condition_that_readings_can_raise(stream: Stream) -> None:
    engine = Engine(city(QUANTITIES))
    raised = {verdict.condition for batch in stream for verdict in engine.process(batch, 0)}
    assert raised >= {condition for detector in engine.bank for condition in detector.conditions} - {Condition.LOW}


def test_every_name_of_the_registry_is_the_detectors_own() -> None:
    assert [detector.name for detector in bank(city(["pm25"]))] == list(DETECTORS)


class _Twice(Stuck):
    """Says everything twice."""

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        return [*(told := super().judge(state, shared, readings)), *told]


class _Forgetful(Stuck):
    """Keeps state where no snapshot finds it."""

    seen = 0

    def columns(self) -> dict[str, Column]:
        return {**super().columns(), "odd": Column("f4")}

    def judge(self, state: Columns, shared: Columns, readings: Round) -> Sequence[Verdict]:
        self.seen += 1
        state["odd"][:] = self.seen
        return super().judge(state, shared, readings)


@pytest.mark.parametrize(("broken", "check"), [(_Twice, "each_condition_once"), (_Forgetful, "survives_restart")])
def test_a_detector_that_breaks_a_promise_is_caught(broken: type[Stuck], check: str, stream: Stream) -> None:
    town = city(QUANTITIES)

    def make() -> Engine:
        detectors: list[Detector] = [broken(town)]
        return Engine(town, detectors)

    with pytest.raises(CheckError):
        CHECKS[check](make, stream)
