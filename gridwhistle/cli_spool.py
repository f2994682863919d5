"""``gridwhistle spool``: what waits on disk between broker and store, to be looked at and to be sent again."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import msgspec
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from config.clock import US_PER_SECOND, isoformat
from config.errors import ConfigurationError
from config.quantities import QUANTITIES
from config.texts import text
from config.vocabulary import Language
from ingest.model import Quality
from ingest.spool_reader import SegmentSummary, Spooled, SpoolReader, spool_folders
from ingest.spool_segments import Damage
from sensors_sim.publish import Broker, Publisher
from sensors_sim.wire import READINGS_TOPIC, Message

spool_app = typer.Typer(
    name="spool",
    help="Look at what waits on disk between broker and store, and send it again. Works beside a running daemon.",
    no_args_is_help=True,
)

PathArgument = Annotated[Path, typer.Argument(help="A spool's folder, or the daemon's data_dir.")]
FromOption = Annotated[int, typer.Option("--from", min=0, help="First record, by its number.")]
ToOption = Annotated[int | None, typer.Option("--to", min=0, help="Record before which to end.")]
LanguageOption = Annotated[Language, typer.Option("--language", help="Language of what is printed.")]

_WIDE = 160
_ON_THE_WIRE = {
    Quality.SIMULATED: "simulated",
    Quality.DOUBTFUL: "doubtful",
    Quality.RETAINED: "doubtful",  # what was, not what is: sent again it must not be judged either
}


@spool_app.command("ls")
def ls(path: PathArgument, language: LanguageOption = Language.ZH) -> None:
    """List the files: records, readings, bytes, times, damage. Exit code 1 where anything is damaged."""
    terminal = Console(highlight=False, soft_wrap=True)
    out = terminal if terminal.is_terminal else Console(highlight=False, width=_WIDE)
    damaged = False
    for folder in spool_folders(path):
        summaries = list(SpoolReader(folder).segments())
        damaged |= any(one.damage for one in summaries)
        total = {
            "folder": folder,
            "files": len(summaries),
            "records": f"{sum(one.records for one in summaries):,}",
            "readings": f"{sum(one.readings for one in summaries):,}",
            "bytes": f"{sum(one.bytes for one in summaries):,}",
        }
        terminal.print(escape(text("spool.total", language, total)))
        out.print(_table(summaries, language))
    if damaged:
        raise SystemExit(1)


def _table(summaries: list[SegmentSummary], language: Language) -> Table:
    table = Table()
    for key in ("file", "first", "records", "readings", "bytes", "begin", "end", "state"):
        table.add_column(
            text(f"spool.{key}", language),
            justify="right" if key in {"first", "records", "readings", "bytes"} else "left",
            overflow="fold",
        )
    for one in summaries:
        numbers = (f"{number:,}" for number in (one.first, one.records, one.readings, one.bytes))
        times = (isoformat(time_us) if one.records else "-" for time_us in (one.begin_us, one.end_us))
        table.add_row(one.path.name, *numbers, *times, escape(_state(one, language)))
    return table


def _state(one: SegmentSummary, language: Language) -> str:
    if one.damage:
        return "\n".join(text("spool.damaged", language, _shown(damage)) for damage in one.damage)
    if one.unfinished:
        return text("spool.unfinished", language, {"bytes": f"{one.unfinished:,}"})
    return text("spool.good", language)


def _shown(damage: Damage) -> dict[str, object]:
    last = damage.begin if damage.end is None else max(damage.begin, damage.end - 1)
    return {"offset": damage.offset, "bytes": damage.length, "begin": damage.begin, "end": last}


@spool_app.command("cat")
def cat(
    path: PathArgument,
    begin: FromOption = 0,
    end: ToOption = None,
    sensor: Annotated[
        str | None, typer.Option("--sensor", help="Only the readings of the sensor with this id.")
    ] = None,
    language: LanguageOption = Language.ZH,
) -> None:
    """Print records as JSON lines, values in the kept unit. Exit code 1 where anything is damaged."""
    damaged = False
    for found in SpoolReader(_one_folder(path, language)).records(begin, end):
        if isinstance(found, Damage):
            damaged = True
            line: dict[str, object] = {"damage": {"file": str(found.path), **_shown(found)}}
        else:
            line = _line(found, sensor)
            if sensor is not None and not line["readings"] and not line["refused"]:
                continue
        typer.echo(msgspec.json.encode(line).decode("utf-8"))
    if damaged:
        raise SystemExit(1)


def _line(found: Spooled, sensor: str | None) -> dict[str, object]:
    """A record for a reader of JSON."""
    record, ids = found.record, found.sensors.ids
    received = record.admission.batch.received_us.tolist()
    refused = [(ids[one.sensor], one) for one in record.admission.refused if one.sensor < len(ids)]
    return {
        "position": record.position,
        "decided": isoformat(record.decided_us),
        "readings": [
            reading | {"received": isoformat(received[row])} for row, reading in _readings(found, sensor, plainly=True)
        ],
        "refused": [
            {"id": name, "reason": one.reason.value, "found": one.found, "expected": one.expected}
            for name, one in refused
            if sensor in {None, name}
        ],
        "clock_stepped_back": [ids[row] for row in record.admission.stepped if row < len(ids)],
    }


def _readings(found: Spooled, sensor: str | None, *, plainly: bool) -> Iterator[tuple[int, dict[str, object]]]:
    """Readings with their rows, in the native format; plainly: with every quality by its own name."""
    admission, ids, quantities = found.record.admission, found.sensors.ids, found.sensors.quantities
    batch = admission.batch
    columns = (batch.sensor, admission.given_us, batch.value, batch.quality)
    for row, (number, time_us, value, quality) in enumerate(zip(*(one.tolist() for one in columns), strict=True)):
        if sensor not in {None, ids[number]}:
            continue
        reading: dict[str, object] = {"id": ids[number], "t": time_us / US_PER_SECOND, "v": value}
        if quantities[number] in QUANTITIES:
            reading["u"] = QUANTITIES[quantities[number]].unit
        mark = Quality(quality).name.lower() if plainly else _ON_THE_WIRE.get(Quality(quality))
        if mark not in {None, "good"}:
            reading["q"] = mark
        yield row, reading


@spool_app.command("replay")
def replay(  # noqa: PLR0917 - the parameters of a command are its options
    path: PathArgument,
    begin: FromOption = 0,
    end: ToOption = None,
    host: Annotated[str, typer.Option("--host", help="Name or address of the broker.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", help="Port of the broker.")] = 1883,
    username: Annotated[str | None, typer.Option("--username", help="User name at the broker.")] = None,
    password: Annotated[
        str | None, typer.Option("--password", envvar="GRIDWHISTLE_MQTT__PASSWORD", help="Password at the broker.")
    ] = None,
    topic: Annotated[str, typer.Option("--topic", help="Topic to publish to.")] = f"{READINGS_TOPIC}/replayed",
    pack: Annotated[int, typer.Option("--pack", min=1, help="Most readings in one message.")] = 100,
    language: LanguageOption = Language.ZH,
) -> None:
    """Publish the readings again at QoS 1, in the native format, with the times their devices gave them.

    A daemon that has them already refuses them as duplicates, except those that came with a sequence number, which is
    not kept. Exit code 1 where anything is damaged.
    """
    damaged = False
    counts: Counter[str] = Counter()
    with Publisher(Broker(host, port, username, password)) as publisher:
        for found in SpoolReader(_one_folder(path, language)).records(begin, end):
            if isinstance(found, Damage):
                damaged = True
                _tell(found, language)
                continue
            readings = [reading for _, reading in _readings(found, None, plainly=False)]
            known = [reading for reading in readings if "u" in reading]
            for first in range(0, len(known), pack):
                part = known[first : first + pack]
                publisher.publish(Message(topic, msgspec.json.encode(part), len(part)))
            counts.update(records=1, readings=len(known), skipped=len(readings) - len(known))
        publisher.drain()
    params = {name: f"{counts[name]:,}" for name in ("records", "readings", "skipped")}
    typer.echo(text("spool.replayed", language, params))
    if damaged:
        raise SystemExit(1)


def _tell(damage: Damage, language: Language) -> None:
    typer.echo(f"{damage.path}: {text('spool.damaged', language, _shown(damage))}", err=True)


def _one_folder(path: Path, language: Language) -> Path:
    """The only spool at a path. Raises ConfigurationError where there are several."""
    folders = spool_folders(path)
    if len(folders) > 1:
        names = ", ".join(str(folder) for folder in folders)
        raise ConfigurationError(text("spool.choose", language, {"path": path, "folders": names}))
    return folders[0]
