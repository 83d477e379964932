"""The Modbus client with devices that take small requests, have mapped fields, are busy, or accept one connection."""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from itertools import combinations_with_replacement
from typing import Any

import pytest

from protocols.codec import Codec
from protocols.link import Link, LinkState
from protocols.links import build
from protocols.modbus.client import ClientLink
from protocols.modbus.client_settings import ModbusClientConfig
from protocols.modbus.registers import Table
from protocols.modbus.turns import BUSY_RETRIES, Turn
from protocols.signals import Command, Outputs, Result, Status, StatusBit
from tests.contract.scripted_plc import ScriptedPlc, exception
from tests.contract.test_links import Recorder, ignore, running, until, words_of
from tests.contract.test_modbus_client import polled

CODEC = Codec()
FIELDS = {
    "command": {
        "CONTROL.ENABLE": {"table": "coil", "address": 8},
        "CONTROL.TRIGGER": {"address": 30, "bit": 2},
        "TRIGGER_SEQ": 40,
        "RESULT_ACK_SEQ": 41,
        "PART_ID": 44,
        "SERIAL": {"address": 50, "words": 8},
    },
    "outputs": {
        "STATUS.READY": {"table": "coil", "address": 9},
        "STATUS.FAULT": {"address": 160, "bit": 3},
        "HEARTBEAT": 161,
        "TRIGGER_SEQ_ACK": 162,
        "RESULT_SEQ": 170,
        "TRIGGER_SEQ": 171,
        "JUDGEMENT": 172,
        "PART_ID": 173,
        "RESULT_SEQ_COPY": 179,
    },
}
DEVICES: dict[str, dict[str, Any]] = {
    "blocks of 20": {"quirks": {"max_read": 20, "max_write": 20}},
    "blocks of 9": {"quirks": {"max_read": 9, "max_write": 9}},
    "word by word": {"quirks": {"max_read": 4, "fc16": False}},
    "fields": {"fields": FIELDS},
    # What starts something comes in two requests, and a payload with the first of them.
    "control apart": {
        "fields": {"command": {"CONTROL": 10, "PART_ID": 11, "TRIGGER_SEQ": 30, "RESULT_ACK_SEQ": 31, "SERIAL": 13}}
    },
}


WORDS = {"CONTROL": (0, 1), "TRIGGER_SEQ": (1, 1), "RESULT_ACK_SEQ": (2, 1), "PART_ID": (8, 2), "SERIAL": (16, 8)}


def lay(plc: ScriptedPlc, device: str, command: Command, words: range = range(32)) -> None:
    """What the PLC's program writes: these words of the command block, wherever they lie."""
    block = words_of(CODEC.encode_command(command))
    fields = DEVICES[device].get("fields")
    if fields is None:
        for word in words:
            plc.registers[word] = block[word]
        return
    for name, at in fields["command"].items():
        address = at if isinstance(at, int) else at["address"]
        word, size = WORDS[name.partition(".")[0]]
        if word not in words:
            continue
        if name == "CONTROL.ENABLE":
            plc.coils[address] = bool(command.control & 1)
        elif name == "CONTROL.TRIGGER":
            plc.registers[address] = (command.control >> 1 & 1) << 2
        else:
            plc.registers[address : address + size] = block[word : word + size]


def number_at(device: str) -> int:
    """Where TRIGGER_SEQ lies."""
    return int(DEVICES[device]["fields"]["command"]["TRIGGER_SEQ"]) if "fields" in DEVICES[device] else 1


STARTING, PAYLOAD = range(8), range(8, 32)


def seen_by(plc: ScriptedPlc) -> Outputs:
    """What the PLC's program sees in a block."""
    block = b"".join(word.to_bytes(2, "big") for word in plc.registers[100:164])
    result = CODEC.decode_result(block[32:])
    assert result is not None, "torn"
    return Outputs(CODEC.decode_status(block[:32]), result)


