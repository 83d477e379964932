"""Tags of a device that other people's software plays: it may go, stand still, be slow or refuse."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from protocols.faults import Code
from protocols.modbus.device_settings import DeviceConfig
from protocols.modbus.tag_source import TagSource
from protocols.tag_sources import QUICK_TRIES, RETRY, RETRY_SLOW, retry_after
from protocols.tags import Quality, TagValue, Value
from tests.contract.test_links import running, until
from tests.machine import Machine, machine

PATIENCE = 10.0


class Book:
    """Writes down what a source tells."""

    def __init__(self) -> None:
        self.current: dict[str, TagValue] = {}
        self.told: list[tuple[str, TagValue]] = []
        self.links: list[bool] = []
        self.reasons: list[str] = []
        self.writes: list[tuple[str, Value, str]] = []

    def values(self, readings: Mapping[str, TagValue]) -> None:
        self.current |= readings
        self.told += readings.items()

    def link(self, up: bool, reason: str) -> None:
        self.links.append(up)
        self.reasons.append(reason)

    def written(self, name: str, value: Value, error: str) -> None:
        self.writes.append((name, value, error))

    def good(self, name: str) -> Value | None:
        reading = self.current.get(name)
        good = reading is not None and reading.seen(time.monotonic()).quality is Quality.GOOD
        return reading.value if good and reading is not None else None


TAGS: list[dict[str, Any]] = [
    {"name": "count", "address": 0, "max_age_ms": 3000},
    {"name": "load", "address": 4, "type": "float32", "max_age_ms": 3000},
    {"name": "door", "address": 7, "table": "coil", "max_age_ms": 3000},
    {"name": "name", "address": 8, "type": "string[5]", "group": "slow", "max_age_ms": 3000},
    {"name": "lamp", "address": 50, "access": "write"},
    {"name": "valve", "address": 9, "table": "coil", "access": "write"},
]


def config(port: int, tags: Sequence[dict[str, Any]] = TAGS, **more: Any) -> DeviceConfig:
    link = {"kind": "modbus_tcp", "host": "127.0.0.1", "port": port, "timeout_ms": 300, **more.pop("link", {})}
    groups = [{"name": "default", "period_ms": 20}, {"name": "slow", "period_ms": 100}]
    return DeviceConfig.model_validate({"name": "cnc", "link": link, "groups": groups, "tags": tags, **more})


@asynccontextmanager
async def polled(
    port: int, tags: Sequence[dict[str, Any]] = TAGS, **more: Any
) -> AsyncIterator[tuple[Book, TagSource]]:
    refresh = more.pop("refresh", 0.0)
    book, device = Book(), config(port, tags, **more)
    source = device.build(book, {tag.name: refresh for tag in device.tags if tag.access == "write"})
    async with running(source.run()):
        yield book, source


async def test_every_kind_of_value_is_read() -> None:
    async with machine() as cnc:
        cnc.words[0], cnc.coils[7] = 17, True
        cnc.put(4, "f", 1.5)
        cnc.words[8:11] = [0x5031, 0x322D, 0x4200]
        async with polled(cnc.port) as (book, _):
            await until(lambda: len(book.current) == 4, PATIENCE)
            assert {name: book.good(name) for name in book.current} == {
                "count": 17, "load": 1.5, "door": True, "name": "P12-B",
            }  # fmt: skip
            cnc.words[0] = 18
            await until(lambda: book.good("count") == 18, PATIENCE)
            assert book.links == [True]


async def test_as_few_requests_as_the_gaps_allow_each_group_in_its_own_time() -> None:
    async with machine() as cnc:
        async with polled(cnc.port, link={"quirks": {"max_gap": 10}}) as (book, _):
            await until(lambda: len(cnc.asked) > 60, PATIENCE)
            assert len(book.current) == 4
        assert {asked for asked in cnc.asked if asked[0] == 3} == {(3, 0, 6), (3, 8, 3)}
        fast = sum(asked == (3, 0, 6) for asked in cnc.asked)
        assert fast > 2 * sum(asked == (3, 8, 3) for asked in cnc.asked)


async def test_a_device_that_goes_is_bad_at_once_and_good_again_by_itself() -> None:
    cnc = Machine()
    await cnc.open()
    try:
        async with polled(cnc.port) as (book, _):
            await until(lambda: book.good("count") == 0, PATIENCE)
            await cnc.close()
            await until(lambda: book.links == [True, False], PATIENCE)
            assert {reading.quality for reading in book.current.values()} == {Quality.BAD}
            assert {reading.code for reading in book.current.values()} == {Code.LINK_LOST}
            assert "127.0.0.1" in book.current["count"].reason
            cnc.words[0] = 5
            await cnc.open()
            await until(lambda: book.good("count") == 5, PATIENCE)
            assert book.links == [True, False, True]
            first = next(n for n, (_, reading) in enumerate(book.told) if reading.value == 5)
            assert any(r.quality is Quality.BAD for name, r in book.told[:first] if name == "count")
    finally:
        await cnc.close()


async def test_a_device_that_is_not_there_is_told_once() -> None:
    async with machine() as cnc:
        port = cnc.port
    async with polled(port) as (book, _):
        await until(lambda: len(book.told) > 8, PATIENCE)  # several attempts
        assert book.links == [False]


async def test_a_device_that_stops_answering_is_never_good_with_an_old_time() -> None:
    tags = [{**tag, "max_age_ms": 60} if tag["name"] == "count" else tag for tag in TAGS]
    async with machine() as cnc, polled(cnc.port, tags, link={"timeout_ms": 1000}) as (book, _):
        await until(lambda: book.good("count") == 0, PATIENCE)
        cnc.slow = 30.0
        taken = book.current["count"].at
        await until(lambda: book.good("count") is None, PATIENCE)
        old = book.current["count"].seen(time.monotonic())
        assert (old.quality, old.code) in ((Quality.UNCERTAIN, Code.TAG_DOUBTFUL), (Quality.BAD, Code.LINK_LOST))
        assert old.at >= taken
        await until(lambda: book.links == [True, False], PATIENCE)
        assert book.current["count"].quality is Quality.BAD


async def test_a_program_that_stands_still_behind_a_network_that_answers_is_uncertain() -> None:
    async with machine() as cnc, polled(cnc.port, alive={"tag": "count", "timeout_ms": 300}) as (book, _):
        await until(lambda: bool(book.told), PATIENCE)
        assert book.current["load"].quality is Quality.UNCERTAIN  # not proved yet
        cnc.words[0] += 1
        await until(lambda: book.good("load") == 0, PATIENCE)
        await until(lambda: book.current["load"].quality is Quality.UNCERTAIN, PATIENCE)
        assert "count has not changed for 0.3 s" in book.current["load"].reason
        assert book.links == [True]


async def test_a_slow_device_and_a_dead_one_delay_no_other() -> None:
    async with machine() as slow, machine() as quick, machine() as gone:
        slow.slow = 0.25
        await gone.close()
        async with polled(slow.port) as (late, _), polled(gone.port) as (dead, _), polled(quick.port) as (book, _):
            await until(lambda: late.good("count") is not None and bool(dead.links), PATIENCE)
            before, slowly = len(quick.asked), len(slow.asked)
            await until(lambda: len(quick.asked) - before >= 60, PATIENCE)
            assert len(slow.asked) - slowly < 60 / 2, "they take turns"
            assert book.links == [True]
            assert late.links == [True]
            quick.words[0] = 1
            await until(lambda: book.good("count") == 1, PATIENCE)


async def test_an_address_that_is_refused_costs_only_its_own_tag() -> None:
    async with machine() as cnc:
        cnc.refused = {4, 5}
        async with polled(cnc.port, link={"quirks": {"max_gap": 10}}) as (book, _):
            await until(lambda: book.good("count") == 0 and "load" in book.current, PATIENCE)
            assert book.current["load"].quality is Quality.BAD
            assert "exception 02" in book.current["load"].reason
            assert book.links == [True]
            cnc.refused = set()
            await until(lambda: book.good("load") == 0, PATIENCE)


async def test_outputs_are_written_on_change_at_each_connection_and_refreshed() -> None:
    cnc = Machine()
    await cnc.open()
    try:
        async with polled(cnc.port, refresh=0.1) as (book, source):
            source.want("lamp", 3)
            source.want("valve", True)
            await until(lambda: cnc.words[50] == 3 and cnc.coils[9], PATIENCE)
            await until(lambda: sum(at == 50 for _, at, _ in cnc.writes) >= 4, PATIENCE)
            source.want("lamp", 4)
            await until(lambda: source.taken("lamp") == 4, PATIENCE)
            assert cnc.values(50) == [3, 4]
            await cnc.close()
            await until(lambda: book.links == [True, False], PATIENCE)
            assert source.taken("lamp") is None
            cnc.words[50] = 0
            source.want("lamp", 5)
            await cnc.open()
            await until(lambda: cnc.words[50] == 5, PATIENCE)
            assert cnc.values(50) == [3, 4, 5]
    finally:
        await cnc.close()


async def test_without_refresh_an_output_is_written_once() -> None:
    async with machine() as cnc, polled(cnc.port) as (_, source):
        for _ in range(5):
            source.want("lamp", 3)
        await until(lambda: len(cnc.asked) > 30, PATIENCE)
        assert [at for _, at, _ in cnc.writes].count(50) == 1


async def test_the_newest_value_wins_and_none_is_queued() -> None:
    async with machine() as cnc, polled(cnc.port) as (_, source):
        cnc.slow = 0.1
        await until(lambda: len(cnc.asked) > 1, PATIENCE)
        for value in range(1, 50):
            source.want("lamp", value)
            await asyncio.sleep(0)
        await until(lambda: cnc.words[50] == 49, PATIENCE)
        assert len(cnc.values(50)) <= 2


async def test_a_refused_write_is_told_and_tried_again_and_the_link_stays_up() -> None:
    async with machine() as cnc, polled(cnc.port) as (book, source):
        cnc.deny_writes = True
        source.want("lamp", 3)
        await until(lambda: bool(book.writes), PATIENCE)
        assert book.writes[0][:2] == ("lamp", 3)
        assert "exception 02" in book.writes[0][2]
        cnc.deny_writes = False
        await until(lambda: book.writes[-1] == ("lamp", 3, ""), PATIENCE)
        assert book.links == [True]


async def test_a_refused_write_is_tried_again_before_the_next_part_is_there_and_reading_goes_on() -> None:
    async with machine() as cnc, polled(cnc.port) as (book, source):
        source.want("valve", True)
        await until(lambda: source.taken("valve") is True, PATIENCE)
        cnc.deny_writes = True
        begun = time.monotonic()
        source.want("valve", False)
        await until(lambda: len(book.writes) > 8, PATIENCE)
        assert time.monotonic() - begun < 5.0, "eight pauses of a second each are too long for an open gate"
        cnc.words[0] = 41
        await until(lambda: book.good("count") == 41, PATIENCE)
        cnc.deny_writes = False
        await until(lambda: cnc.coils[9] is False and source.taken("valve") is False, PATIENCE)


def test_an_output_that_is_refused_for_ever_is_tried_slowly_in_the_end() -> None:
    assert (retry_after(1), retry_after(QUICK_TRIES - 1), retry_after(QUICK_TRIES)) == (RETRY, RETRY, RETRY_SLOW)
    assert RETRY <= 0.05
