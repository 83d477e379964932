"""Real carrier processes: they carry, die, hang, lie and flood, and take nothing with them but their own seats."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import Any

import psutil
import pytest

from gateway import carrier_process
from gateway.board import BoardWriter
from gateway.carrier_process import CarrierProcess
from gateway.opcua import wire
from protocols.link import LinkState
from protocols.signals import Command, Outputs, Result, Status
from protocols.station_view import Outcome, RecipeFacts, Seat, StationFacts
from tests.played_face import FaceClient, face_client

pytestmark = pytest.mark.timeout(120)

PATIENCE = 30.0
SEATS = (Seat.VARIABLES, Seat.MACHINE_VISION)
FACTS = StationFacts("cell1", (RecipeFacts(1, "plate", digest=b"\x01" * 32, codes=((101, "burr"),)),), boot_id=7)
FACE = "cell1/VARIABLES"
MODULE = "tests.played_server"
FLOOD, COST = 20_000, 0.0002


class Port:
    """A seat of a station: what came for it."""

    def __init__(self) -> None:
        self.commands: list[Command] = []
        self.states: list[tuple[LinkState, str]] = []

    def command(self, command: Command) -> None:
        self.commands.append(command)

    def link_changed(self, state: LinkState, reason: str) -> None:
        self.states.append((state, reason))


class SlowPort(Port):
    """A station that has much to do with each command."""

    busy = 0.0

    def command(self, command: Command) -> None:
        end = time.monotonic() + COST
        while time.monotonic() < end:
            pass
        self.busy += COST
        super().command(command)


class Plant:
    """One carrier process with one station's board."""

    def __init__(self, module: str = MODULE, **start: Any) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self.events: list[tuple[int, str]] = []
        self.board = BoardWriter()
        self.carrier = CarrierProcess("server", [self.board], lambda *event: self.events.append(event), module)
        station = wire.CarriedStation(FACTS, SEATS)
        self.carrier.tell(wire.Start((station,), server={"port": self.port}, nice=0, **start))
        self.ports = {seat: Port() for seat in SEATS}
        for seat, port in self.ports.items():
            self.carrier.add_port(0, seat, port)
        self.beat = 0

    @property
    def variables(self) -> Port:
        return self.ports[Seat.VARIABLES]

    def publish(self, seat: Seat = Seat.LINK, result: Result | None = None) -> None:
        self.beat += 1
        self.board.publish(seat, Command(), Outputs(Status(heartbeat=self.beat), result or Result()), None)
        self.carrier.bell.ring()

    def add(self, number: int) -> None:
        self.board.add(Outcome(number, Result(number, part_id=number), serial=f"S{number}"))

    async def until(self, holds: Callable[[], object], what: str, within: float = PATIENCE) -> None:
        end = time.monotonic() + within
        while not holds():
            assert time.monotonic() < end, f"not within {within:g} s: {what}; {self.events}"
            await asyncio.sleep(0.005)

    async def process(self, starts: int = 1) -> psutil.Process:
        """The carrier in its so-manieth life, once it serves."""
        await self.until(lambda: self.carrier.starts >= starts and self.carrier._serving, f"start {starts}")
        assert self.carrier.child is not None
        return psutil.Process(self.carrier.child.pid)


@contextlib.asynccontextmanager
async def plant_of(module: str = MODULE, **start: Any) -> AsyncIterator[Plant]:
    plant = Plant(module, **start)
    running = asyncio.create_task(plant.carrier.run(), name="carrier")
    try:
        yield plant
        assert not running.done(), "the carrier's task has ended"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        plant.carrier.close()
        plant.board.close()


@contextlib.asynccontextmanager
async def served(**start: Any) -> AsyncIterator[tuple[Plant, FaceClient]]:
    async with plant_of(**start) as plant:
        await plant.process()
        async with face_client(plant.port) as client:
            yield plant, client