@pytest.mark.parametrize("device", DEVICES)
async def test_c16_a_trigger_is_never_seen_before_its_part_wherever_the_reading_is_torn(device: str) -> None:
    """The program writes the part before one of our requests, and the trigger before the same or a later one."""
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, scan_ms=1, timeout_ms=2000, **DEVICES[device]) as (station, _):
        await until(lambda: LinkState.UP in station.told and not plc.registers[1])
        reads = [frame for frame in plc.asked if frame[7] in (1, 3)]
        width = len({frame[7:12] for frame in reads})
        assert width >= 2
        for number, (early, late) in enumerate(combinations_with_replacement(range(2 * width), 2), 1):
            command = Command(control=1, trigger_seq=number, part_id=1000 + number, serial=f"S{number}")
            script = Script(plc, device, command, early, late)
            plc.before = script.before
            await until(lambda wanted=number: station.commands[-1].trigger_seq == wanted, 10)  # type: ignore[misc]
            first = next(c for c in station.commands if c.trigger_seq == number)
            assert (first.part_id, first.serial) == (command.part_id, command.serial), (early, late)


@pytest.mark.parametrize("device", DEVICES)
async def test_c16_a_trigger_given_up_while_it_is_read_never_gets_the_next_part(device: str) -> None:
    """A rude program: part and trigger before one of our requests, the next part and trigger before a later one."""
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, scan_ms=1, timeout_ms=2000, **DEVICES[device]) as (station, _):
        await until(lambda: LinkState.UP in station.told)
        width = len({frame[7:12] for frame in plc.asked if frame[7] in (1, 3)})
        number = 0
        for early, late in combinations_with_replacement(range(1, 2 * width + 2), 2):
            number += 2
            first, second = (
                Command(control=1, trigger_seq=n, part_id=1000 + n, serial=f"S{n}") for n in (number - 1, number)
            )
            script = Script(plc, device, first, early, early)
            script.add(late, second)
            plc.before = script.before
            await until(lambda wanted=number: station.commands[-1].trigger_seq == wanted, 10)  # type: ignore[misc]
        triggers: dict[int, Command] = {}
        for command in station.commands:
            triggers.setdefault(command.trigger_seq, command)
        triggers.pop(0)
        assert all((c.part_id, c.serial) == (1000 + n, f"S{n}") for n, c in triggers.items())


class Script:
    """The program of a PLC between our requests: `early` the part, `late` the trigger, counted from 0."""

    def __init__(self, plc: ScriptedPlc, device: str, command: Command, early: int, late: int) -> None:
        self.plc, self.device = plc, device
        self.at: dict[int, list[tuple[Command, range]]] = {early: [(command, PAYLOAD)]}
        self.at.setdefault(late, []).append((command, STARTING))
        self.reads = 0

    def add(self, at: int, command: Command) -> None:
        """Part and trigger at once, behind what is there."""
        self.at.setdefault(at, []).extend(((command, PAYLOAD), (command, STARTING)))

    def before(self, frame: bytes) -> None:
        if frame[7] in (1, 3):
            for command, words in self.at.get(self.reads, ()):
                lay(self.plc, self.device, command, words)
            self.reads += 1


@pytest.mark.parametrize("device", DEVICES)
async def test_c16_a_program_that_never_waits_gets_every_part_under_its_own_number(device: str) -> None:
    """As fast as the contract allows: the next part is written as soon as the trigger was acknowledged."""
    plc = ScriptedPlc()
    number, acknowledged = 1, 0

    def before(frame: bytes) -> None:
        nonlocal number
        if acknowledged == number:
            number += 1
            lay(plc, device, Command(control=1, trigger_seq=number - 1, part_id=number, serial=f"S{number}"))
        elif plc.registers[number_at(device)] != number:
            lay(plc, device, Command(control=1, trigger_seq=number, part_id=number, serial=f"S{number}"), STARTING)

    async with plc.open(), polled(plc, scan_ms=1, timeout_ms=2000, **DEVICES[device]) as (station, _):
        lay(plc, device, Command(part_id=1, serial="S1"), PAYLOAD)
        await until(lambda: LinkState.UP in station.told)
        triggered: list[Command] = []

        def answer(command: Command) -> None:
            nonlocal acknowledged
            if command.trigger_seq != acknowledged:
                acknowledged = command.trigger_seq
                triggered.append(command)

        station.answer = answer
        plc.before = before
        await until(lambda: len(triggered) >= 60, 20)
    assert [(c.trigger_seq, c.part_id, c.serial) for c in triggered] == [
        (n, n, f"S{n}") for n in range(1, len(triggered) + 1)
    ]


SHOWN = Outputs(
    Status(bits=StatusBit.READY | StatusBit.RESULT_VALID, heartbeat=7, trigger_seq_ack=3),
    Result(result_seq=5, trigger_seq=3, part_id=0x0001_0002, judgement=1, values=(1.5,) * 13),
)


