"""Tags of a CNC over OPC UA: found by type, honest in quality, written with read-back, back after every loss."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from asyncua import ua

from protocols.faults import Code
from protocols.opcua.device_settings import OpcUaDeviceConfig
from protocols.opcua.tag_source import OpcUaTagSource
from protocols.tag_watch import Rule, Seen, Watch
from protocols.tag_words import When
from protocols.tags import Quality, TagValue
from simulators.cnc import ANSWER, ASKED, Cnc
from simulators.cnc_server import CncServer, Limits
from simulators.fault_proxy import FaultProxy
from tests.contract.test_links import running, until
from tests.contract.test_tag_source import Book

pytestmark = pytest.mark.slow
PATIENCE = 20.0
R20 = "/Channel/Parameter/R[u1,20]"
R21 = "/Channel/Parameter/R[u1,21]"
SINUMERIK: list[dict[str, Any]] = [
    {"name": "program_state"},
    {"name": "tool_id"},
    {"name": "asked", "node": R20, "type": "uint32", "sample_ms": 100},
    {"name": "answer", "node": R21, "access": "write"},
]


def machine(**more: Any) -> Cnc:
    """A machine that stands still until it is told to go."""
    return Cnc(override=0.0, **more)


@pytest.fixture
async def cnc() -> AsyncIterator[CncServer]:
    server = CncServer(machine(speed=20))
    async with server.open():
        yield server


def config(
    port: int, profile: str = "sinumerik", tags: Sequence[dict[str, Any]] = SINUMERIK, **more: Any
) -> OpcUaDeviceConfig:
    link = {"kind": "opcua", "url": f"opc.tcp://127.0.0.1:{port}", "security": "none", "timeout_ms": 5000}
    return OpcUaDeviceConfig.model_validate({
        "name": "cnc", "link": {**link, **more.pop("link", {})}, "profile": profile, "tags": tags,
        "sampling": {"default_ms": 100, **more.pop("sampling", {})}, **more,
    })  # fmt: skip


class Told(Book):
    """What a source tells, its notes too."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, code: int, text: str) -> None:
        self.notes.append(text)

    def noted(self, text: str) -> bool:
        return any(text in note for note in self.notes)


@asynccontextmanager
async def watched(device: OpcUaDeviceConfig, refresh: float = 0.0) -> AsyncIterator[tuple[Told, OpcUaTagSource]]:
    book = Told()
    outputs = {tag.name: refresh for tag in device.tags if tag.access == "write"}
    source = OpcUaTagSource(device, book, outputs, on_event=book.note)
    async with running(source.run()):
        yield book, source


COMMON = ("program_state", "channel_state", "operation_mode", "feed_override", "spindle_override")


@pytest.mark.parametrize(
    ("profile", "own", "waiting"),
    [
        ("cnc", ["tool_id", "spindle_speed"], "waiting"),
        ("machinetool", ["part_counter"], "running"),
        ("sinumerik", ["tool_id", "spindle_speed", "part_counter", "alarm_count"], "waiting"),
    ],
)
async def test_every_kind_of_server_shows_the_same_machine_without_a_node_configured(
    cnc: CncServer, profile: str, own: list[str], waiting: str
) -> None:
    tags: list[dict[str, Any]] = [{"name": name} for name in (*COMMON, *own)]
    if profile != "machinetool":
        tags.append({"name": "z", "standard": "axis_position", "axis": "Z"})
    async with watched(config(cnc.port, profile, tags)) as (book, _):
        await until(lambda: len(book.current) == len(tags), PATIENCE)
        assert {name: book.good(name) for name in COMMON[1:]} == {
            "channel_state": "reset", "operation_mode": "automatic", "feed_override": 0.0, "spindle_override": 100.0,
        }  # fmt: skip
        cnc.machine.override = 100.0
        await until(lambda: book.good("program_state") == waiting, PATIENCE)
        await until(lambda: book.good("channel_state") == "active", PATIENCE)
        if "tool_id" in own:
            await until(lambda: book.good("tool_id") == 4, PATIENCE)
            assert book.good("z") == 200.0
        if "alarm_count" in own:
            cnc.machine.r[ANSWER] = -1.0
            await until(lambda: book.good("alarm_count") == 1, PATIENCE)


