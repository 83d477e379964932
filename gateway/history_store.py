"""The data base file of the history and its one writing connection. Synchronous: it lives in the writer thread."""

from __future__ import annotations

import dataclasses
import os
import sqlite3
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Self

from gateway.inspection import Inspection, Trigger
from protocols.faults import Code
from protocols.signals import UINT_MAX, Judgement, next_seq

if TYPE_CHECKING:
    import sqlalchemy as sa

CHECKED_BYTES = 64 << 20
"""A larger file is not read through at start: it would take seconds. Damage in it shows when it is touched."""
RECENT = 64
"""How many of a station's newest rows are searched for its last RESULT_SEQ; more are never in flight."""
UNREADABLE = (ValueError, TypeError, KeyError)
"""What a row with damaged JSON or an unknown number raises when it is read."""
BUSY_STEP = 0.002
"""Seconds between two tries to get the write lock; SQLite's own steps grow to 100 ms and miss a deadline."""
WAL_LIMIT = 16 << 20
"""Bytes kept of the write-ahead log file once it was emptied."""


class HistoryError(Exception):
    """Why the history could not be read or written: a fault code and one sentence."""

    def __init__(self, code: Code, text: str) -> None:
        super().__init__(text)
        self.code = code
        self.text = text


class HistoryRefusedError(HistoryError):
    """The data base will not be touched, however often it is tried: a person must decide."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """What a station needs to know of the runs before this one."""

    result_seq: int = 0
    """The last RESULT_SEQ given, to the interrupted ones too; 0 = none."""
    last: Inspection | None = None
    """The last trigger accepted by number, with its outcome, to show again if the PLC repeats it."""
    interrupted: tuple[Inspection, ...] = ()
    """Inspections found open, oldest first: ended as FAULT 5006 with a RESULT_SEQ of their own."""

    @property
    def trigger_seq(self) -> int:
        return 0 if self.last is None else self.last.trigger.trigger_seq

    @property
    def part_id(self) -> int:
        return 0 if self.last is None else self.last.trigger.part_id

    @property
    def serial(self) -> str:
        return "" if self.last is None else self.last.trigger.serial


@dataclass(frozen=True, slots=True)
class Accepted:
    """A row to open."""

    station: str
    trigger: Trigger
    recipe: int


def error_of(error: sqlite3.Error, path: Path) -> HistoryError:
    """The fault code and sentence for an error of SQLite."""
    primary = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if primary == sqlite3.SQLITE_FULL:
        return HistoryError(Code.DISK_FULL, f"{path}: the disk is full; free space there, writing goes on by itself.")
    if primary in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB):
        return HistoryError(Code.STORE_CORRUPT, f"{path}: the data base is damaged ({error}); it will be set aside.")
    if primary in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        text = f"{path}: another program holds the data base locked; close it (a backup tool, a data base browser)."
        return HistoryError(Code.STORE_WRITE, text)
    if primary in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM, sqlite3.SQLITE_CANTOPEN):
        text = f"{path}: cannot be written ({error}); give the gateway's user the right to write in {path.parent}."
        return HistoryError(Code.STORE_WRITE, text)
    return HistoryError(Code.STORE_WRITE, f"{path}: cannot be written ({error}); check the disk.")


def companions(path: Path) -> tuple[Path, Path, Path]:
    """The data base file with its write-ahead log and shared-memory index."""
    return path, path.with_name(f"{path.name}-wal"), path.with_name(f"{path.name}-shm")


def set_aside(path: Path) -> Path:
    """Rename a damaged data base and its companions to *.corrupt-<utc>; returns the new name."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S.%fZ")
    kept = path.with_name(f"{path.name}.corrupt-{stamp}")
    pairs = zip(companions(path), companions(kept), strict=True)
    for old, new in reversed(list(pairs)):  # the data base last: a new one must never meet the old one's log
        if old.exists():
            old.rename(new)
    return kept