@pytest.mark.parametrize("device", [name for name in DEVICES if "quirks" in DEVICES[name]])
async def test_outputs_arrive_whole_in_requests_the_device_can_take(device: str) -> None:
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, **DEVICES[device]) as (_, link):
        await until(lambda: plc.registers[115] == 1)
        link.publish(SHOWN)
        await until(lambda: plc.registers[100] == SHOWN.status.bits)
        assert seen_by(plc) == SHOWN
        before = len(plc.asked)
        link.publish(replace(SHOWN, status=replace(SHOWN.status, heartbeat=8)))
        await until(lambda: plc.registers[101] == 8)
        assert len([frame for frame in plc.asked[before:] if frame[7] in (6, 16)]) == 1
    limit = DEVICES[device]["quirks"].get("max_write", 1)
    assert all(int.from_bytes(frame[10:12], "big") <= limit for frame in plc.asked if frame[7] == 16)
    assert set(plc.functions) == ({3, 6} if device == "word by word" else {3, 6, 16} & set(plc.functions))


async def test_mapped_outputs_arrive_and_nothing_else_is_touched() -> None:
    plc = ScriptedPlc()
    plc.registers = [0xAAAA] * len(plc.registers)
    for address in (30, 40, 41, 44, 45, *range(50, 58)):
        plc.registers[address] = 0
    async with plc.open(), polled(plc, **DEVICES["fields"]) as (_, link):
        link.publish(SHOWN)
        await until(lambda: plc.coils[9])
    assert plc.registers[160:163] == [0, 7, 3]
    assert plc.registers[170:175] == [5, 3, 1, 1, 2]
    assert plc.registers[179] == 5
    mine = {160, 161, 162, 170, 171, 172, 173, 174, 179, 30, 40, 41, 44, 45, *range(50, 58)}
    assert all(word == 0xAAAA for address, word in enumerate(plc.registers) if address not in mine)
    assert sum(plc.coils) == 1


async def test_a_bit_in_a_coil_and_one_in_a_register_are_one_command() -> None:
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, **DEVICES["fields"]) as (station, _):
        lay(plc, "fields", Command(control=3, trigger_seq=9, part_id=7, serial="AB"))
        await until(lambda: Command(control=3, trigger_seq=9, part_id=7, serial="AB") in station.told)


# ---------------------------------------------------------------- connections that break, at every request

Cut = Callable[[ScriptedPlc], None]


def _silence(plc: ScriptedPlc) -> None:
    plc.answer = lambda frame: None


CUTS: dict[str, Cut] = {"FIN": lambda plc: plc.end(), "RST": lambda plc: plc.cut(), "silence": _silence}


@pytest.mark.parametrize("cut", CUTS)
@pytest.mark.parametrize("device", ["blocks of 20", "word by word", "fields"])
async def test_c1_c2_a_connection_lost_at_any_request_is_made_anew_and_everything_written_again(
    device: str, cut: str
) -> None:
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, timeout_ms=100, **DEVICES[device]) as (station, link):
        await until(lambda: station.states == [LinkState.UP])
        seq, copy = (170, 179) if device == "fields" else (116, 163)
        for number in range(1, 8):
            before = len(station.told)
            plc.before = after(2 * number, lambda: scramble(plc, CUTS[cut]))
            link.publish(Outputs(Status(heartbeat=number), replace(SHOWN.result, result_seq=10 + number)))
            await until(lambda first=before: LinkState.DOWN in station.told[first:])  # type: ignore[misc]
            plc.before, plc.answer = (lambda frame: None), plc.right
            await until(lambda: station.states[-1] is LinkState.UP)
            await until(lambda wanted=10 + number: plc.registers[seq] == plc.registers[copy] == wanted)  # type: ignore[misc]
            assert 0xDEAD not in (plc.registers[100:164] if device != "fields" else plc.registers[170:175])
            told = station.told[before:]
            assert told[told.index(LinkState.DOWN) + 1] is LinkState.UP, "a command of a link that is down"


def scramble(plc: ScriptedPlc, cut: Cut) -> None:
    """A restart: what the gateway wrote is lost."""
    cut(plc)
    plc.registers[100:200] = [0xDEAD] * 100
    plc.coils[9] = True


def after(count: int, act: Callable[[], None]) -> Callable[[bytes], None]:
    """Act before the `count`-th request from now on."""
    left = count

    def before(frame: bytes) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            act()

    return before


