"""Tables, migrations and statements of the history, by SQLAlchemy Core; imported off the start path."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import sqlite
from sqlalchemy.pool import StaticPool

from gateway.inspection import Finding, Inspection, Trigger
from protocols.signals import Judgement
from protocols.tags import recorded, records

METADATA = sa.MetaData()

RUN = sa.Table(
    "run",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("boot_id", sa.Integer, nullable=False),
    sa.Column("started_utc", sa.Float, nullable=False),
)
"""One row for each start of the gateway: BOOT_ID has 16 bits and comes again, the run's number does not."""

INSPECTION = sa.Table(
    "inspection",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.Integer, nullable=False),
    sa.Column("boot_id", sa.Integer, nullable=False),
    sa.Column("station", sa.Text, nullable=False),
    sa.Column("cycle", sa.Integer, nullable=False),
    sa.Column("trigger_seq", sa.Integer, nullable=False),
    sa.Column("by_bit", sa.Boolean, nullable=False),
    sa.Column("part_id", sa.Integer, nullable=False),
    sa.Column("serial", sa.Text, nullable=False),
    sa.Column("user", sa.JSON, nullable=False),
    sa.Column("accepted_utc", sa.Float),
    sa.Column("recipe", sa.Integer, nullable=False),
    sa.Column("recipe_name", sa.Text),
    sa.Column("model_crc", sa.Integer),
    sa.Column("result_seq", sa.Integer),
    sa.Column("judgement", sa.Integer),  # null: the inspection is open
    sa.Column("reason", sa.Integer),
    sa.Column("rule", sa.Text),
    sa.Column("score", sa.Float),
    sa.Column("checks", sa.Integer),
    sa.Column("values", sa.JSON),
    sa.Column("findings", sa.JSON),
    sa.Column("detail", sa.Text),
    sa.Column("total_s", sa.Float),
    sa.Column("grab_s", sa.Float),
    sa.Column("infer_s", sa.Float),
    sa.Column("exposed_utc", sa.Float),
    sa.Column("simulated", sa.Boolean),
    sa.Column("tags", sa.JSON),  # since version 2; null: none are recorded
    sa.Column("provider", sa.Text),  # since version 3
    sa.Index("inspection_cycle", "station", "run", "cycle", unique=True),
    sa.Index("inspection_open", "id", sqlite_where=sa.text("judgement IS NULL")),
)

_KEY = ("station", "run", "cycle")


def _first_tables(connection: sa.Connection) -> None:
    METADATA.create_all(connection, checkfirst=False)


def _column(name: str, kind: str) -> Callable[[sa.Connection], None]:
    """A new column; a new data base has it already, as `_first_tables` makes what METADATA says."""

    def add(connection: sa.Connection) -> None:
        if name not in {column["name"] for column in sa.inspect(connection).get_columns(INSPECTION.name)}:
            connection.exec_driver_sql(f"ALTER TABLE inspection ADD COLUMN {name} {kind}")

    return add


MIGRATIONS: tuple[Callable[[sa.Connection], None], ...] = (
    _first_tables,
    _column("tags", "JSON"),
    _column("provider", "TEXT"),
)
_SINCE = {"tags": 2, "provider": 3}
"""Columns that older files have not."""
"""Step n takes a data base from version n to n + 1; never change one that was released."""
VERSION = len(MIGRATIONS)


def _sql(statement: sa.ClauseElement) -> str:
    """The statement's text for the driver, parameters by name: Core's own execution costs more than the commit."""
    return str(statement.compile(dialect=sqlite.dialect(paramstyle="named")))


def _upsert(columns: Iterable[str], *, overwrite: bool) -> str:
    names = list(columns)
    insert = sqlite.insert(INSPECTION).values({name: sa.bindparam(name, type_=sa.Text()) for name in names})
    if not overwrite:
        return _sql(insert.on_conflict_do_nothing(index_elements=_KEY))
    changed = {name: insert.excluded[name] for name in names if name not in _KEY}
    return _sql(insert.on_conflict_do_update(index_elements=_KEY, set_=changed))


