"""The broker restarts while readings flow: none that it acknowledged is lost, and they flow again within seconds."""

from pathlib import Path

from tests.support.broker_restarts import restarts

TIMES = 3


async def test_nothing_acknowledged_is_lost_over_restarts_of_the_broker(tmp_path: Path) -> None:
    found = await restarts(tmp_path, TIMES, print)
    assert found.stored == found.sent
    assert len(found.resumed_s) == TIMES