async def test_c13_a_plc_that_lost_its_memory_is_told_everything_again() -> None:
    plc = ScriptedPlc()
    plc.registers[0] = 1
    async with plc.open(), polled(plc, **DEVICES["blocks of 9"]) as (station, link):
        link.publish(SHOWN)
        await until(lambda: plc.registers[100] == SHOWN.status.bits)
        plc.registers = [0] * len(plc.registers)
        await until(lambda: plc.registers[100] == SHOWN.status.bits)
        assert seen_by(plc) == SHOWN
        assert station.states == [LinkState.UP]


# ---------------------------------------------------------------- busy, slow and single devices


@pytest.mark.parametrize("code", [5, 6])
@pytest.mark.parametrize("function", [3, 16])
async def test_d18_a_busy_device_is_asked_again_and_nothing_goes_down(code: int, function: int) -> None:
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, scan_ms=5) as (station, link):
        await until(lambda: station.states == [LinkState.UP])
        refused: list[bytes] = []

        def busy(frame: bytes) -> bytes:
            if frame[7] == function and len(refused) < BUSY_RETRIES:
                refused.append(frame[7:])
                return exception(frame, code)
            return plc.right(frame)

        plc.answer = busy
        link.publish(SHOWN)
        await until(lambda: plc.registers[116] == 5 and len(refused) == BUSY_RETRIES)
        asked = len(plc.asked)
        await until(lambda: len(plc.asked) > asked + 3)
        assert len(set(refused)) == 1, "the same request again"
        assert station.states == [LinkState.UP]


@pytest.mark.parametrize(("code", "hint"), [(5, "needs more time"), (6, "is busy")])
async def test_d18_a_device_that_stays_busy_is_down_after_bounded_tries(code: int, hint: str) -> None:
    plc = ScriptedPlc()
    async with plc.open(), polled(plc) as (station, _):
        await until(lambda: station.states == [LinkState.UP])
        before = len(plc.asked)
        plc.answer = lambda frame: exception(frame, code) if frame[7] == 3 else plc.right(frame)
        await until(lambda: station.states[-1] is LinkState.DOWN)
        assert len(plc.asked) - before <= BUSY_RETRIES + 2
        assert f"exception {code:02X} to the read of 32 holding registers from 0" in station.reasons[-1]
        assert hint in station.reasons[-1]
        plc.answer = plc.right
        await until(lambda: station.states[-1] is LinkState.UP)


async def test_d19_a_frozen_plc_is_seen_within_the_time_out_and_comes_back() -> None:
    plc = ScriptedPlc()
    async with plc.open(), polled(plc, timeout_ms=500) as (station, link):
        await until(lambda: station.states == [LinkState.UP])
        assert link.age < 0.5
        frozen = time.monotonic()
        plc.answer = lambda frame: None
        await until(lambda: station.states[-1] is LinkState.DOWN)
        assert time.monotonic() - frozen > 0.45
        assert link.age > 0.45
        connections = plc.connections
        await until(lambda: plc.connections >= connections + 2, 10)
        assert station.states == [LinkState.UP, LinkState.DOWN]
        pauses = [later - earlier for earlier, later in zip(plc.connected_at, plc.connected_at[1:], strict=False)]
        assert min(pauses) > 0.15, "a back-off between the tries"
        plc.answer = plc.right
        await until(lambda: station.states[-1] is LinkState.UP, 10)
        assert link.age < 0.5


async def test_the_pauses_that_a_device_needs_are_kept() -> None:
    plc = ScriptedPlc()
    quirks = {"pause_after_connect_ms": 80, "pause_between_requests_ms": 30}
    async with plc.open(), polled(plc, scan_ms=1, quirks=quirks) as (station, _):
        await until(lambda: len(plc.asked) >= 5)
        assert plc.at[0] - plc.connected_at[0] >= 0.07
        assert min(later - earlier for earlier, later in zip(plc.at, plc.at[1:], strict=False)) >= 0.025
        assert station.states == [LinkState.UP]


ONE = {"one_connection": True}


@asynccontextmanager
async def stations(plc: ScriptedPlc, *settings: dict[str, Any]) -> AsyncIterator[list[tuple[Recorder, ClientLink]]]:
    """Several stations of one gateway at one PLC, built as the gateway builds them."""
    configs = [
        ModbusClientConfig.model_validate(
            {"host": "127.0.0.1", "port": plc.port, "unit": n, "timeout_ms": 150, "quirks": ONE, **more}
        )
        for n, more in enumerate(settings, 1)
    ]
    links, services = build(configs, ignore)
    assert not services
    async with AsyncExitStack() as stack:
        found = []
        for link in links:
            assert isinstance(link, ClientLink)
            station = Recorder()
            link.attach(station)
            await stack.enter_async_context(running(link.run()))
            found.append((station, link))
        yield found