_TRIGGER_COLUMNS = (
    "run", "boot_id", "station", "cycle", "trigger_seq", "by_bit",
    "part_id", "serial", "user", "accepted_utc", "recipe", "tags",
)  # fmt: skip
ACCEPT = _upsert(_TRIGGER_COLUMNS, overwrite=False)
COMMIT = _upsert((column.name for column in INSPECTION.columns if column.name != "id"), overwrite=True)
PRUNE = _sql(
    sa.delete(INSPECTION).where(
        INSPECTION.c.id < sa.select(sa.func.min(INSPECTION.c.id)).scalar_subquery() + sa.bindparam("batch"),
        sa.or_(
            INSPECTION.c.id <= sa.select(sa.func.max(INSPECTION.c.id)).scalar_subquery() - sa.bindparam("rows"),
            INSPECTION.c.accepted_utc < sa.bindparam("before"),
        ),
    )
)
"""Deletes among the `batch` oldest rows those beyond the newest `rows`, and those from before `before` (null: none)."""


def connect(creator: Callable[[], Any]) -> sa.Engine:
    """An engine on the one connection that `creator` makes; transactions are begun and ended by the caller."""
    return sa.create_engine("sqlite://", creator=creator, poolclass=StaticPool)


def _text(value: str) -> str:
    """`value`, storable: a PLC may send half a surrogate pair, and one bad byte must not cost the row."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def _json(value: Any) -> str:
    """JSON text; numbers that JSON does not know become null."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        return json.dumps(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {key: _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value


def trigger_row(run: int, boot_id: int, station: str, trigger: Trigger, recipe: int) -> dict[str, Any]:
    """The columns that are known when a trigger is accepted."""
    return {
        "run": run,
        "boot_id": boot_id,
        "station": station,
        "cycle": trigger.cycle,
        "trigger_seq": trigger.trigger_seq,
        "by_bit": trigger.by_bit,
        "part_id": trigger.part_id,
        "serial": _text(trigger.serial),
        "user": _json(trigger.user),
        "accepted_utc": trigger.utc,
        "recipe": recipe,
        "tags": _json(records(trigger.tags, trigger.accepted)) if trigger.tags else None,
    }


def inspection_row(run: int, boot_id: int, inspection: Inspection) -> dict[str, Any]:
    """All columns of a finished inspection; its own boot_id counts where it has one."""
    row = trigger_row(run, inspection.boot_id or boot_id, inspection.station, inspection.trigger, inspection.recipe)
    row.update(
        recipe_name=_text(inspection.recipe_name),
        model_crc=inspection.model_crc,
        provider=_text(inspection.provider),
        result_seq=inspection.result_seq,
        judgement=int(inspection.judgement),
        reason=int(inspection.reason),
        rule=_text(inspection.rule),
        score=inspection.score,  # SQLite keeps NaN as null
        checks=inspection.checks,
        values=_json(inspection.values),
        findings=_json([_item(finding) for finding in inspection.findings]),
        detail=_text(inspection.detail),
        total_s=inspection.total,
        grab_s=inspection.grab,
        infer_s=inspection.infer,
        exposed_utc=inspection.exposed_utc,
        simulated=inspection.simulated,
    )
    return row


def _number(value: float | None) -> float:
    return math.nan if value is None else value


_DETAILS: tuple[tuple[str, Any], ...] = (
    ("outline", ()),
    ("points", ()),
    ("angle", None),
    ("text", ""),
    ("value", None),
)
"""What few findings have, and what stands for none."""


_NO_DETAILS: dict[str, Any] = {"outline": (), "points": (), "angle": None, "text": "", "value": None}
"""What few findings have, as it is where they have it not."""


def _item(finding: Finding) -> dict[str, Any]:
    details = {name: value for name, none in _NO_DETAILS.items() if (value := getattr(finding, name)) != none}
    if finding.text:
        details["text"] = _text(finding.text)
    return {"label": finding.label, "score": finding.score, "box": finding.box, **details}


def _finding(item: dict[str, Any]) -> Finding:
    x1, y1, x2, y2 = (_number(edge) for edge in item["box"])
    plain = Finding(item["label"], _number(item["score"]), (x1, y1, x2, y2))
    if len(item) == 3:
        return plain
    return replace(
        plain,
        outline=tuple((_number(x), _number(y)) for x, y in item.get("outline", ())),
        points=tuple((_number(x), _number(y), _number(score)) for x, y, score in item.get("points", ())),
        angle=_number(item["angle"]) if "angle" in item else None,
        text=item.get("text", ""),
        value=_number(item["value"]) if "value" in item else None,
    )


