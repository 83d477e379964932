"""A CNC and a station by OPC UA: events of its program trigger, and the program goes on or stops by the answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from gateway.station_tags import StationTags
from gateway.tag_settings import StationTagsConfig
from gateway.tags import TagBook
from protocols.faults import Code
from protocols.handshake import OwnTrigger
from protocols.opcua.device_settings import OpcUaDeviceConfig
from protocols.opcua.tag_source import OpcUaTagSource
from protocols.signals import Judgement
from protocols.tags import Quality
from simulators.cnc import ASKED, Cnc, Program, Rules
from simulators.cnc_server import CncServer
from tests.contract.test_links import running, until
from tests.contract.test_opcua_tag_source import PATIENCE, R20, R21, config

pytestmark = pytest.mark.slow

TAGS: list[dict[str, Any]] = [
    {"name": "program_state", "sample_ms": 100},
    {"name": "tool_id"},
    {"name": "m77", "standard": "m_functions", "has": 77, "sample_ms": 100},
    {"name": "asked", "node": f"nsu=SinumerikVarProvider;s={R20}", "type": "uint32", "sample_ms": 100},
    {"name": "answer", "node": f"nsu=SinumerikVarProvider;s={R21}", "access": "write"},
]
ASKING = {"tag": "cnc.asked", "on": "count", "part_id": "cnc.asked"}
ANSWER = {"kind": "answer", "tag": "cnc.answer"}


class Station:
    """Looks at each part at once; `verdict` says what it sees."""

    name = "cell1"

    def __init__(self) -> None:
        self.tags: StationTags | None = None
        self.calls: list[OwnTrigger] = []
        self.missing: dict[Code, bool] = {}
        self.verdict: Callable[[int], Judgement | None] = lambda part: Judgement.OK
        self.recorded: list[dict[str, Any]] = []

    def own_trigger(self, call: OwnTrigger) -> None:
        self.calls.append(call)
        assert self.tags is not None
        if call.code or any(self.missing.values()):
            self.tags.refused()
            return
        cycle = len(self.calls)
        self.recorded.append({name: reading.value for name, reading in self.tags.snapshot().items()})
        self.tags.accepted(cycle)
        if (verdict := self.verdict(call.part_id)) is not None:
            self.tags.decided(cycle, verdict)

    def needs(self, code: Code, missing: bool) -> None:
        self.missing[code] = missing


class Cell:
    """The machine, the book and the station's tags."""

    def __init__(self, cnc: CncServer, station: Station, book: TagBook) -> None:
        self.server, self.cnc, self.station, self.book = cnc, cnc.machine, station, book

    @property
    def ready(self) -> bool:
        values = [reading.quality for name, reading in self.book.current.items() if name != "cnc.answer"]
        return set(values) == {Quality.GOOD} and not any(self.station.missing.values())


@asynccontextmanager
async def cell(trigger: dict[str, Any], *outputs: dict[str, Any], rules: Rules | None = None) -> AsyncIterator[Cell]:
    server = CncServer(Cnc(speed=10, override=0.0, rules=rules or Rules(verdict_timeout=10, reset_after=0.2)))
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(server.open())
        book = TagBook([config(server.port, "cnc", TAGS)])
        station = Station()
        content = {"trigger": trigger, "outputs": outputs, "record": ("cnc.tool_id", "cnc.program_state")}
        station.tags = StationTags(StationTagsConfig.model_validate(content), book, station)
        book.build(remote=source)
        station.tags.start()
        for one in book.sources:
            await stack.enter_async_context(running(one.run()))
        made = Cell(server, station, book)
        await until(lambda: made.ready, PATIENCE)
        server.machine.override = 100.0
        yield made


def source(device: OpcUaDeviceConfig, sink: Any, refresh: Any, first: Any) -> OpcUaTagSource:
    return OpcUaTagSource(device, sink, refresh, first)


async def test_the_program_goes_on_with_good_parts_and_stops_at_the_others() -> None:
    async with cell(ASKING, ANSWER) as made:
        made.station.verdict = lambda part: {2: Judgement.NG, 3: Judgement.RECHECK}.get(part, Judgement.OK)
        await until(lambda: made.cnc.parts >= 4, 3 * PATIENCE)
        assert [call.part_id for call in made.station.calls[:4]] == [1, 2, 3, 4]
        assert made.cnc.bad == 2
        assert made.cnc.good >= 2
        assert made.cnc.unanswered == 0
        assert {row["cnc.tool_id"] for row in made.station.recorded} == {4}


async def test_without_a_verdict_the_program_stops_by_itself_and_an_old_answer_helps_nobody() -> None:
    rules = Rules(verdict_timeout=2, reset_after=0)
    async with cell(ASKING, ANSWER, rules=rules) as made:
        made.station.verdict = lambda part: Judgement.OK if part == 1 else None
        await until(lambda: made.cnc.unanswered == 1, 3 * PATIENCE)
        assert (made.cnc.good, made.cnc.state) == (1, Program.INTERRUPTED)
        assert made.cnc.alarms[0].number == 700002


async def test_what_was_asked_while_the_link_was_down_is_answered_as_not_good() -> None:
    async with cell(ASKING, ANSWER, rules=Rules(verdict_timeout=60, reset_after=0)) as made:
        made.cnc.override = 0.0
        await made.server.stop()
        await until(lambda: made.station.missing[Code.LINK_LOST], PATIENCE)
        made.cnc.override = 100.0
        await until(lambda: made.cnc.state is Program.WAITING, PATIENCE)
        await made.server.restart(shift=True)
        await until(lambda: made.cnc.bad == 1, PATIENCE)
        assert [call.code for call in made.station.calls] == [Code.LINK_LOST]


async def test_a_counter_that_made_several_steps_triggers_once_and_tells_the_rest() -> None:
    async with cell(ASKING) as made:
        made.cnc.override = 0.0
        made.cnc.r[ASKED] = 3.0
        await until(lambda: len(made.station.calls) >= 2, PATIENCE)
        assert made.station.calls[:2] == [OwnTrigger(3), OwnTrigger(code=Code.TOO_FAST, times=2)]


@pytest.mark.parametrize(
    "trigger",
    [
        {"tag": "cnc.m77", "on": "rise"},
        {"tag": "cnc.program_state", "on": "equals", "value": "waiting"},
    ],
)
async def test_an_m_function_or_a_state_of_the_program_triggers_once_a_part(trigger: dict[str, Any]) -> None:
    async with cell(trigger, rules=Rules(verdict_timeout=1, reset_after=0.5)) as made:
        await until(lambda: made.cnc.asked >= 3, 2 * PATIENCE)
        made.cnc.stalled = True
        await until(lambda: len(made.station.calls) >= 3, PATIENCE)
        assert made.station.calls == [OwnTrigger()] * made.cnc.asked


async def test_an_answer_waits_for_the_device_and_is_written_when_it_is_back() -> None:
    async with cell(ASKING, ANSWER, rules=Rules(verdict_timeout=60, reset_after=0)) as made:
        made.station.verdict = lambda part: None
        await until(lambda: len(made.station.calls) == 1, PATIENCE)
        await made.server.stop()
        await until(lambda: made.station.missing[Code.OUTPUT_FAILED], PATIENCE)
        assert made.station.tags is not None
        made.station.tags.decided(1, Judgement.OK)
        await made.server.restart(shift=True)
        await until(lambda: made.cnc.good == 1, PATIENCE)
        assert made.cnc.unanswered == 0
