"""Reading series for charts without ever being in the way of the alert path."""

import asyncio
import logging
from http import HTTPStatus

from dashboard_api.ports import Readings
from dashboard_api.problems import ProblemError
from ingest.model import Series

AT_ONCE = 2
PATIENCE_S = 10.0
_log = logging.getLogger(__name__)


class SeriesDoor:
    """At most ``AT_ONCE`` series are read at once; others wait. Who waits longer than ``PATIENCE_S`` gets a 503.

    A read that nobody waits for any more still holds its place until it has really ended: it may sit in a worker
    thread, which the alert path needs too and which cannot be called back.
    """

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(AT_ONCE)

    async def read(self, readings: Readings, sensor: int, from_us: int, to_us: int, max_points: int) -> Series:
        """See ``Readings.series``. Raises ProblemError (503) where it takes too long."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                await self._places.acquire()
                reading = asyncio.ensure_future(readings.series(sensor, from_us, to_us, max_points))
                reading.add_done_callback(self._ended)
                return await asyncio.shield(reading)
        except TimeoutError as error:
            raise ProblemError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "unavailable",
                f"the readings did not come within {PATIENCE_S:g} s; try again",
                headers={"Retry-After": "5"},
            ) from error

    def _ended(self, reading: asyncio.Future[Series]) -> None:
        self._places.release()
        if not reading.cancelled() and (error := reading.exception()) is not None:
            _log.info("a series could not be read: %r", error)  # whoever still waits gets the error itself
