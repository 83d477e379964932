"""`gateway plc export`: everything that a PLC programmer imports, from the one map and the station's configuration."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gateway import validation
from gateway.plc import l5x, plcopen, scl, sheet, st, table
from gateway.plc.family import Family, Kind
from gateway.plc.page import FILES
from gateway.plc.table import ExportError, ModbusLink, Place
from gateway.plc.variables import Times
from gateway.settings import GatewayConfig, StationConfig
from protocols.codec import WordOrder
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.server_settings import ModbusServerConfig
from protocols.signals import MAP_VERSION

MARK = "Written by `gateway plc export`"
"""Stands at the top of every file of ours; a file without it belongs to somebody else."""
_HEAD = 400
_ASCII = str.maketrans({"…": "...", "→": "-", "≠": "<>"})


@dataclass(frozen=True, slots=True)
class File:
    """One file to write, below the folder of the export."""

    path: Path
    text: str


@dataclass(frozen=True, slots=True)
class _Job:
    station: StationConfig
    link: ModbusLink
    family: Family
    rows: tuple[Place, ...]
    times: Times
    note: str


def stations(config: GatewayConfig, name: str | None) -> tuple[StationConfig, ...]:
    """The stations to export: the named one, or all that speak Modbus; raises ExportError when there is none."""
    known = [station.name for station in config.stations]
    if name is not None and name not in known:
        close = validation.nearest(name, known)
        hint = f"did you mean {close}?" if close else f"there are: {', '.join(known)}"
        raise ExportError(f"there is no station {name}; {hint}")
    if name is not None:
        return tuple(station for station in config.stations if station.name == name)
    found = tuple(s for s in config.stations if isinstance(s.link, ModbusServerConfig | ModbusClientConfig))
    if not found:
        raise ExportError("no station speaks Modbus; give one a link of kind modbus_server or modbus_client")
    return found


def files(config: GatewayConfig, family: Family, kinds: Iterable[Kind] = (), station: str | None = None) -> list[File]:
    """All files of the chosen kinds (none: what the family wants); several stations get a folder each."""
    chosen = stations(config, station)
    wanted = tuple(dict.fromkeys(kinds)) or family.files
    found = []
    for one in chosen:
        folder = Path() if len(chosen) == 1 else Path(one.name)
        job = _job(config, one, family)
        for kind in wanted:
            texts = _WRITERS[kind](job)
            found += [File(folder / name, text) for name, text in zip(FILES[kind], texts, strict=True)]
    return found


def doubts(config: GatewayConfig, family: Family, station: str | None = None) -> Iterator[str]:
    """What does not fit between the configuration and the family, or between stations; each is one sentence."""
    yield from _unlike(stations(config, station))
    for one in stations(config, station):
        if not isinstance(one.link, ModbusServerConfig | ModbusClientConfig):
            continue
        for key, ours, theirs, what in (
            ("word_order", one.link.word_order.value, family.word_order.value, "UDINT and REAL"),
            ("string_order", one.link.string_order.value, family.string_order.value, "text"),
        ):
            if ours != theirs:
                yield (
                    f"station {one.name}: its {key} is {ours}, but {family.name} keeps {what} as {theirs}; the files "
                    f"follow the configuration, the PLC's own displays will not. Set {key}: {theirs} in its link"
                )


def _unlike(chosen: Iterable[StationConfig]) -> Iterator[str]:
    """Blocks of one name, but not of one text: a PLC project has room for one of them."""
    seen: dict[tuple[WordOrder, Times], str] = {}
    for one in chosen:
        if isinstance(one.link, ModbusServerConfig | ModbusClientConfig):
            seen.setdefault((one.link.word_order, Times.of(one.cycle)), one.name)
    if len(seen) > 1:
        yield (
            f"stations {', '.join(seen.values())}: the blocks differ in word order or times under one name; "
            "do not import two of them into one PLC project, or give the stations the same word_order and cycle times"
        )


def write(found: Iterable[File], out: Path) -> list[Path]:
    """Write the files; raises ExportError before the first one when a file of somebody else is in the way."""
    targets = [(out / file.path, file.text) for file in found]
    try:
        for path, _ in targets:
            if path.exists() and not _ours(path):
                raise ExportError(
                    f"{path} was not written by `gateway plc export`; move it away or choose another --out"
                )
        for path, text in targets:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise ExportError(f"{error.filename or out}: cannot be written ({error.strerror}); check the path") from None
    return [path for path, _ in targets]


def _ours(path: Path) -> bool:
    with path.open(encoding="utf-8", errors="replace", newline="") as stream:
        head = stream.read(_HEAD)
    return MARK in head or head.startswith(",".join(table.CSV_HEAD) + "\r\n")


def _job(config: GatewayConfig, station: StationConfig, family: Family) -> _Job:
    rows = table.places(station, family)
    link = station.link
    assert isinstance(link, ModbusServerConfig | ModbusClientConfig)  # noqa: S101 - `places` has refused all others
    note = (
        f"{MARK} for station {station.name} of {config.name}: {family.name}, word order {link.word_order.value}, "
        f"map version {MAP_VERSION}. Written anew with every export: change the configuration, not this file."
    )
    return _Job(station, link, family, rows, Times.of(station.cycle), note)


def _table(job: _Job) -> tuple[str, ...]:
    head = f"<!-- {_comment(job.note)} -->"
    return _text((head, *table.markdown(job.station, job.family, job.rows))), table.csv_text(job.rows)


def _st(job: _Job) -> tuple[str, ...]:
    return (_plain((f"(* {job.note} *)", "", *st.source(job.link.word_order, job.times))),)


def _scl(job: _Job) -> tuple[str, ...]:
    return (_plain((f"// {job.note}", "", *scl.source(job.link.word_order, job.times))),)


def _gvl(job: _Job) -> tuple[str, ...]:
    return (_plain((f"(* {job.note} *)", "", *st.global_list())),)


def _plcopen(job: _Job) -> tuple[str, ...]:
    return (_text(plcopen.source(job.link.word_order, job.times, job.family.plcopen, _comment(job.note))),)


def _l5x(job: _Job) -> tuple[str, ...]:
    return (_plain(l5x.source(job.link.word_order, job.times, _comment(job.note))),)


def _sheet(job: _Job) -> tuple[str, ...]:
    return (_text(sheet.html(job.station, job.family, job.rows, _comment(job.note))),)


_WRITERS: dict[Kind, Callable[[_Job], tuple[str, ...]]] = {
    Kind.TABLE: _table,
    Kind.ST: _st,
    Kind.SCL: _scl,
    Kind.GVL: _gvl,
    Kind.PLCOPEN: _plcopen,
    Kind.L5X: _l5x,
    Kind.SHEET: _sheet,
}


def _text(lines: Iterable[str]) -> str:
    return "\n".join(lines) + "\n"


def _plain(lines: Iterable[str]) -> str:
    """ASCII: not every PLC tool reads UTF-8."""
    return _text(lines).translate(_ASCII).encode("ascii", "replace").decode("ascii")


def _comment(text: str) -> str:
    """Two hyphens end no comment of ours (XML 1.0, §2.5)."""
    return text.replace("--", "- -")
