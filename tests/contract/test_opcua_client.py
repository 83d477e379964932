"""The OPC UA client link against PLCs that restart, fall silent, are cut off, or show what they should not."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from protocols.faults import Code
from protocols.opcua.client import OpcUaClientLink
from protocols.signals import VALUES, Command, Outputs, Result, Status, StatusBit
from simulators.fault_proxy import FaultProxy
from simulators.opcua_block import BOOLEAN, FLOAT, INT32, STRING, program_reads
from simulators.opcua_server import S7Server
from tests.contract.opcua_nodes import DOWN, UP, Events, link_to, server
from tests.contract.opcua_wire import ENDLESS, acknowledge, additional, opened
from tests.contract.test_links import Recorder, running, until

BACK = 20.0
"""Seconds until the link must be up again: what is promised, and the slack of a busy computer."""
VALID, READY = StatusBit.RESULT_VALID, StatusBit.READY


@asynccontextmanager
async def linked(plc: S7Server, **changes: Any) -> AsyncIterator[tuple[Recorder, OpcUaClientLink, Events]]:
    events, station = Events(), Recorder()
    link = link_to(plc, events, **changes)
    link.attach(station)
    async with running(link.run()):
        yield station, link, events


@asynccontextmanager
async def behind_proxy() -> AsyncIterator[tuple[S7Server, FaultProxy, str]]:
    """A PLC, the faulty wire to it, and the URL of the wire."""
    async with server() as plc, FaultProxy("127.0.0.1", plc.port).open() as proxy:
        yield plc, proxy, f"opc.tcp://127.0.0.1:{proxy.port}"


async def up(station: Recorder, seconds: float = BACK) -> None:
    await until(lambda: bool(station.states) and station.states[-1] is UP and station.told[-1] is not UP, seconds)


def flows(station: Recorder) -> Callable[[], bool]:
    """Whether new commands have come since now."""
    before = len(station.told)
    return lambda: len(station.told) > before + 3 and isinstance(station.told[-1], Command)


# ---------------------------------------------------------------- coming back


@pytest.mark.parametrize("move", [False, True])
async def test_e12_a_server_that_restarts_is_found_again_also_under_another_index(move: bool) -> None:
    async with server() as plc, linked(plc) as (station, link, _):
        await plc.set({"TRIGGER_SEQ": 7, "CONTROL": 1})
        await until(lambda: station.commands[-1:] == [Command(control=1, trigger_seq=7)])
        link.publish(Outputs(Status(bits=READY, boot_id=9)))
        await until(lambda: plc.get("BOOT_ID") == 9)
        await plc.restart(move=move)
        await until(lambda: station.states == [UP, DOWN, UP] and station.told[-1] is not UP, BACK)
        told = station.told[station.told.index(DOWN) :]
        assert Command(control=1, trigger_seq=7) not in told, "an old value was taken for a fresh one"
        await until(lambda: plc.get("BOOT_ID") == 9)  # what the PLC has lost is written again
        assert plc.get("STATUS") == READY


async def test_a_broken_connection_is_replaced_22_times_and_no_session_is_left_behind() -> None:
    async with server(sessions=3) as plc, linked(plc) as (station, _, _events):
        await up(station)
        for _ in range(22):
            plc.cut()
            await until(flows(station), BACK)
        assert plc.sessions <= 2
        assert plc.counts.refused == 0
        assert plc.counts.sessions >= 23
        await plc.set({"TRIGGER_SEQ": 9})
        await until(lambda: station.last.trigger_seq == 9)
        assert station.states[-1] is UP


@pytest.mark.parametrize("way", ["rst", "fin"])
async def test_a_reset_or_ended_connection_comes_back(way: str) -> None:
    async with behind_proxy() as (plc, proxy, url), linked(plc, url=url) as (station, _, _events):
        await up(station)
        getattr(proxy, way)()
        await until(lambda: station.states[-1] is DOWN)
        await up(station)
        assert station.states == [UP, DOWN, UP]


@asynccontextmanager
async def black_hole(proxy: FaultProxy) -> AsyncIterator[None]:
    """Everything is swallowed, on new connections too, and nobody is told."""

    async def swallow() -> None:
        while True:
            proxy.drop()
            await asyncio.sleep(0.005)

    async with running(swallow()):
        yield


async def test_a_black_hole_is_noticed_and_left_behind() -> None:
    async with behind_proxy() as (plc, proxy, url), linked(plc, url=url, timeout_ms=500) as (station, _, events):
        await up(station)
        async with black_hole(proxy):
            await until(lambda: station.states[-1] is DOWN)
            assert "no answer" in station.reasons[-1]
            await asyncio.sleep(2.5)
            assert station.states == [UP, DOWN]
        await until(lambda: station.states == [UP, DOWN, UP], BACK)
        assert {code for code, _ in events.told} <= {Code.LINK_LOST, Code.PEER_REFUSED}


async def test_nothing_is_delivered_while_the_server_is_silent() -> None:
    async with behind_proxy() as (plc, proxy, url), linked(plc, url=url, timeout_ms=300) as (station, link, _):
        await up(station)
        async with black_hole(proxy):
            await until(lambda: station.states[-1] is DOWN)
            told = len(station.told)
            await plc.set({"TRIGGER_SEQ": 3})
            await asyncio.sleep(0.3)
            assert len(station.told) == told
            assert link.age > 0.3


async def test_a_cancelled_link_ends_at_once_and_closes_its_session() -> None:
    async with server() as plc:
        async with linked(plc) as (station, _, _events):
            await up(station)
            assert plc.sessions == 1
        assert (plc.sessions, plc.counts.closed) == (0, 1)


async def test_closing_never_hangs_where_nobody_listens_any_more() -> None:
    async with behind_proxy() as (plc, proxy, url), linked(plc, url=url, timeout_ms=10_000) as (station, _, _events):
        await up(station)
        proxy.drop()
        began = time.monotonic()
        assert time.monotonic() - began < 10.0, "it waited for an answer"


async def test_a_server_that_is_not_there_is_told_once() -> None:
    async with server() as plc:
        pass
    async with linked(plc) as (station, _, events):
        await until(lambda: bool(station.told))
        await asyncio.sleep(0.7)
        assert station.told == [DOWN]
        assert len(events.about("no connection")) <= 1
        await plc.start()
        await up(station)
        await plc.stop()


@pytest.mark.parametrize("kind", ENDLESS)
async def test_e08_a_server_whose_answer_has_no_end_holds_nobody_up(kind: str) -> None:
    came: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(kind)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            for reply in (acknowledge(), opened(additional(ENDLESS[kind]))):
                head = await reader.readexactly(8)
                await reader.readexactly(int.from_bytes(head[4:8], "little") - 8)
                writer.write(reply)
            await reader.read()
        writer.close()

    rogue = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"opc.tcp://127.0.0.1:{rogue.sockets[0].getsockname()[1]}"
    async with rogue, server() as plc, linked(plc) as (sound, _, _), linked(plc, url=url) as (station, _, _events):
        await up(sound)
        await until(lambda: len(came) > 1, 20)
        assert station.states == [DOWN]
        assert sound.states == [UP]


async def test_a_server_without_a_free_session_is_told_and_asked_slowly() -> None:
    async with server(sessions=1) as plc, linked(plc) as (first, _, _events):
        await up(first)
        async with linked(plc) as (second, _, events):
            await until(lambda: bool(events.about("no free session")))
            assert events.about("no free session")[0][0] == Code.CLIENT_LIMIT
            await asyncio.sleep(1.0)
            assert plc.counts.refused <= 2
            assert second.states == [DOWN]


# ---------------------------------------------------------------- nodes that are not as they should be

BAD, UNCERTAIN = 0x808D_0000, 0x40A4_0000


@pytest.mark.parametrize("status", [BAD, UNCERTAIN])
@pytest.mark.parametrize("name", ["TRIGGER_SEQ", "CONTROL", "PART_ID"])
async def test_e14_a_value_that_is_not_good_is_no_command(name: str, status: int) -> None:
    async with server() as plc, linked(plc) as (station, link, _):
        await plc.set({"TRIGGER_SEQ": 7, "CONTROL": 1})
        await until(lambda: station.commands[-1:] == [Command(control=1, trigger_seq=7)])
        await plc.mark(name, status)
        await until(lambda: station.states[-1] is DOWN)
        assert name in station.reasons[-1]
        told = len(station.told)
        link.publish(Outputs(Status(heartbeat=55)))
        await until(lambda: plc.get("HEARTBEAT") == 55)  # the PLC is still told what we are
        assert len(station.told) == told
        await plc.mark(name, 0)
        await plc.set({"TRIGGER_SEQ": 8})
        await until(lambda: station.states[-1] is UP)
        before = station.told.index(UP, told)
        await until(lambda: len(station.told) > before + 1)
        assert plc.counts.sessions == 1


@pytest.mark.parametrize(
    ("name", "kind", "cause"),
    [
        ("JUDGEMENT", FLOAT, "cannot hold a UINT; make it UInt16 (UINT)"),
        ("TRIGGER_SEQ", STRING, "cannot hold a UINT"),
        ("HEARTBEAT", BOOLEAN, "cannot hold a UINT"),
        ("SCORE", INT32, "make it Float"),
        ("VALUE", FLOAT, "is an array of 13 REAL"),
    ],
)
async def test_e15_an_unsuitable_type_is_told_by_name_and_the_link_stays_down(name: str, kind: int, cause: str) -> None:
    async with server() as plc:
        plc.types = {name: kind}
        if name == "VALUE":
            plc.lengths = {name: 0}
        await plc.restart()
        async with linked(plc) as (station, _, events):
            await until(lambda: bool(events.about(name)))
            code, text = events.about(name)[0]
            assert code == Code.CONFIG_INVALID
            assert cause in text
            assert station.told == [DOWN]
            plc.types, plc.lengths = {}, {}
            await plc.restart()
            await up(station)


@pytest.mark.parametrize("value", ["x" * 200_000, "täg"])
async def test_e15_a_huge_or_foreign_text_harms_nobody(value: str) -> None:
    async with server() as plc, linked(plc) as (station, _, _events):
        await plc.set({"SERIAL": value, "TRIGGER_SEQ": 3})
        await until(lambda: station.last.trigger_seq == 3)
        assert station.last.serial == value.replace("ä", "?")[:32]


async def test_a_number_that_the_contract_does_not_have_is_no_trigger() -> None:
    async with server() as plc:
        plc.types = {"TRIGGER_SEQ": INT32}
        await plc.restart()
        async with linked(plc) as (station, _, _events):
            await plc.set({"TRIGGER_SEQ": 65535})
            await until(lambda: station.commands[-1:] == [Command(trigger_seq=65535)])
            await plc.set({"TRIGGER_SEQ": 65536})
            await until(lambda: station.states[-1] is DOWN)
            assert "65536" in station.reasons[-1]
            await plc.set({"TRIGGER_SEQ": 1})
            await up(station)


async def test_a_node_that_may_not_be_written_is_told_by_name() -> None:
    async with server() as plc:
        await plc.protect("JUDGEMENT")
        async with linked(plc) as (station, _, events):
            await until(lambda: bool(events.about("JUDGEMENT")))
            assert "may not be written" in events.about("JUDGEMENT")[0][1]
            assert UP not in station.states


async def test_a_node_that_is_missing_and_a_namespace_that_is_missing_are_told() -> None:
    async with server() as plc:
        nodes: dict[str, dict[str, str]] = {}
        async with linked(plc) as (_, link, _events):
            plan = link._plan
        for where, entries in (("command", plan.command), ("outputs", plan.outputs)):
            nodes[where] = {entry.name: str(entry.node) for entry in entries}
        nodes["command"]["PART_ID"] = 'ns=3;s="VisionDB"."Cmd"."Gone"'
        async with linked(plc, nodes=nodes) as (_, _, events):
            await until(lambda: bool(events.about("Gone")))
            assert "cannot be read (BadNodeIdUnknown)" in events.about("Gone")[0][1]
        async with linked(plc, namespaces={"plc": "urn:nobody"}) as (station, _, _events):
            await until(lambda: bool(station.told))
            assert "has no namespace urn:nobody; it has 0 http://opcfoundation.org/UA/" in station.reasons[0]


# ---------------------------------------------------------------- C-16: nothing is consistent but a single value


async def test_c16_a_command_is_delivered_as_it_stood_at_one_instant() -> None:
    """The PLC's program goes on between any two values that a request reads."""
    draw = random.Random(1)
    number, steps = 0, iter(())

    def program() -> Any:
        nonlocal number
        while True:
            number += 1
            yield {"PART_ID": number * 1000}
            yield {"SERIAL": f"S{number}"}
            yield {"USER": [number] * 6}
            yield {"TRIGGER_SEQ": number}
            for _ in range(draw.randrange(0, 150)):
                yield {}

    steps = program()
    async with server() as plc:

        async def between() -> None:
            await plc.set(next(steps))

        async with linked(plc) as (station, _, _events):
            await up(station)
            plc.between = between
            await until(lambda: number > 300, 40)
            plc.between = None
    seen = 0
    for command in station.commands:
        if command.trigger_seq == seen or not command.trigger_seq:
            continue
        seen = command.trigger_seq
        assert (command.part_id, command.serial, command.user) == (seen * 1000, f"S{seen}", (seen,) * 6)
    assert seen > 100


