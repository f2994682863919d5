"""What a persistent session was asked for, kept over restarts: a broker goes on sending what nobody took back."""

import os
from collections.abc import Sequence
from pathlib import Path

import msgspec
import structlog

_log = structlog.get_logger(__name__)


class SubscriptionMemory:
    """The topic filters that the broker may still hold for our session, in a file; without a path in memory only.

    A file that cannot be read or written is told to the log: readings come all the same.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._held = self._read()

    def _read(self) -> list[str]:
        if self._path is None:
            return []
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=list[str])
        except FileNotFoundError:
            return []
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError) as error:
            _log.warning("mqtt_subscriptions_unreadable", file=str(self._path), why=str(error))
            return []

    def gone(self, wanted: Sequence[str]) -> list[str]:
        """What the broker may hold and nobody wants any more."""
        return [name for name in self._held if name not in wanted]

    def asked(self, wanted: Sequence[str]) -> None:
        """Note what is about to be asked for, beside what may be held already."""
        self._keep([*self._held, *(name for name in wanted if name not in self._held)])

    def answered(self, wanted: Sequence[str]) -> None:
        """Note that the broker holds this and nothing else."""
        self._keep(list(dict.fromkeys(wanted)))

    def _keep(self, held: list[str]) -> None:
        if held == self._held:
            return
        self._held = held
        if self._path is None:
            return
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with fresh.open("wb") as file:
                file.write(msgspec.json.encode(held))
                file.flush()
                os.fsync(file.fileno())
            fresh.replace(self._path)
        except OSError as error:
            _log.warning("mqtt_subscriptions_not_kept", file=str(self._path), why=str(error))
