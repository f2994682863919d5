"""What several commands of the command line share: options, progress bars, and how they are stopped."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from datetime import datetime
from typing import Annotated, Self

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from config.clock import from_datetime, isoformat
from config.vocabulary import Language
from sensors_sim import publish

err = Console(stderr=True)

LanguageOption = Annotated[Language, typer.Option("--language", help="Language of what is printed.")]
HostOption = Annotated[str, typer.Option("--host", help="Name or address of the broker.")]
PortOption = Annotated[int, typer.Option("--port", help="Port of the broker.")]
SpeedOption = Annotated[
    float, typer.Option("--speed", min=0, help="Times as fast as life; 0 is as fast as the broker takes it.")
]
PackOption = Annotated[int, typer.Option("--pack", min=1, help="Most readings in one message.")]
SeedOption = Annotated[int, typer.Option("--seed", min=0, help="The same seed makes the same city day.")]
MinutesOption = Annotated[float, typer.Option("--minutes", min=1, help="Simulated minutes.")]


def until_stopped(work: Callable[[asyncio.Event], Coroutine[None, None, None]]) -> None:
    """Run until SIGINT or SIGTERM sets the event handed to ``work``; a second signal ends the process at once."""

    async def run() -> None:
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        numbers = (signal.SIGINT, signal.SIGTERM)

        def end() -> None:
            stop.set()
            for number in numbers:
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)

        for number in numbers:
            loop.add_signal_handler(number, end)
        await work(stop)

    asyncio.run(run())


def moment(value: str | None) -> int | None:
    """Microseconds of an RFC 3339 time with its zone, None for none. Raises BadParameter."""
    if value is None:
        return None
    try:
        return from_datetime(datetime.fromisoformat(value))
    except ValueError as error:
        raise typer.BadParameter(f"{value!r} is not an RFC 3339 time with its zone: {error}") from None


class Bar:
    """A progress bar for a run over event time."""

    def __init__(self) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
        self._bar = Progress(*columns, TimeElapsedColumn(), console=err, transient=True)
        self._task = self._bar.add_task("", total=1.0)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def show(self, step: publish.Progress) -> None:
        """Show how far the run has come."""
        self._bar.update(self._task, completed=step.share, description=f"{isoformat(step.time_us)}  {step.sent:,}")


async def either(playing: "asyncio.Task[object]", stop: asyncio.Event) -> None:
    """Wait for the work or for the wish to stop, whichever comes first; on that wish the program ends."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({playing, stopping}, return_when=asyncio.FIRST_COMPLETED)
    stopping.cancel()
    if not playing.done():
        playing.cancel()
        await asyncio.wait({playing})
        raise SystemExit(130)