async def test_of_two_channels_the_first_is_taken_and_told_or_the_one_that_is_named() -> None:
    server = CncServer(machine(), channels=2)
    server.machine.advance(0)
    tags = [{"name": "program_name"}]
    async with server.open():
        async with watched(config(server.port, "cnc", tags)) as (book, _):
            await until(lambda: book.good("program_name") == "BRACKET_A", PATIENCE)
            assert book.noted("2 of kind channel (Channel1, Channel2): Channel1 is taken")
        async with watched(config(server.port, "cnc", tags, channel="Channel2")) as (book, _):
            await until(lambda: book.good("program_name") == "", PATIENCE)
        async with watched(config(server.port, "cnc", tags, channel="Channel7")) as (book, _):
            await until(lambda: "program_name" in book.current and book.links == [True], PATIENCE)
            assert book.current["program_name"].quality is Quality.BAD
            assert "it has Channel1, Channel2" in book.current["program_name"].reason


async def test_a_bad_value_spoils_its_own_tag_only_and_comes_back(cnc: CncServer) -> None:
    async with watched(config(cnc.port)) as (book, _):
        await until(lambda: book.good("tool_id") == 0, PATIENCE)
        cnc.faults.bad.add("/Channel/State/actTNumber[u1]")
        await until(lambda: book.good("tool_id") is None, PATIENCE)
        assert book.current["tool_id"].code is Code.TAG_DOUBTFUL
        assert "BadDeviceFailure" in book.current["tool_id"].reason
        assert book.good("asked") == 0
        cnc.faults.bad.clear()
        await until(lambda: book.good("tool_id") == 0, PATIENCE)
        assert book.links == [True]


async def test_a_value_that_rests_stays_good_as_long_as_the_server_lives(cnc: CncServer) -> None:
    async with watched(config(cnc.port)) as (book, _):
        await until(lambda: book.good("tool_id") == 0, PATIENCE)
        first = book.current["tool_id"]
        await until(lambda: book.current["tool_id"].at > first.at + 2 * first.max_age, PATIENCE)
        readings = [reading for name, reading in book.told if name == "tool_id"]
        assert len(readings) >= 4
        assert {reading.quality for reading in readings} == {Quality.GOOD}


async def test_nodes_and_types_that_are_not_so_spoil_their_own_tag_only(cnc: CncServer) -> None:
    tags = [
        *SINUMERIK,
        {"name": "nowhere", "node": "/Channel/No/such[u1]"},
        {"name": "elsewhere", "node": "nsu=urn:x;s=y"},
        {"name": "text", "node": "/Channel/ProgramInfo/progName[u1]"},
    ]
    async with watched(config(cnc.port, tags=tags)) as (book, _):
        await until(lambda: len(book.current) == 6 and book.good("asked") == 0, PATIENCE)
        bad = {name: book.current[name].reason for name in ("nowhere", "elsewhere", "text")}
        assert "BadNodeIdUnknown" in bad["nowhere"]
        assert "no namespace urn:x" in bad["elsewhere"]
        assert "is no number" in bad["text"]
        assert book.links == [True]


def seen(rule: Rule, readings: Sequence[TagValue]) -> list[Seen]:
    watch = Watch(rule)
    return [watch.see(reading, reading.at) for reading in readings]


async def test_a_restart_that_moves_the_namespaces_is_bad_at_once_then_a_baseline_never_an_edge(
    cnc: CncServer,
) -> None:
    async with watched(config(cnc.port)) as (book, _):
        await until(lambda: book.good("asked") == 0, PATIENCE)
        await cnc.stop()
        await until(lambda: book.links == [True, False], PATIENCE)
        assert {reading.quality for reading in book.current.values()} == {Quality.BAD}
        assert {reading.code for reading in book.current.values()} == {Code.LINK_LOST}
        cnc.machine.r[ASKED] = 5.0
        await cnc.restart(shift=True)
        await until(lambda: book.good("asked") == 5, PATIENCE)
        await until(lambda: book.links == [True, False, True], PATIENCE)
        row = seen(Rule(When.COUNT, modulus=1 << 32), [reading for name, reading in book.told if name == "asked"])
        assert not any(one.fired for one in row)
        assert [(one.missed, one.code) for one in row if one.missed] == [(5, Code.LINK_LOST)]


async def test_a_server_that_falls_silent_is_noticed_and_comes_back(cnc: CncServer) -> None:
    proxy = FaultProxy("127.0.0.1", cnc.port)
    async with proxy.open(), watched(config(proxy.port, link={"timeout_ms": 1000})) as (book, _):
        await until(lambda: book.good("asked") == 0, PATIENCE)
        for _ in range(2):
            lost = book.links.count(False)
            proxy.drop()  # half open: nobody says anything
            await until(lambda before=lost: book.links.count(False) > before, PATIENCE)  # type: ignore[misc]
            assert book.current["asked"].quality is Quality.BAD
            await until(lambda: book.good("asked") == 0, PATIENCE)
        proxy.rst()
        await until(lambda: book.links.count(False) == 3, PATIENCE)
        await until(lambda: book.good("asked") == 0, PATIENCE)


