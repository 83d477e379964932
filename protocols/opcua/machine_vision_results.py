"""Results of OPC 40100-1: made of a station's outcomes, kept for a while, found again by filters. Pure."""

from __future__ import annotations

import math
from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from protocols.faults import Code
from protocols.opcua.machine_vision_identity import NO_RECIPE, RecipeBook, configuration, external_recipe
from protocols.opcua.machine_vision_identity import internal_recipe as internal_id
from protocols.opcua.machine_vision_jobs import Job
from protocols.opcua.machine_vision_records import (
    NO_IDENT,
    BinaryId,
    Content,
    Ident,
    NamedValue,
    ResultState,
    VisionResult,
)
from protocols.opcua.machine_vision_view import reason_name
from protocols.signals import Judgement, Result, ResultBit
from protocols.station_view import Outcome, RecipeFacts, StationFacts

HANDLES = 64
"""Handles that are open at once; a further one closes the oldest."""
PAGE = 200
"""Results in one answer at most, whatever MaxResults asks for: an answer has to fit into one message."""
_CHECK_0 = int(ResultBit.CHECK_0)


@dataclass(frozen=True, slots=True)
class ResultFilter:
    """GetResultListFiltered: an empty Id and state 0 match everything."""

    state: int = 0
    meas: str = ""
    part: str = ""
    job: str = ""
    product: str = ""
    external_recipe: BinaryId = NO_RECIPE
    internal_recipe: BinaryId = NO_RECIPE
    external_configuration: BinaryId = NO_RECIPE
    internal_configuration: BinaryId = NO_RECIPE

    def matches(self, r: VisionResult) -> bool:
        """True when every filter that is given holds; products and external configurations there are none."""
        return (
            self.state in (0, r.state)
            and self.meas in ("", r.meas.id)
            and self.part in ("", r.part.id)
            and self.job in ("", r.job_id)
            and not self.product
            and not self.external_configuration.id
            and self._recipe(r)
            and (not self.internal_configuration.id or r.internal_configuration.named_by(self.internal_configuration))
        )

    def _recipe(self, r: VisionResult) -> bool:
        asked = self.external_recipe.id
        if asked and asked not in (r.external_recipe.id, r.external_recipe.description):
            return False
        return not self.internal_recipe.id or r.internal_recipe.named_by(self.internal_recipe)


class ResultStore:
    """The last `limit` results, oldest first."""

    def __init__(self, limit: int = 1000) -> None:
        self.limit = limit
        self._results: OrderedDict[str, VisionResult] = OrderedDict()
        self._handles: deque[int] = deque(maxlen=HANDLES)
        self._last_handle = 0

    def __len__(self) -> int:
        return len(self._results)

    def add(self, result: VisionResult) -> None:
        """Keep one more; the oldest goes when there are too many."""
        self._results[result.result_id] = result
        while len(self._results) > self.limit:
            self._results.popitem(last=False)

    def by_id(self, result_id: str) -> VisionResult | None:
        return self._results.get(result_id)

    def page(self, wanted: ResultFilter, limit: int, start: int) -> tuple[bool, list[VisionResult]]:
        """At most `limit` (0 = as many as fit) results that match, from the `start`-th on; True: nothing follows."""
        size = min(limit or PAGE, PAGE)
        found = islice((r for r in self._results.values() if wanted.matches(r)), start, None)
        page = list(islice(found, size))
        return next(found, None) is None, page

    def open_handle(self) -> int:
        """A handle for data that was just given out: 1 … 2^32 - 1."""
        self._last_handle = self._last_handle % 0xFFFF_FFFF + 1
        self._handles.append(self._last_handle)
        return self._last_handle

    def release(self, handle: int) -> bool:
        """False for a handle that is not open."""
        if handle not in self._handles:
            return False
        self._handles.remove(handle)
        return True


class ResultMaker:
    """Turns the outcomes of one station into results."""

    def __init__(self, facts: StationFacts) -> None:
        self._recipes = RecipeBook(facts.recipes)
        self._configuration = configuration(facts)

    def of_outcome(self, outcome: Outcome, job: Job, result_id: str, wall: float) -> VisionResult:
        """The result of an inspection that the station tells of."""
        r = outcome.result
        recipe = self._recipes.numbered(r.recipe)
        return VisionResult(
            result_id=result_id,
            job_id=job.id,
            state=_state(r),
            created=outcome.decided or wall,
            internal_recipe=internal_id(recipe) if recipe is not None else BinaryId(str(r.recipe)),
            external_recipe=external_recipe(recipe) if recipe is not None else NO_RECIPE,
            internal_configuration=self._configuration,
            meas=job.meas,
            part=job.part if job.own else _part(outcome),
            simulated=bool(r.bits & ResultBit.SIMULATED),
            started=outcome.accepted or wall,
            ended=outcome.decided or wall,
            acquisition_ms=r.grab / 10,
            processing_ms=max(0, r.total - r.grab) / 10,
            content=_content(outcome, recipe),
        )

    def without_outcome(
        self, job: Job, end: tuple[ResultState, Code], active: int, result_id: str, wall: float
    ) -> VisionResult:
        """The result of a job that ends without an inspection: never good, and it says why."""
        state, reason = end
        recipe = self._recipes.numbered(active)
        judgement = Judgement.NONE if state is ResultState.UNDEFINED else Judgement.FAULT
        return VisionResult(
            result_id=result_id,
            job_id=job.id,
            state=state,
            created=wall,
            internal_recipe=internal_id(recipe) if recipe is not None else BinaryId(str(active)),
            external_recipe=external_recipe(recipe) if recipe is not None else NO_RECIPE,
            internal_configuration=self._configuration,
            meas=job.meas,
            part=job.part,
            started=wall,
            ended=wall,
            content=Content(judgement=judgement, reason=int(reason), reason_name=reason_name(reason)),
        )


def _state(r: Result) -> ResultState:
    if r.judgement in (Judgement.OK, Judgement.NG, Judgement.RECHECK):
        return ResultState.COMPLETED
    return ResultState.ABORTED if r.reason == Code.ABORTED else ResultState.FAILED


def _part(outcome: Outcome) -> Ident:
    if outcome.serial:
        return Ident(outcome.serial.strip())
    return Ident(str(outcome.result.part_id)) if outcome.result.part_id else NO_IDENT


def _content(outcome: Outcome, recipe: RecipeFacts | None) -> Content:
    r = outcome.result
    names = recipe.values if recipe is not None else ()
    checks = recipe.checks if recipe is not None else ()
    known = Judgement(r.judgement) if r.judgement in tuple(Judgement) else Judgement.FAULT
    rule = outcome.rule or dict(recipe.codes if recipe is not None else ()).get(r.reason, "")
    return Content(
        good=outcome.good,
        judgement=known,
        reason=r.reason,
        reason_name=reason_name(r.reason) if known is Judgement.FAULT else rule,
        findings=r.findings,
        score=r.score,
        bits=r.bits,
        values=tuple(_values(r.values, names)),
        checks=tuple((name, bool(r.bits & _CHECK_0 << at)) for at, name in enumerate(checks)),
        model_crc=r.model_crc,
        detail=outcome.detail,
    )


def _values(values: tuple[float, ...], names: tuple[str, ...]) -> Iterator[NamedValue]:
    """Every named value, and any further one that is a number."""
    for at, value in enumerate(values):
        if at < len(names):
            yield NamedValue(names[at], value)
        elif not math.isnan(value):
            yield NamedValue(f"VALUE_{at}", value)
