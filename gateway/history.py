"""The history: one row for each accepted trigger, on disk before the PLC can see the result. One thread writes."""

from __future__ import annotations

import asyncio
import queue as queues
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TypeVar

from gateway.history_store import Accepted, HistoryError, HistoryRefusedError, Recovered, Store, read
from gateway.inspection import Inspection, Trigger
from protocols.faults import Code

__all__ = ["Done", "History", "HistoryError", "HistoryRefusedError", "Recovered", "Trouble", "newest"]

T = TypeVar("T")
Done = Callable[[HistoryError | None], None]
Trouble = Callable[[HistoryError | None], None]

COMMIT_BUDGET = 0.2
"""Seconds a result waits for a lock of another program before error 4001; the decision deadline is 0.3 s."""
ACCEPT_BUDGET = 0.01
"""The same for accepted triggers alone: no result may wait behind one, and the result's row replaces a missing one."""
IDLE = 0.02
"""Seconds without work before retention and checkpoint get their turn."""
RETRY = 0.5
"""Seconds between two tries to open the data base, or to write an amended row."""
CHECKPOINT_IDLE = 200
"""Transactions after which an idle moment is used to checkpoint."""
CHECKPOINT_FORCED = 4000
"""Transactions after which a checkpoint waits for no idle moment: the write-ahead log stays bounded."""
PRUNE_EVERY = 256
"""Writes after which an idle moment is used for retention; twice as many, and it waits for none."""
PRUNE_BATCH = 500
"""Rows deleted at once: a commit never waits for more."""


@dataclass(frozen=True, slots=True)
class _Work:
    """A row to write; an Inspection without `done` is an amendment."""

    row: Accepted | Inspection
    done: Done | None = None
    written: Callable[[], None] | None = None
    """Of an amendment or an accepted trigger: told when it has succeeded."""

    @property
    def key(self) -> tuple[str, int]:
        return self.row.station, self.row.trigger.cycle


