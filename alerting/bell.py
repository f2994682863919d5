"""Tells readers in the event loop that the trail has grown."""

import asyncio


class Bell:
    """Rings whenever the trail has grown. Make it inside the running loop; ``ring`` may be called from any thread."""

    def __init__(self, last_trail_id: int = 0) -> None:
        self._last = last_trail_id
        self._loop = asyncio.get_running_loop()
        self._grown = asyncio.Event()

    def ring(self, trail_id: int) -> None:
        """The trail reaches to this id now. Older ids than the newest known change nothing."""
        if not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._ring, trail_id)

    def _ring(self, trail_id: int) -> None:
        if trail_id > self._last:
            self._last = trail_id
            # Whoever waits holds the old event; who comes later waits for the next one.
            self._grown.set()
            self._grown = asyncio.Event()

    async def wait(self, after: int, timeout_s: float) -> int:
        """Return the newest trail id as soon as it is greater than ``after``, or after timeout_s whatever it is."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._last <= after:
                    await self._grown.wait()
        except TimeoutError:
            pass
        return self._last