async def test_outputs_drivers_and_outcomes_reach_the_faces_and_commands_come_back() -> None:
    async with served() as (plant, client):
        plant.add(1)
        plant.publish(Seat.VARIABLES, Result(1, part_id=1))
        await client.until(lambda: client.status(FACE).get("heartbeat") == 1, "the outputs are shown")
        told = [next(iter(m.keys() & {"driven", "outcome", "status"})) for m in client.heard if m.get("face") == FACE]
        assert told[-3:] == ["driven", "outcome", "status"], "first who drives, then what was decided, then the words"
        assert client.of(FACE, "outcome")[-1] == {"number": 1, "seat": "LINK", "serial": "S1", "seq": 1, "part": 1}
        client.send(face=FACE, link="up", write={"control": 1, "part_id": 70_000, "serial": "A-1"})
        await plant.until(lambda: plant.variables.commands, "the command")
        assert plant.variables.states == [(LinkState.UP, "played")]
        assert plant.variables.commands == [Command(control=1, part_id=70_000, serial="A-1")]
        assert not plant.ports[Seat.MACHINE_VISION].commands


async def test_a_ring_is_heard_long_before_the_next_look() -> None:
    async with served() as (plant, client):
        quick = 0
        for _ in range(20):
            began = time.monotonic()
            plant.publish()
            await client.until(lambda: client.status(FACE).get("heartbeat") == plant.beat, "shown")
            quick += time.monotonic() - began < carrier_process.WATCH / 2
        assert quick >= 10, "most are seen before anybody would have looked without a ring"


async def test_every_outcome_comes_once_and_in_order_while_many_are_made() -> None:
    async with served() as (plant, client):
        for number in range(1, 301):
            plant.add(number)
            plant.publish()
            await asyncio.sleep(0.002)
        await client.until(
            lambda: client.of(FACE, "outcome")[-1:] and client.of(FACE, "outcome")[-1]["number"] == 300, ""
        )
        assert [told["number"] for told in client.of(FACE, "outcome")] == list(range(1, 301))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        ("crash", "signal SIGSEGV"), ("exit", "exit status 3"), ("garbage", "it sent a message of"),
        ("impossible length", "it sent a message of 4294967295"), ("foreign seat", "which it was not given"),
        ("foreign station", "which it was not given"), ("foreign device", "which it was not given"),
        ("memory", "MemoryError"),
    ],
)  # fmt: skip
async def test_whatever_a_carrier_does_it_is_replaced_and_its_seats_go_down_and_come_back(
    what: str, why: str, capfd: pytest.CaptureFixture[str]
) -> None:
    async with served(memory_mb=512) as (plant, client):
        first = await plant.process()
        client.send(face=FACE, link="up", write={"control": 1})
        await plant.until(lambda: plant.variables.commands, "the face drives")
        client.send(do=what)
        second = await plant.process(starts=2)
        assert second.pid != first.pid
        assert not psutil.pid_exists(first.pid)
        assert [state for state, _ in plant.variables.states] == [LinkState.UP, LinkState.DOWN]
        assert not plant.ports[Seat.MACHINE_VISION].states, "who was never up does not go down"
        async with face_client(plant.port) as again:
            again.write(FACE, control=3)
            await plant.until(lambda: plant.variables.commands[-1].control == 3, "the new one carries")
    assert why in capfd.readouterr().out