@pytest.mark.parametrize("bitwise", [False, True])
@pytest.mark.parametrize("copy", [False, True])
async def test_c16_a_result_is_whole_wherever_between_two_values_the_plc_looks(bitwise: bool, copy: bool) -> None:
    looks, torn = 0, []

    def outputs(number: int) -> Outputs:
        bits = VALID | (READY if number % 2 else 0) | (StatusBit.RESULT_TOGGLE if number % 2 else 0)
        return Outputs(
            Status(bits=bits, newest_result_seq=number, boot_id=9),
            Result(
                number, number, number * 1000, number % 2 + 1, 1 << number % 2, score=number, values=(number,) * VALUES
            ),
        )

    async with server() as plc:
        before = Outputs()

        async def between() -> None:
            nonlocal looks, before
            looks += 1
            image = plc.image()
            before = program_reads(image, before)
            status, result = before.status, before.result
            number = result.result_seq
            if status.bits & VALID and status.boot_id and result != outputs(number).result:
                torn.append(f"{number}: {result}")
            if image["STATUS"] & VALID and image["RESULT_SEQ"] != image["Res TRIGGER_SEQ"]:
                torn.append("numbers")

        async with linked(plc, bitwise=bitwise, copy=copy) as (station, link, _):
            await up(station)
            plc.between = between
            for number in range(1, 40):
                link.publish(outputs(number))
                await until(lambda wanted=number: plc.get("RESULT_SEQ") == wanted)  # type: ignore[misc]
            plc.between = None
    assert not torn
    assert looks > 500
