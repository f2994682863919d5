"""Recordings of real sensors, one adapter per family of files. A new family is one file and one entry here."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from sensors_sim.recordings.air_beijing import AirBeijing
from sensors_sim.recordings.faults_intel import FaultsIntel
from sensors_sim.recordings.model import Adapter, Recording, RecordingError
from sensors_sim.recordings.people_melbourne import PeopleMelbourne
from sensors_sim.recordings.rows import header

ADAPTERS: Mapping[str, Adapter] = MappingProxyType(
    {
        "air_beijing": AirBeijing(),
        "people_melbourne": PeopleMelbourne(),
        "faults_intel": FaultsIntel(),
    }
)
"""Every adapter by its name."""


def adapter_for(files: Sequence[Path], name: str | None = None) -> tuple[str, Adapter]:
    """The adapter of some files, by its name or by what stands in the files' first lines.

    Raises RecordingError for no files, an unknown name, a file no adapter knows, or files of several families;
    it lists the adapters and what was found.
    """
    if not files:
        raise RecordingError("no recording given, expected at least one file")
    if name is not None:
        if name not in ADAPTERS:
            raise RecordingError(f"no adapter is called {name!r}, there are: {', '.join(ADAPTERS)}")
        return name, ADAPTERS[name]
    families = {path: _family(path) for path in files}
    if len(set(families.values())) > 1:
        found = "; ".join(f"{path}: {family}" for path, family in families.items())
        raise RecordingError(f"files of several families cannot be replayed together: {found}")
    family = families[files[0]]
    return family, ADAPTERS[family]


def _family(path: Path) -> str:
    columns = header(path)
    for name, adapter in ADAPTERS.items():
        for asked in (adapter.header, adapter.companion):
            if asked and asked <= set(columns):
                return name
    known = "; ".join(f"{name} ({', '.join(sorted(adapter.header))})" for name, adapter in ADAPTERS.items())
    raise RecordingError(f"{path}: no adapter knows the columns {', '.join(columns)[:300]}; there are: {known}")


def read_recording(files: Sequence[Path], name: str | None = None) -> Recording:
    """All readings of some files, merged, in order of time. Raises RecordingError, OSError."""
    return adapter_for(files, name)[1].read(files)