async def test_a_program_that_stands_still_behind_a_server_that_answers_is_uncertain(cnc: CncServer) -> None:
    cnc.machine.override = 100.0
    tags = [*SINUMERIK, {"name": "x", "standard": "axis_position", "axis": "X"}]
    alive = {"tag": "x", "timeout_ms": 3000}
    async with watched(config(cnc.port, tags=tags, alive=alive)) as (book, _):
        await until(lambda: book.good("tool_id") is not None, PATIENCE)
        cnc.machine.stalled = True
        await until(lambda: book.current["tool_id"].quality is Quality.UNCERTAIN, PATIENCE)
        assert "x has not changed for 3 s" in book.current["tool_id"].reason
        assert book.links == [True]


async def test_a_change_that_comes_with_an_old_source_time_is_not_good(cnc: CncServer) -> None:
    async with watched(config(cnc.port)) as (book, _):
        await until(lambda: book.good("tool_id") == 0, PATIENCE)
        stamp: Any = datetime.now(UTC) - timedelta(seconds=60)
        data = ua.DataValue(ua.Variant(7, ua.VariantType.UInt32), ua.StatusCode(), stamp, stamp)
        assert cnc._server is not None
        told = len(book.told)
        await cnc._server.write_attribute_value(cnc.node_id("/Channel/State/actTNumber[u1]"), data)
        await until(lambda: any(r.value == 7 for name, r in book.told[told:] if name == "tool_id"), PATIENCE)
        first = next(r for name, r in book.told[told:] if name == "tool_id" and r.value == 7)
        assert time.monotonic() - first.at > 50
        assert first.seen(time.monotonic()).quality is Quality.UNCERTAIN


# ---------------------------------------------------------------- limits of the control


async def test_a_control_without_a_free_session_is_told_and_waited_for() -> None:
    server = CncServer(machine(), limits=Limits(sessions=1))
    async with server.open(), watched(config(server.port)) as (book, _):
        await until(lambda: book.good("asked") == 0, PATIENCE)
        async with watched(config(server.port)) as (second, _):
            await until(lambda: second.links == [False], PATIENCE)
            assert "no free session" in second.reasons[0]
        assert book.links == [True]
        assert server.sessions == 1


async def test_intervals_that_the_control_does_not_know_are_accepted_as_it_revises_them_and_told(
    cnc: CncServer,
) -> None:
    device = config(cnc.port, sampling={"default_ms": 130, "steps_ms": [130, 400]})
    async with watched(device) as (book, _):
        await until(lambda: book.good("asked") == 0 and book.links == [True], PATIENCE)
        assert book.noted("130 ms asked for, 250 ms granted")
        server = cnc._server
        assert server is not None
        subscriptions = server.iserver.subscription_service.subscriptions.values()
        assert {sub.data.RevisedPublishingInterval for sub in subscriptions} == {250}


async def test_many_items_are_split_and_the_intervals_asked_for_are_the_control_s(cnc: CncServer) -> None:
    tags: list[dict[str, Any]] = [
        {"name": f"r{n}", "standard": "r_parameter", "index": n} for n in (10, 11, 20, 21, 22)
    ]
    tags += [{"name": "asked", "node": R20, "type": "uint32", "sample_ms": 900}]
    device = config(cnc.port, tags=tags, sampling={"default_ms": 180, "max_items": 3})
    async with watched(device) as (book, _):
        await until(lambda: len(book.current) == 6 and book.links == [True], PATIENCE)
        server = cnc._server
        assert server is not None
        subscriptions = list(server.iserver.subscription_service.subscriptions.values())
        assert sorted(
            (sub.data.RevisedPublishingInterval, len(sub.monitored_item_srv._monitored_items)) for sub in subscriptions
        ) == [(250, 2), (250, 3), (250, 3), (1000, 2)]
        assert not book.noted("granted")


async def test_items_beyond_what_the_control_samples_are_bad_the_others_good() -> None:
    server = CncServer(machine(), limits=Limits(samples=20))
    async with server.open(), watched(config(server.port)) as (book, _):
        await until(lambda: len(book.current) == 3 and book.links == [True], PATIENCE)
        bad = [name for name, reading in book.current.items() if reading.quality is Quality.BAD]
        assert len(bad) == 1
        assert "BadTooManyMonitoredItems" in book.current[bad[0]].reason


