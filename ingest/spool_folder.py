"""A spool's folder as the system sees it: whose it is just now, and bringing it to the disk."""

import fcntl
import os
from pathlib import Path

from config.errors import ConfigurationError

LOCK = "lock"
DRAFT = ".draft"
"""Files that are being written; one left behind by a crash is worth nothing."""


class FolderLock:
    """Keeps other processes from writing to a folder. The system lets it go when the process ends, however it ends."""

    def __init__(self, folder: Path, what: str = "spool") -> None:
        """Raises ConfigurationError where another has it, or where no file can be made in the folder.

        what: the folder is, for the message.
        """
        try:
            self._handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise ConfigurationError(f"{folder}: cannot be used for the {what}: {error}") from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.release()
            raise ConfigurationError(
                f"{folder}: another process uses this {what}; each daemon needs a data_dir of its own ({error})"
            ) from error

    def release(self) -> None:
        """Let it go. A second time changes nothing."""
        handle, self._handle = self._handle, -1
        if handle >= 0:
            os.close(handle)


def make_folder(folder: Path) -> None:
    """Make a folder and what is missing above it, each name on disk when it returns. Raises OSError."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for one in reversed(missing):
        sync_folder(one.parent)


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk. Raises OSError."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_all(handle: int, data: bytes, offset: int) -> None:
    """Write all bytes at an offset. Raises OSError; some of them may then be written."""
    rest = memoryview(data)
    while rest:
        written = os.pwrite(handle, rest, offset)
        rest, offset = rest[written:], offset + written