async def test_a_device_with_one_connection_gets_one_for_all_its_stations() -> None:
    plc = ScriptedPlc()
    async with plc.open(), stations(plc, {}, {}, {}) as found:
        await until(lambda: all(station.states == [LinkState.UP] for station, _ in found))
        await until(lambda: len(plc.asked) > 60)
        assert plc.together == plc.connections == 1
        assert {frame[6] for frame in plc.asked} == {1, 2, 3}


async def test_without_the_quirk_each_station_has_its_own() -> None:
    plc = ScriptedPlc()
    async with plc.open(), stations(plc, {"quirks": {}}, {"quirks": {}}) as found:
        await until(lambda: all(station.states == [LinkState.UP] for station, _ in found))
        assert plc.together == 2


async def test_who_asks_all_the_time_starves_nobody() -> None:
    """Two who ask without a pause get every other turn; who asks now and then waits for one request at most."""
    plc = ScriptedPlc()
    async with plc.open():
        connection = ModbusClientConfig(host="127.0.0.1", port=plc.port).connection()
        turns = [connection.turn() for _ in range(3)]
        for turn in turns:
            await turn.open()

        async def greedy(unit: int) -> None:
            while True:
                await turns[unit].read_registers(unit, Table.HOLDING, 0, 1)

        async with running(greedy(0)), running(greedy(1)):
            await until(lambda: len(plc.asked) >= 100)
            for _ in range(20):
                before = len(plc.asked)
                await turns[2].read_registers(2, Table.HOLDING, 0, 1)
                assert len(plc.asked) - before <= 4
        for turn in turns:
            turn.close()
    units = "".join(str(frame[6]) for frame in plc.asked[2:])
    assert "00" not in units
    assert "11" not in units
    assert plc.together == 1


async def test_a_silent_unit_takes_no_other_station_down() -> None:
    plc = ScriptedPlc()
    async with plc.open(), stations(plc, {}, {}) as ((first, link), (second, _)):
        await until(lambda: first.states == second.states == [LinkState.UP])
        plc.answer = lambda frame: None if frame[6] == 2 else plc.right(frame)
        await until(lambda: second.states[-1] is LinkState.DOWN)
        connections = plc.connections
        await until(lambda: plc.connections >= connections + 2, 10)
        told = len(first.told)
        await until(lambda: len(first.told) > told + 10)
        assert first.states == [LinkState.UP]
        link.publish(SHOWN)
        await until(lambda: outputs_ok(plc))
        plc.answer = plc.right
        await until(lambda: second.states[-1] is LinkState.UP, 10)
        assert first.states == [LinkState.UP]
        assert plc.together == 1


def outputs_ok(plc: ScriptedPlc) -> bool:
    return plc.registers[116] == plc.registers[163] == 5


async def test_a_plc_that_is_gone_takes_all_its_stations_down_and_back() -> None:
    plc = ScriptedPlc()
    async with AsyncExitStack() as stack:
        async with plc.open():
            found = await stack.enter_async_context(stations(plc, {}, {}))
            await until(lambda: all(station.states == [LinkState.UP] for station, _ in found))
        await until(lambda: all(station.states == [LinkState.UP, LinkState.DOWN] for station, _ in found))
        async with plc.open():
            await until(lambda: all(station.states[-1] is LinkState.UP for station, _ in found), 10)


async def test_an_asker_of_another_kind_shares_the_turns() -> None:
    plc = ScriptedPlc()
    async with plc.open():
        config = ModbusClientConfig(host="127.0.0.1", port=plc.port)
        connection = config.connection()
        station, turn = Recorder(), connection.turn()
        link: Link = config.build(ignore, connection)
        link.attach(station)
        async with running(link.run()):
            await until(lambda: station.states == [LinkState.UP])
            await turn.open()
            plc.registers[500] = 7
            assert await turn.read_registers(1, Table.HOLDING, 500, 1) == b"\0\7"
            assert plc.together == 1
        assert await still_open(turn), "who leaves takes the connection away from nobody"
        turn.close()


async def still_open(turn: Turn) -> bool:
    return await turn.read_registers(1, Table.HOLDING, 500, 1) == b"\0\7"