class History:
    """Writes inspections in order. Its methods are called on the loop's thread, never wait, never raise HistoryError.

    `trouble` is told on the loop's thread what no `done` can tell: opening (tried again for ever), an accepted trigger
    or an amendment that was not written, a damaged data base set aside (STORE_CORRUPT).
    """

    def __init__(
        self,
        path: Path,
        *,
        boot_id: int,
        queue: int = 64,
        keep_rows: int = 1_000_000,
        keep_days: float | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        self.path = path
        self.opened: asyncio.Future[dict[str, Recovered]]
        """From `start` on: what each station needs of the runs before; HistoryError if it will never be opened."""
        self._store = Store(path, boot_id)
        self._bound = queue
        self._keep_rows = max(1, keep_rows)
        self._keep_days = keep_days
        self._trouble = trouble
        self._queue: queues.SimpleQueue[_Work | None] = queues.SimpleQueue()
        self._owed: dict[tuple[str, int], _Work] = {}
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._ended: asyncio.Future[None] | None = None
        self._unchecked = 0
        self._unpruned = 0
        self._ailing = False
        self._reported: HistoryError | None = None

    # ── on the loop's thread ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def waiting(self) -> int:
        """Rows that wait for the writer."""
        return self._queue.qsize()

    def start(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start the writer thread, which opens the data base and then fulfils `opened`."""
        self._loop = loop
        self.opened = loop.create_future()
        self._ended = loop.create_future()
        self._thread = threading.Thread(target=self._run, name="history", daemon=True)
        self._thread.start()

    def accept(self, station: str, trigger: Trigger, recipe: int, recorded: Callable[[], None] | None = None) -> None:
        """Open the row of an accepted trigger, then call `recorded`: it survives a kill, not yet a power cut."""
        self._put(_Work(Accepted(station, trigger, recipe), written=recorded), self._bound)

    def commit(self, inspection: Inspection, done: Done) -> None:
        """Write the outcome to the disk, then call `done(None)`; or `done(error)`, and the row is as it was."""
        self._put(_Work(inspection, done), self._bound)

    def amend(self, inspection: Inspection, written: Callable[[], None] | None = None) -> None:
        """Rewrite the row of a cycle with the outcome that the PLC was shown instead; tried until it succeeds."""
        self._put(_Work(inspection, written=written), 2 * self._bound)  # finds a place where new work no longer does

    async def close(self, wait: float) -> None:
        """Write what is queued, checkpoint and end the thread; HistoryError if that takes more than `wait` seconds."""
        if self._thread is None or self._ended is None:
            return
        self._stop.set()
        self._queue.put(None)
        done, _ = await asyncio.wait((self._ended,), timeout=wait)
        if not done:
            text = f"{self.path}: {self.waiting} rows were not written within {wait:g} s; the disk is too slow."
            raise HistoryError(Code.STORE_WRITE, text)
        self._thread.join(1.0)
        self._thread = None
        if not self.opened.done():
            self.opened.cancel()

    def _put(self, work: _Work, bound: int) -> None:
        if self._thread is None or self._stop.is_set():
            self._refuse(work, HistoryError(Code.STORE_WRITE, f"{self.path}: the history is closed."))
        elif self._queue.qsize() >= bound:
            text = f"{self.path}: {bound} rows wait already; the disk is too slow or locked."
            self._refuse(work, HistoryError(Code.STORE_WRITE, text))
        else:
            self._queue.put(work)

    def _refuse(self, work: _Work, error: HistoryError) -> None:
        self._ailing = True  # whoever is told of this must be told, too, that rows are written again
        if self._loop is not None:
            self._loop.call_soon(work.done or self._excuse, error)

    def _excuse(self, error: HistoryError | None) -> None:
        if error is not None and self._trouble is not None:
            self._trouble(error)

    # ── in the writer thread ─────────────────────────────────────────────────────────────────────────────────────────

    def _run(self) -> None:
        try:
            if self._open():
                while self._turn():
                    pass
        except Exception as error:  # noqa: BLE001  # the thread's boundary: a dead writer must not be a silence
            text = f"{self.path}: recording stopped by a defect ({error!r}); restart the gateway and send the log."
            self._give_up(HistoryError(Code.INTERNAL, text))
        finally:
            self._end()

    def _give_up(self, error: HistoryError) -> None:
        """Refuse all work, now and later."""
        self._stop.set()
        self._tell(partial(_fail, self.opened, error))
        self._tell(partial(self._excuse, error))
        with suppress(queues.Empty):
            while True:
                if item := self._queue.get_nowait():
                    self._settle([item], error, again=False)

    def _open(self) -> bool:
        while True:
            try:
                recovered = self._store.open()
            except HistoryRefusedError as error:
                self._give_up(error)
                return False
            except HistoryError as error:
                self._tell(partial(self._excuse, error))
            else:
                self._report_damage()
                self._unpruned = PRUNE_EVERY
                self._tell(partial(_fulfil, self.opened, recovered))
                return True
            if self._stop.wait(RETRY):
                return False

    def _turn(self) -> bool:
        """Wait for work and write all there is in one transaction; False once closing and empty."""
        try:
            first = self._queue.get(timeout=self._patience())
        except queues.Empty:
            if self._owed:
                self._write([])
            elif self._ailing:
                self._probe()
            self._upkeep()
            return True
        work = [first]
        while len(work) <= 2 * self._bound:
            try:
                work.append(self._queue.get_nowait())
            except queues.Empty:
                break
        self._write([item for item in work if item is not None])
        self._upkeep(forced=True)
        return None not in work

    def _patience(self) -> float | None:
        """Seconds to wait for work before something else is due; None = nothing is."""
        if not self._ailing and (self._unpruned >= PRUNE_EVERY or self._unchecked >= CHECKPOINT_IDLE):
            return IDLE
        return RETRY if self._owed or self._ailing else None

    def _write(self, fresh: Sequence[_Work]) -> None:
        work = [*self._owed.values(), *fresh]
        self._owed = {}
        if not self._together(work):
            for item in work:
                self._together([item])

    def _together(self, work: Sequence[_Work]) -> bool:
        """Write in one transaction and tell; False if one row of several is at fault, and none was written."""
        try:
            error = self._attempt(work)
        except Exception as cause:  # noqa: BLE001  # the thread's boundary: one bad row must not end the recording of all
            if len(work) > 1:
                return False
            text = f"{self.path}: a row could not be written ({cause!r}); send the log to the makers."
            self._settle(work, HistoryError(Code.INTERNAL, text), again=False)
        else:
            self._settle(work, error, again=True)
        return True

    def _attempt(self, work: Sequence[_Work]) -> HistoryError | None:
        durable = any(isinstance(item.row, Inspection) for item in work)
        budget = COMMIT_BUDGET if durable else ACCEPT_BUDGET
        rows = [item.row for item in work]
        try:
            try:
                self._store.write(rows, budget)
            except HistoryError as error:
                if error.code is not Code.STORE_CORRUPT:
                    raise
                self._store.write(rows, budget)  # sets the damaged one aside and begins anew
        except HistoryError as error:
            return error
        finally:
            self._report_damage()
        self._unchecked += 1
        self._unpruned += len(rows)
        return None

    def _probe(self) -> None:
        """While nobody may trigger nothing else would find out that the disk writes again."""
        try:
            self._store.probe()
        except HistoryError:
            return
        self._well()

    def _well(self) -> None:
        if self._ailing:
            self._ailing = False
            if self._trouble is not None:
                self._tell(partial(self._trouble, None))

    def _settle(self, work: Sequence[_Work], error: HistoryError | None, *, again: bool) -> None:
        """Tell each caller; an amendment that failed is owed, unless it is the row's own fault."""
        if error is None:
            self._well()
        else:
            self._ailing = self._ailing or again
        for item in work:
            if item.done is not None:
                self._tell(partial(item.done, error))
            elif error is not None and isinstance(item.row, Accepted):
                continue  # no trouble yet: its outcome brings the row along
            elif error is not None:
                self._tell(partial(self._excuse, error))
                if again and len(self._owed) < 2 * self._bound:
                    self._owed[item.key] = item
            elif item.written is not None:
                self._tell(item.written)

    def _upkeep(self, *, forced: bool = False) -> None:
        """One small step of retention or a checkpoint; what stands in its way shows at the next commit too."""
        factor = 2 if forced else 1
        try:
            if self._unpruned >= PRUNE_EVERY * factor:
                deleted = self._store.prune(self._keep_rows, self._keep_days, PRUNE_BATCH)
                self._unchecked += deleted // 10
                if forced or not deleted:
                    self._unpruned = 0
            elif self._unchecked >= (CHECKPOINT_FORCED if forced else CHECKPOINT_IDLE):
                self._unchecked = 0
                self._store.checkpoint()
        except HistoryError as error:
            self._unpruned = self._unchecked = 0
            self._ailing = self._ailing or error.code is Code.DISK_FULL  # a lock is somebody else's short moment

    def _report_damage(self) -> None:
        damage = self._store.damage
        if damage is not None and damage is not self._reported:
            self._reported = damage
            self._tell(partial(self._excuse, damage))

    def _end(self) -> None:
        try:
            self._store.close()
        except HistoryError as error:
            self._tell(partial(self._excuse, error))
        finally:
            if self._ended is not None:
                self._tell(partial(_fulfil, self._ended, None))

    def _tell(self, call: Callable[[], None]) -> None:
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(call)
            except RuntimeError:  # the loop was closed before us: nobody is left to be told
                self._stop.set()


def _fulfil(future: asyncio.Future[T], value: T) -> None:
    if not future.done():
        future.set_result(value)


def _fail(future: asyncio.Future[dict[str, Recovered]], error: HistoryError) -> None:
    if not future.done():
        future.set_exception(error)


def newest(path: Path, limit: int, station: str | None = None) -> list[Inspection]:
    """The newest inspections, newest first; judgement NONE = still open. Reads only, also while the gateway runs."""
    return read(path, limit, station)