async def test_one_that_is_stopped_loses_its_seats_in_a_second_and_its_life_in_three(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with served() as (plant, client):
        process = await plant.process()
        client.send(face=FACE, link="up", write={"control": 1})
        await plant.until(lambda: plant.variables.commands, "the face drives")
        stopped = time.monotonic()
        process.send_signal(signal.SIGSTOP)
        await plant.until(lambda: len(plant.variables.states) == 2, "its seats are down")
        assert plant.variables.states[-1][0] is LinkState.DOWN
        assert 0.7 < time.monotonic() - stopped < 10
        assert psutil.pid_exists(process.pid)
        await plant.process(starts=2)
        assert not psutil.pid_exists(process.pid)
        assert [state for state, _ in plant.variables.states] == [LinkState.UP, LinkState.DOWN]
    assert "it said nothing for 3 s" in capfd.readouterr().out


async def test_one_that_dozes_is_down_meanwhile_and_then_up_again_and_what_it_said_late_is_no_claim() -> None:
    async with served() as (plant, client):
        process = await plant.process()
        client.send(face=FACE, link="up", write={"control": 1})
        await plant.until(lambda: plant.variables.commands, "the face drives")
        client.send(do="doze")
        client.write(FACE, control=3)
        await plant.until(lambda: len(plant.variables.states) == 3, "down and up")
        assert [state for state, _ in plant.variables.states] == [LinkState.UP, LinkState.DOWN, LinkState.UP]
        assert plant.carrier.starts == 1
        assert psutil.pid_exists(process.pid)
        before = len(plant.variables.commands)
        client.write(FACE, control=1)
        await plant.until(lambda: len(plant.variables.commands) > before, "it carries again")


async def test_a_control_process_that_was_held_up_itself_does_not_blame_the_carrier() -> None:
    async with served() as (plant, client):
        process = await plant.process()
        client.send(face=FACE, link="up")
        await plant.until(lambda: plant.variables.states, "up")
        time.sleep(1.5)  # noqa: ASYNC251 - the loop is held up
        await client.until(lambda: client.of(FACE, "stale") == [True, False], "the face is told, and told again")
        process.send_signal(signal.SIGSTOP)  # the whole computer is held up
        await asyncio.sleep(0.3)  # what it has said before is heard
        time.sleep(carrier_process.HUNG + 0.5)  # noqa: ASYNC251 - as above
        await asyncio.sleep(0.05)
        process.send_signal(signal.SIGCONT)
        plant.publish()
        await client.until(lambda: client.status(FACE).get("heartbeat") == plant.beat, "it goes on")
        assert plant.carrier.starts == 1
        assert len(plant.variables.states) == 1


async def test_a_flood_of_commands_leaves_the_loop_its_time_and_the_newest_arrives() -> None:
    async with served() as (plant, client):
        slow = SlowPort()
        plant.carrier.add_port(0, Seat.VARIABLES, slow)
        client.send(face=FACE, link="up")
        await plant.until(lambda: slow.states, "up")
        began = time.monotonic()
        client.send(do="flood")
        await plant.until(lambda: slow.commands and slow.commands[-1].user[0] == FLOOD - 1, "the newest command")
        took = time.monotonic() - began
        assert plant.carrier.starts == 1, "whoever is flooded from outside is not to blame"
        assert len(slow.states) == 1
        assert slow.busy < took / 2, "the loop had its time meanwhile"
        numbers = [command.user[0] for command in slow.commands]
        assert numbers == sorted(numbers)
        assert len(numbers) < FLOOD / 2, "what was overtaken while it waited is left out"


async def test_a_link_that_is_carried_is_shown_what_is_the_link_s() -> None:
    plant = Plant()
    plant.carrier.tell(replace(plant.carrier.start, stations=(wire.CarriedStation(FACTS, (Seat.LINK, *SEATS)),)))
    plant.carrier.add_port(0, Seat.LINK, Port())
    running = asyncio.create_task(plant.carrier.run())
    try:
        await plant.process()
        async with face_client(plant.port) as client:
            link = Outputs(Status(heartbeat=1, not_ready_reason=3014))
            plant.board.publish(Seat.VARIABLES, Command(), Outputs(Status(bits=2, heartbeat=1), Result(5)), link)
            plant.carrier.bell.ring()
            await client.until(lambda: client.driver("cell1/LINK") == "VARIABLES", "who drives")
            await client.until(lambda: client.ready(FACE), "the driver is shown the truth")
            await client.until(lambda: client.status("cell1/LINK").get("not_ready_reason") == 3014, "why not ready")
            assert client.of("cell1/LINK", "result")[-1]["result_seq"] == 0
            assert client.of(FACE, "result")[-1]["result_seq"] == 5
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        plant.carrier.close()
        plant.board.close()


async def test_one_that_cannot_start_is_tried_for_ever_and_says_why_each_time(
    capfd: pytest.CaptureFixture[str],
) -> None:
    async with plant_of("tests.no_such_module") as plant:
        await plant.until(lambda: plant.carrier.starts >= 3, "three starts")
    told = capfd.readouterr().out
    assert told.count("No module named tests.no_such_module") >= 2
    assert "carrier_ended" in told


async def test_a_port_that_is_taken_is_one_sentence_and_tried_again() -> None:
    plant = Plant()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", plant.port))
        taken.listen()
        running = asyncio.create_task(plant.carrier.run())
        try:
            await plant.until(lambda: len(plant.events) >= 2, "told twice")
            assert "cannot listen" in plant.events[0][1]
            taken.close()
            starts = plant.carrier.starts
            async with face_client(plant.port) as client:
                plant.publish()
                await client.until(lambda: client.status(FACE).get("heartbeat") == plant.beat, "it listens at last")
            assert plant.carrier.starts > starts - 1
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            plant.carrier.close()
            plant.board.close()


async def test_a_face_that_fails_is_told_and_blinds_no_other() -> None:
    async with served() as (plant, client):
        client.send(do="face fails")
        other = "cell1/MACHINE_VISION"
        await client.until(lambda: client.status(other), "the first words")

        def told() -> bool:
            plant.publish()
            return any("RuntimeError: beat" in text for _, text in plant.events)

        await plant.until(told, "the failure is told")
        await client.until(lambda: client.status(other).get("heartbeat") == plant.beat, "the other face goes on")
        assert plant.carrier.starts == 1


async def test_an_event_is_handed_on_with_its_code() -> None:
    async with served() as (plant, client):
        client.send(do="event")
        await plant.until(lambda: plant.events, "the event")
        assert plant.events == [(6003, "somebody was refused")]


async def test_a_carrier_dies_with_the_control_process() -> None:
    code = (
        "import asyncio, sys\n"
        "from tests.contract.test_carrier_process import Plant\n"
        "async def main():\n"
        "    plant = Plant(); running = asyncio.create_task(plant.carrier.run())\n"
        "    print((await plant.process()).pid, flush=True)\n"
        "    await running\n"
        "asyncio.run(main())\n"
    )
    import sys

    control = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=asyncio.subprocess.PIPE)
    try:
        assert control.stdout is not None
        async with asyncio.timeout(PATIENCE):
            pid = 0
            while not pid:
                line = await control.stdout.readline()
                pid = int(line) if line.strip().isdigit() else 0
        psutil.Process(pid).send_signal(signal.SIGSTOP)  # so that it cannot see that its socket ends
    finally:
        control.kill()
        await control.communicate()
    end = time.monotonic() + PATIENCE
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < end
        await asyncio.sleep(0.01)