# ---------------------------------------------------------------- writing back


async def test_an_output_is_written_in_the_node_s_own_type_and_seen_before_it_counts(cnc: CncServer) -> None:
    tags = [
        {"name": "tool_id"},
        {"name": "answer", "node": R21, "access": "write"},
        {"name": "gud", "node": "/NC/_N_NC_GD3_ACX/VISION_OK", "type": "int32", "access": "write"},
    ]
    async with watched(config(cnc.port, tags=tags)) as (book, source):
        source.want("answer", -7)
        source.want("gud", 3)
        await until(lambda: len(book.writes) == 2, PATIENCE)
        assert sorted(book.writes) == [("answer", -7, ""), ("gud", 3, "")]
        assert (cnc.machine.r[ANSWER], cnc.machine.gud["VISION_OK"]) == (-7.0, 3.0)
        assert (source.taken("answer"), source.taken("gud")) == (-7, 3)
        source.want("gud", 2.5)
        await until(lambda: bool(book.writes[-1][2]), PATIENCE)
        assert "does not fit a node of type Int32" in book.writes[-1][2]
        assert cnc.machine.gud["VISION_OK"] == 3.0
        assert source.taken("gud") is None


async def test_the_quality_of_the_part_of_a_machine_tool_is_written(cnc: CncServer) -> None:
    tags = [{"name": "part_counter"}, {"name": "part_quality", "access": "write"}]
    async with watched(config(cnc.port, "machinetool", tags)) as (book, source):
        source.want("part_quality", 2)
        await until(lambda: book.writes == [("part_quality", 2, "")], PATIENCE)
        assert cnc.machine.quality == 2


async def test_what_the_device_refuses_is_tried_again_until_it_takes_it(cnc: CncServer) -> None:
    cnc.faults.refuse_writes = True
    async with watched(config(cnc.port)) as (book, source):
        source.want("answer", 1)
        await until(lambda: len(book.writes) >= 3, PATIENCE)
        assert all("BadUserAccessDenied" in error for _, _, error in book.writes[:3])
        assert source.taken("answer") is None
        assert book.links == [True]
        cnc.faults.refuse_writes = False
        await until(lambda: source.taken("answer") == 1, PATIENCE)
        assert cnc.machine.r[ANSWER] == 1.0


async def test_a_value_that_was_accepted_and_is_not_shown_is_not_written(cnc: CncServer) -> None:
    cnc.faults.no_read_back = True
    async with watched(config(cnc.port)) as (book, source):
        source.want("answer", 1)
        await until(lambda: bool(book.writes), PATIENCE)
        assert "was written and accepted, but the device shows 0.0" in book.writes[0][2]
        assert source.taken("answer") is None
        cnc.faults.no_read_back = False
        await until(lambda: source.taken("answer") == 1, PATIENCE)


async def test_without_read_back_the_device_s_word_is_enough(cnc: CncServer) -> None:
    cnc.faults.no_read_back = True
    answer = {"name": "answer", "node": R21, "access": "write", "read_back": False}
    tags: list[dict[str, Any]] = [{"name": "tool_id"}, answer]
    async with watched(config(cnc.port, tags=tags)) as (book, source):
        source.want("answer", 1)
        await until(lambda: book.writes == [("answer", 1, "")], PATIENCE)


async def test_an_output_is_written_again_after_a_reconnection_and_refreshed(cnc: CncServer) -> None:
    async with watched(config(cnc.port), refresh=0.2) as (book, source):
        source.want("answer", 4)
        await until(lambda: len(book.writes) >= 3, PATIENCE)
        await cnc.stop()
        await until(lambda: source.taken("answer") is None, PATIENCE)
        cnc.machine.r[ANSWER] = 0.0
        await cnc.restart()
        await until(lambda: cnc.machine.r[ANSWER] == 4.0 and source.taken("answer") == 4, PATIENCE)


async def test_the_clock_of_a_change_is_its_source_s(cnc: CncServer) -> None:
    cnc.machine.override = 100.0
    async with watched(config(cnc.port)) as (book, _):
        await until(lambda: book.good("asked") == 1, PATIENCE)
        reading = book.current["asked"]
        assert 0 <= time.time() - reading.utc < 5
        assert replace(reading, at=0.0).seen(reading.max_age + 1).quality is Quality.UNCERTAIN
