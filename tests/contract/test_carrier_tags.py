"""Devices that a carrier process reads and writes: for the book of tags they are devices like any other."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import time
from collections.abc import AsyncIterator, Callable, Mapping

import psutil
import pytest

from gateway.carrier_process import CarrierProcess
from gateway.carrier_tags import CarrierTagSource
from gateway.opcua import wire
from protocols.faults import Code
from protocols.tags import Quality, Tag, TagValue, Value

pytestmark = pytest.mark.timeout(90)
PATIENCE = 30.0
NAMES = tuple(f"tag{n}" for n in range(300))


class Book:
    """The book of tags, and one device of it."""

    def __init__(self, **config: object) -> None:
        self.now: dict[str, TagValue] = {}
        self.links: list[bool] = []
        self.writes: list[tuple[str, Value, str]] = []
        self.events: list[tuple[int, str]] = []
        self.source = CarrierTagSource("cnc", {name: Tag(name) for name in NAMES}, self)
        self.carrier = CarrierProcess("client", [], lambda *event: self.events.append(event), "tests.played_client")
        device = wire.CarriedDevice("cnc", {"tags": list(NAMES), **config}, {"tag1": 0.5}, ("tag0",))
        self.carrier.tell(wire.Start(devices=(device,), nice=0))
        self.carrier.add_device(self.source)

    def values(self, readings: Mapping[str, TagValue]) -> None:
        self.now |= readings

    def link(self, up: bool, reason: str) -> None:
        self.links.append(up)

    def written(self, name: str, value: Value, error: str) -> None:
        self.writes.append((name, value, error))

    async def until(self, holds: Callable[[], object], what: str) -> None:
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end, f"{what}; {self.events}"
            await asyncio.sleep(0.005)

    def good(self) -> bool:
        return len(self.now) == len(NAMES) and all(value.quality is Quality.GOOD for value in self.now.values())


@contextlib.asynccontextmanager
async def book_of(**config: object) -> AsyncIterator[Book]:
    book = Book(**config)
    running = asyncio.create_task(book.carrier.run())
    try:
        yield book
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        book.carrier.close()


async def test_readings_come_and_outputs_go() -> None:
    async with book_of() as book:
        book.source.want("tag1", 7)  # before anything runs
        await book.until(book.good, "all tags are read")
        assert book.now["tag299"].value == 299
        assert 0 <= book.now["tag0"].age(time.monotonic()) < PATIENCE
        assert book.links == [True]
        await book.until(lambda: book.source.taken("tag1") == 7, "the output is taken")
        book.source.want("tag1", 13)
        await book.until(lambda: book.writes[-1] == ("tag1", 13, "it does not like it"), "refused")
        assert book.source.taken("tag1") is None


async def test_with_the_process_all_tags_are_bad_and_with_the_next_one_outputs_are_written_again() -> None:
    async with book_of() as book:
        book.source.want("tag1", 7)
        await book.until(lambda: book.good() and book.source.taken("tag1") == 7, "it works")
        assert book.carrier.child is not None
        psutil.Process(book.carrier.child.pid).send_signal(signal.SIGKILL)
        await book.until(lambda: book.links == [True, False], "the device is lost")
        assert {value.code for value in book.now.values()} == {Code.LINK_LOST}
        assert book.source.taken("tag1") is None
        await book.until(lambda: book.good() and book.source.taken("tag1") == 7, "it works again")
        assert book.links == [True, False, True]


async def test_a_device_that_fails_inside_is_tried_again_in_the_same_process() -> None:
    async with book_of(fails=True) as book:
        await book.until(book.good, "all tags are read")
        assert book.carrier.starts == 1
        assert (Code.INTERNAL, "cnc: RuntimeError: a part of it broke") in book.events


async def test_a_device_that_cannot_be_is_one_sentence() -> None:
    async with book_of(impossible=True) as book:
        await book.until(lambda: book.events, "told")
        assert book.events[0] == (Code.CONFIG_INVALID, "device cnc: impossible")
        assert not book.links or book.links == [False]