async def test_a_client_that_reads_nothing_holds_up_nobody() -> None:
    async with served() as (plant, client):
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            deaf.connect(("127.0.0.1", plant.port))
            for _ in range(500):
                plant.publish()
                await asyncio.sleep(0.001)
            await client.until(lambda: client.status(FACE).get("heartbeat") == plant.beat, "shown")
        assert plant.carrier.starts == 1


async def test_a_start_message_longer_than_a_socket_s_buffer_arrives() -> None:
    plant = Plant()
    recipes = tuple(RecipeFacts(n, f"recipe {n}", description="x" * 400) for n in range(1, 1001))
    plant.carrier.tell(
        replace(plant.carrier.start, stations=(wire.CarriedStation(replace(FACTS, recipes=recipes), SEATS),))
    )
    running = asyncio.create_task(plant.carrier.run())
    try:
        await plant.process()
        async with face_client(plant.port) as client:
            await client.until(lambda: any(len(m.get("recipes", ())) == 1000 for m in client.heard), "all recipes")
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        plant.carrier.close()
        plant.board.close()


async def test_one_that_is_killed_again_and_again_comes_back_gives_way_and_holds_no_more() -> None:
    async with plant_of() as plant:
        first = await plant.process()
        plant.carrier.tell(replace(plant.carrier.start, nice=5))
        before = psutil.Process().num_fds()
        last = first
        for starts in (2, 3, 4):
            psutil.Process(plant.carrier.child.pid if plant.carrier.child else 0).kill()
            last = await plant.process(starts)
        assert last.nice() == min(19, psutil.Process().nice() + 5)
        assert psutil.Process().num_fds() == before
        assert first.pid != last.pid
        async with face_client(plant.port) as client:
            plant.publish()
            await client.until(lambda: client.status(FACE).get("heartbeat") == plant.beat, "shown")