def inspection_of(row: sa.RowMapping) -> Inspection:
    """The record of a row; judgement NONE while it is open. Monotonic times are not kept and read 0."""
    trigger = Trigger(
        cycle=row["cycle"],
        trigger_seq=row["trigger_seq"],
        part_id=row["part_id"],
        serial=row["serial"],
        user=tuple(row["user"]),
        utc=_number(row["accepted_utc"]),
        by_bit=row["by_bit"],
        tags=recorded(row["tags"] or {}),
    )
    if row["judgement"] is None:
        return Inspection(row["station"], trigger, Judgement.NONE, 0, 0, row["recipe"], boot_id=row["boot_id"])
    return Inspection(
        station=row["station"],
        trigger=trigger,
        judgement=Judgement(row["judgement"]),
        reason=row["reason"],
        result_seq=row["result_seq"],
        recipe=row["recipe"],
        recipe_name=row["recipe_name"],
        model_crc=row["model_crc"],
        provider=row["provider"] or "",
        score=_number(row["score"]),
        rule=row["rule"],
        checks=row["checks"],
        values=tuple(_number(value) for value in row["values"]),
        findings=tuple(_finding(item) for item in row["findings"]),
        detail=row["detail"],
        total=_number(row["total_s"]),
        grab=_number(row["grab_s"]),
        infer=_number(row["infer_s"]),
        exposed_utc=_number(row["exposed_utc"]),
        simulated=row["simulated"],
        boot_id=row["boot_id"],
    )


def newest(
    connection: sa.Connection, limit: int, station: str | None = None, version: int = VERSION
) -> list[Inspection]:
    """The newest rows, newest first, of one station or of all; `version` is that of the file."""
    query = _select(version).limit(limit)
    if station is None:
        query = query.order_by(INSPECTION.c.id.desc())
    else:  # by the unique index
        query = query.where(INSPECTION.c.station == station)
        query = query.order_by(INSPECTION.c.run.desc(), INSPECTION.c.cycle.desc())
    return [inspection_of(row) for row in connection.execute(query).mappings()]


def _select(version: int) -> sa.Select[Any]:
    """All columns; those that a file of this version has not yet are null."""
    missing = {name for name, since in _SINCE.items() if version < since}
    there = (column for column in INSPECTION.columns if column.name not in missing)
    return sa.select(*there, *(sa.null().label(name) for name in sorted(missing)))


def open_rows(connection: sa.Connection) -> list[tuple[int, Inspection]]:
    """Inspections without an outcome, oldest first, each with the number of its run."""
    query = sa.select(INSPECTION).where(INSPECTION.c.judgement.is_(None)).order_by(INSPECTION.c.id)
    return [(row["run"], inspection_of(row)) for row in connection.execute(query).mappings()]


def stations(connection: sa.Connection) -> list[str]:
    """The names of all stations, one step in the index for each: a DISTINCT would read every row."""
    names: list[str] = []
    step = sa.select(sa.func.min(INSPECTION.c.station))
    name = connection.scalar(step)
    while name is not None:
        names.append(name)
        name = connection.scalar(step.where(INSPECTION.c.station > name))
    return names


def begin_run(connection: sa.Connection, boot_id: int, utc: float) -> int:
    """Number of the new run, one more than any before."""
    inserted = connection.execute(sa.insert(RUN).values(boot_id=boot_id, started_utc=utc))
    key = inserted.inserted_primary_key
    return int(key[0]) if key is not None else 0


def has_run(connection: sa.Connection, run: int, boot_id: int) -> bool:
    """Whether this run began in this very file."""
    return connection.scalar(sa.select(RUN.c.boot_id).where(RUN.c.id == run)) == boot_id


def user_version(connection: sa.Connection) -> int:
    """The version of the schema in the file; 0 = none yet."""
    return int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def migrate(connection: sa.Connection, version: int) -> None:
    """Take the steps from `version` to VERSION; the caller holds the transaction."""
    for step in MIGRATIONS[version:]:
        step(connection)
    connection.exec_driver_sql(f"PRAGMA user_version = {VERSION}")


def has_tables(connection: sa.Connection) -> bool:
    """Whether there is any table, ours or foreign."""
    return bool(connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar_one())
