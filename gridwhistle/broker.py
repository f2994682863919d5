"""A broker for a machine that has none: Mosquitto where it is installed, else amqtt, on a free loopback port."""

import asyncio
import contextlib
import shutil
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from config.errors import RetryableError

START_PATIENCE_S = 20.0
END_PATIENCE_S = 5.0


def free_port() -> int:
    """A loopback TCP port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def is_free(port: int) -> bool:
    """Whether a loopback TCP port can be listened on just now."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
            probe.listen()
        except OSError:
            return False
        return True


def broker_command(folder: Path, port: int) -> tuple[str, list[str]]:
    """Name of the broker and the command that starts it, its configuration written into the folder."""
    mosquitto = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin:/usr/local/sbin")
    if mosquitto:
        configuration = folder / "mosquitto.conf"
        configuration.write_text(
            f"listener {port} 127.0.0.1\nallow_anonymous true\n"
            "max_queued_messages 1000000\nmax_inflight_messages 1000\n"
        )
        return "mosquitto", [mosquitto, "-c", str(configuration)]
    configuration = folder / "amqtt.yaml"
    configuration.write_text(
        f"listeners:\n  default:\n    type: tcp\n    bind: 127.0.0.1:{port}\n"
        "plugins:\n  amqtt.plugins.authentication.AnonymousAuthPlugin:\n    allow_anonymous: true\n"
    )
    return "amqtt", [str(Path(sys.executable).with_name("amqtt")), "-c", str(configuration)]


@asynccontextmanager
async def bare_broker(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """Run a broker inside the block; yields its name and port. For demonstrations, not for a city.

    Raises RetryableError where it ends at once or does not listen in time; its log is in the folder.
    """
    port = free_port()
    name, command = broker_command(folder, port)
    with (folder / "broker.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, stdout=log, stderr=log, cwd=folder)
    try:
        await _listening(name, port, process, folder / "broker.log")
        yield name, port
    finally:
        await _end(process)


async def _end(process: asyncio.subprocess.Process) -> None:
    for ask in (process.terminate, process.kill):
        if process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):  # Ctrl-C in a terminal reaches the broker as well
            ask()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), END_PATIENCE_S)


async def _listening(name: str, port: int, process: asyncio.subprocess.Process, log: Path) -> None:
    try:
        async with asyncio.timeout(START_PATIENCE_S):
            while process.returncode is None:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                return
    except TimeoutError:
        raise RetryableError(f"{name} does not listen on port {port} after {START_PATIENCE_S:.0f} s") from None
    why = await asyncio.to_thread(log.read_text, errors="replace")
    raise RetryableError(f"{name} ended at once: {why[-500:]}")
