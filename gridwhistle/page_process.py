"""Keeps the page's process running beside the core (see ``gridwhistle/page.py``)."""

import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
from pydantic import SecretStr

from config.city import City
from config.clock import Clock, SystemClock
from config.settings import Settings
from dashboard_api.listener import listen, url_of
from gridwhistle.child import Child, kept

PROGRAM = "gridwhistle.page"
STOP_S = 8.0
"""A page that was told to end and goes on for longer is killed; it gives answers under way 5 s."""


class DeskAddress(msgspec.Struct, frozen=True):
    """Where a core is found: the socket of its desk, and the file of its last values."""

    socket: str
    latest: str


class Order(msgspec.Struct, frozen=True):
    """What a page is to serve. settings: all but the broker's. listener: number of the inherited socket."""

    settings: dict[str, Any]
    city_version: str
    listener: int
    desks: tuple[DeskAddress, ...]

    @staticmethod
    def of(settings: Settings, city_version: str, listener: int, desks: Sequence[DeskAddress]) -> "Order":
        """The order for these settings; with the store's and the ledger's secrets, which the page needs."""
        return Order(settings.model_dump(exclude={"mqtt"}), city_version, listener, tuple(desks))

    def line(self) -> bytes:
        """As one line, for the page's standard input."""
        return as_line(self)


def as_line(order: msgspec.Struct) -> bytes:
    """An order as one line, for a child's standard input; with its secrets, which the child needs."""
    return msgspec.json.encode(order, enc_hook=_plain) + b"\n"


def _plain(value: object) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def ledger_url(settings: Settings) -> str:
    """The ledger's address: as set, else SQLite in the data folder."""
    return settings.ledger.url or f"sqlite:///{(settings.data_dir / 'ledger.sqlite').resolve()}"


def kept_sensors(settings: Settings) -> Path:
    """Where the city's sensors are kept as they were read, for the next start and for the other processes."""
    return settings.data_dir / "sensors.kept"


class PageProcess(Child):
    """A page at work. url: its address, from the first moment: who comes too early waits in the socket's queue."""

    def __init__(self, url: str, order: bytes, listener: socket.socket, clock: Clock) -> None:
        super().__init__("page", PROGRAM, order, clock, stop_s=STOP_S, handles=(listener.fileno(),))
        self.url = url


@asynccontextmanager
async def page_process(
    settings: Settings, *, city: City, desks: Sequence[DeskAddress], clock: Clock | None = None
) -> AsyncIterator[PageProcess]:
    """Keep a page running while the block runs. It may not serve yet when the block begins: see Child.serving.

    desks: of all cores, with the files of their last values (``Latest.open``), which must be there. The ledger must
    have been opened before. On leaving, live feeds end at once and answers under way get some seconds. Raises
    ConfigurationError where the address cannot be listened on.
    """
    with listen(settings.dashboard.host, settings.dashboard.port) as listener:
        order = Order.of(settings, city.version, listener.fileno(), desks).line()
        page = PageProcess(url_of(listener, settings.dashboard.host), order, listener, clock or SystemClock())
        async with kept(page):
            yield page