class Store:
    """One open data base, one writer. Every method raises HistoryError and leaves no transaction open."""

    def __init__(self, path: Path, boot_id: int) -> None:
        self.path = path
        self.boot_id = boot_id
        self.run = 0
        self.damage: HistoryError | None = None
        """Set when a damaged data base was set aside."""
        self._raw: sqlite3.Connection | None = None
        self._engine: sa.Engine | None = None
        self._files: tuple[tuple[int, int], ...] = ()
        self._watched = tuple(str(file) for file in companions(path)[:2])
        self._condemned: HistoryError | None = None
        self._full = True

    # ── opening ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, budget: float = 0.2) -> dict[str, Recovered]:
        """Open or create the data base, end what the run before left open, begin a run; a damaged file is set aside."""
        for _ in range(2):
            if self._condemned is not None:
                self._put_aside(self._condemned)
            try:
                return self._open(budget)
            except HistoryError as error:
                self.drop()
                if error.code is not Code.STORE_CORRUPT:
                    raise
                self._condemned = error
        raise HistoryError(Code.STORE_WRITE, f"{self.path}: a new data base is damaged at once; check the disk.")

    def _put_aside(self, error: HistoryError) -> None:
        try:
            kept = set_aside(self.path)
        except OSError as cause:
            text = f"{self.path}: is damaged and cannot be renamed ({cause.strerror}); move it away by hand."
            raise HistoryError(Code.STORE_WRITE, text) from cause
        self._condemned = None
        reason = str(error.__cause__ or error)
        text = f"{self.path}: the history was damaged ({reason}) and set aside as {kept.name}; a new one was begun."
        self.damage = HistoryError(Code.STORE_CORRUPT, text)

    def condemn(self, error: HistoryError) -> None:
        """Close a data base found damaged; the next opening sets it aside."""
        self._condemned = error
        self.drop()

    def _open(self, budget: float) -> dict[str, Recovered]:
        from gateway import history_schema as schema

        with self._errors():
            self.path.parent.mkdir(parents=True, exist_ok=True)
            if self.path.is_file() and self.path.stat().st_size == 0:
                raise HistoryError(Code.STORE_CORRUPT, "the file is empty")
            raw = sqlite3.connect(self.path, timeout=budget, isolation_level=None, check_same_thread=True)
        self._raw = raw
        self._engine = schema.connect(lambda: raw)
        with self._errors():
            with self._engine.connect() as connection:
                version = self._version(schema, connection)
                self._prepare(raw)
                self._begin(raw, budget)
                schema.migrate(connection, version)
                if not schema.has_run(connection, self.run, self.boot_id):
                    self.run = schema.begin_run(connection, self.boot_id, time.time())
                try:
                    recovered = self._recover(schema, connection, raw)
                except UNREADABLE as error:
                    raise HistoryError(Code.STORE_CORRUPT, f"a row cannot be read: {error!r}") from error
                raw.execute("COMMIT")
            raw.execute("PRAGMA busy_timeout = 0")
        self._files = self._identity()
        return recovered

    def _prepare(self, raw: sqlite3.Connection) -> None:
        mode = raw.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        if mode != "wal":
            text = f"{self.path}: this file system cannot keep a write-ahead log; put data_dir on a local disk."
            raise HistoryRefusedError(Code.STORE_WRITE, text)
        self._full = True
        for pragma in ("synchronous = FULL", "wal_autocheckpoint = 0", f"journal_size_limit = {WAL_LIMIT}"):
            raw.execute(f"PRAGMA {pragma}")
        if self.path.stat().st_size <= CHECKED_BYTES:
            found = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise HistoryError(Code.STORE_CORRUPT, str(found).strip().splitlines()[-1])

    def _version(self, schema: ModuleType, connection: sa.Connection) -> int:
        version: int = schema.user_version(connection)
        if version > schema.VERSION:
            text = (
                f"{self.path}: written by a newer gateway (schema {version}, this one knows {schema.VERSION}); "
                "install that version again, or move the file away to begin a new history."
            )
            raise HistoryRefusedError(Code.STORE_WRITE, text)
        if version == 0 and schema.has_tables(connection):
            text = f"{self.path}: is a data base of another program; choose another data_dir."
            raise HistoryRefusedError(Code.STORE_WRITE, text)
        return version

    def _recover(self, schema: ModuleType, connection: sa.Connection, raw: sqlite3.Connection) -> dict[str, Recovered]:
        opened: list[tuple[int, Inspection]] = [row for row in schema.open_rows(connection) if row[0] != self.run]
        recovered: dict[str, Recovered] = {}
        for station in schema.stations(connection):
            result_seq = _last_result_seq(schema.newest(connection, RECENT, station))
            interrupted: list[Inspection] = []
            for run, inspection in opened:
                if inspection.station != station:
                    continue
                result_seq = next_seq(result_seq)
                interrupted.append(_interrupted(inspection, result_seq))
                raw.execute(schema.COMMIT, schema.inspection_row(run, self.boot_id, interrupted[-1]))
            recent = schema.newest(connection, RECENT, station)
            numbered = next((row for row in recent if not row.trigger.by_bit), None)
            recovered[station] = Recovered(result_seq, numbered, tuple(interrupted))
        return recovered

    # ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def write(self, rows: Sequence[Accepted | Inspection], budget: float) -> None:
        """Write all rows in one transaction, waiting at most `budget` s for a lock; on disk if any is an Inspection."""
        from gateway import history_schema as schema

        durable = any(isinstance(row, Inspection) for row in rows)
        with self._errors():
            raw = self._connection(budget)
            self._sync(raw, full=durable)
            self._begin(raw, budget)
            for row in rows:
                if isinstance(row, Inspection):
                    raw.execute(schema.COMMIT, schema.inspection_row(self.run, self.boot_id, row))
                else:
                    values = schema.trigger_row(self.run, self.boot_id, row.station, row.trigger, row.recipe)
                    raw.execute(schema.ACCEPT, values)
            raw.execute("COMMIT")

    def probe(self) -> None:
        """Write a little to the disk, as proof that it can be done; HistoryError."""
        with self._errors():
            raw = self._connection(0)
            self._sync(raw, full=True)
            raw.execute("UPDATE run SET boot_id = boot_id WHERE id = ?", (self.run,))

    def prune(self, keep_rows: int, keep_days: float | None, batch: int) -> int:
        """Delete some of what retention no longer keeps, `batch` rows at most; returns how many."""
        from gateway import history_schema as schema

        before = None if keep_days is None else time.time() - keep_days * 86400
        with self._errors():
            raw = self._connection(0)
            self._sync(raw, full=False)
            deleted = raw.execute(schema.PRUNE, {"batch": batch, "rows": keep_rows, "before": before})
            return deleted.rowcount

    def checkpoint(self) -> None:
        """Move what the write-ahead log holds into the data base file, as far as readers allow."""
        with self._errors():
            self._connection(0).execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()

    def close(self) -> None:
        """Move the whole write-ahead log into the file and close it."""
        try:
            if self._raw is not None:
                with self._errors():
                    self._raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        finally:
            self.drop()

    def drop(self) -> None:
        """Close the connection as it is."""
        raw, self._raw = self._raw, None
        engine, self._engine = self._engine, None
        if engine is not None:
            engine.dispose(close=False)
        if raw is not None:
            with suppress(sqlite3.Error):
                raw.close()

    def _connection(self, budget: float) -> sqlite3.Connection:
        """The connection, opened anew if somebody moved or deleted the files under it: writes would go nowhere."""
        if self._raw is not None and self._files != self._identity():
            with suppress(sqlite3.Error):
                self._raw.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            self.drop()
        if self._raw is None:
            self.open(budget)
        if self._raw is None:
            raise HistoryError(Code.STORE_WRITE, f"{self.path}: is closed.")
        return self._raw

    def _identity(self) -> tuple[tuple[int, int], ...]:
        """Device and inode of data base and write-ahead log."""
        try:
            found = [os.stat(file) for file in self._watched]  # noqa: PTH116  # Path.stat costs more than the call itself
        except OSError:
            return ()
        return tuple((stat.st_dev, stat.st_ino) for stat in found)

    def _sync(self, raw: sqlite3.Connection, *, full: bool) -> None:
        """Whether the next transaction is on the disk when it ends; asked for only where it differs from the last."""
        if full is not self._full:
            raw.execute(f"PRAGMA synchronous = {'FULL' if full else 'NORMAL'}")
            self._full = full

    def _begin(self, raw: sqlite3.Connection, budget: float) -> None:
        """Take the write lock, within `budget` seconds."""
        deadline = time.monotonic() + budget
        while True:
            try:
                raw.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= deadline:
                    raise
                time.sleep(BUSY_STEP)
            else:
                return

    def _errors(self) -> _Errors:
        return _Errors(self)

    def roll_back(self) -> None:
        """End a transaction that failed."""
        if self._raw is not None and self._raw.in_transaction:
            with suppress(sqlite3.Error):
                self._raw.execute("ROLLBACK")


class _Errors:
    """Rolls back, and turns an error of SQLite into a HistoryError; a damaged data base is closed."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is None:
            return
        self._store.roll_back()
        if isinstance(error, OSError):
            raise HistoryError(Code.STORE_WRITE, f"{self._store.path}: cannot be opened ({error.strerror}).") from error
        if (cause := _driver_error(error)) is None:
            return
        mapped = error_of(cause, self._store.path)
        if mapped.code is Code.STORE_CORRUPT:
            mapped.__cause__ = cause
            self._store.condemn(mapped)
        raise mapped from cause


def _driver_error(error: BaseException) -> sqlite3.Error | None:
    """SQLite's own error, also from inside SQLAlchemy's."""
    inner = getattr(error, "orig", error)
    return inner if isinstance(inner, sqlite3.Error) else None


def _interrupted(inspection: Inspection, result_seq: int) -> Inspection:
    return dataclasses.replace(
        inspection,
        judgement=Judgement.FAULT,
        reason=int(Code.RESTARTED),
        result_seq=result_seq,
        detail="The gateway restarted before this part was judged; inspect it again.",
    )


def _last_result_seq(newest: Sequence[Inspection]) -> int:
    """The latest RESULT_SEQ among a station's newest rows: rows stand in order of triggers, results may overtake."""
    last = 0
    for inspection in newest:
        ahead = (inspection.result_seq - last) % UINT_MAX
        if inspection.result_seq and (not last or ahead < UINT_MAX // 2):
            last = inspection.result_seq
    return last


def read(path: Path, limit: int, station: str | None = None) -> list[Inspection]:
    """The newest rows, newest first, by a connection of its own that can neither write nor checkpoint."""
    from gateway import history_schema as schema

    if not path.is_file():
        text = f"{path}: there is no history yet; start the gateway first, or name its configuration file."
        raise HistoryError(Code.NONE, text)
    raw: sqlite3.Connection | None = None
    try:
        raw = _reader(path)
        with schema.connect(lambda: raw).connect() as connection:
            version = schema.user_version(connection)
            if not 1 <= version <= schema.VERSION:
                text = f"{path}: not a history of this version of the gateway; use the version that wrote it."
                raise HistoryError(Code.NONE, text)
            return schema.newest(connection, limit, station, version)
    except UNREADABLE as error:
        raise HistoryError(Code.STORE_CORRUPT, f"{path}: a row cannot be read ({error!r}).") from error
    except Exception as error:
        if (cause := _driver_error(error)) is None:  # SQLite's errors come bare or inside SQLAlchemy's
            raise
        raise HistoryError(error_of(cause, path).code, f"{path}: cannot be read ({cause}).") from cause
    finally:
        if raw is not None:
            raw.close()


def _reader(path: Path) -> sqlite3.Connection:
    """A read-only connection; without a write-ahead log the file is at rest, and a read-only folder is no obstacle."""
    uri = f"{path.absolute().as_uri()}?mode=ro"
    raw = sqlite3.connect(uri, uri=True, timeout=1.0, isolation_level=None)
    try:
        raw.execute("PRAGMA schema_version").fetchone()
    except sqlite3.OperationalError:
        raw.close()
        if companions(path)[1].exists():
            raise
        return sqlite3.connect(f"{uri}&immutable=1", uri=True, isolation_level=None)
    return raw
