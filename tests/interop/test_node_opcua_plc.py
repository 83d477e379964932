"""Our client link and a PLC whose OPC UA server is node-opcua's: cycles in both styles, every policy, and trouble."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
import pytest_asyncio

from protocols.faults import Code
from protocols.link import LinkState
from protocols.opcua.client_settings import NodesConfig, OpcUaClientConfig
from protocols.opcua.peer_settings import ClientSecurity, UserLogin
from protocols.signals import Command, Control, Outputs, StatusBit
from simulators.opcua_block import DB, MEMBERS, node_texts, program_reads, program_writes
from simulators.opcua_server import SIEMENS
from tests.contract.test_links import running
from tests.contract.vision import Vision
from tests.interop import node_opcua
from tests.interop.node_opcua import POLICIES, Certificates
from tests.interop.node_peer import Node, node
from tests.scenario.stand import free_port

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
]

KINDS = {1: "Boolean", 5: "UInt16", 6: "Int32", 7: "UInt32", 10: "Float", 12: "String"}
WORDS = ("CONTROL", "TRIGGER_SEQ", "RESULT_ACK_SEQ", "PLC_HEARTBEAT", "PART_ID", "SERIAL", "USER")
BITS = ("CONTROL.ENABLE", "CONTROL.TRIGGER", "CONTROL.RESULT_ACK", "PART_ID")
USER, PASSWORD_FILE = "gateway", "password.txt"


@dataclass
class Plc:
    """The PLC's data block in node-opcua's server, and what its program does with it."""

    server: Node
    certificates: Certificates
    port: int = field(default_factory=free_port)
    outputs: Outputs = field(default_factory=Outputs)

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}/UA/plc"

    async def start(self, *policies: str, values: dict[str, Any] | None = None, **options: Any) -> None:
        """Serve; without a policy everything is in clear and anybody may come. `values` stand there from the start."""
        begin = {name: member.zero for name, member in MEMBERS.items()} | (values or {})
        nodes = [
            {**self._node(name), "name": member.path, "type": KINDS[member.type], "value": begin[name]}
            for name, member in MEMBERS.items()
        ]
        files = {"certificate": self.certificates.path("plc"), "key": self.certificates.key("plc")}
        open_ = {"none": not policies, "anonymous": not policies}
        who = {"users": {USER: password(self.certificates)}, "trusted": [self.certificates.path("gateway")]}
        own = {"applicationUri": self.certificates.uri("plc"), "pki": self.certificates.folder / "pki-plc", **files}
        space = {"port": self.port, "policies": policies, "namespaces": (SIEMENS,), "nodes": nodes}
        await self.server.do("start", **(own | space | open_ | who | options))

    async def stop(self) -> None:
        await self.server.do("stop")

    async def set(self, **values: Any) -> None:
        """The program writes these at once."""
        await self._set({name: {"value": value} for name, value in values.items()})

    async def mark(self, name: str, value: Any, status: str) -> None:
        """Give a value another status than Good."""
        await self._set({name: {"value": value, "status": status}})

    async def write(self, command: Command) -> None:
        """All of the command, as a program does: what starts something last."""
        for part in program_writes(command):
            await self.set(**part)

    async def read(self) -> Outputs:
        found = await self.server.do("get", nodes=[self._node(name) for name in MEMBERS])
        image = {name: each["value"] for name, each in zip(MEMBERS, found, strict=True)}
        self.outputs = program_reads(image, self.outputs)
        return self.outputs

    async def sees(self, true: Callable[[Outputs], bool], seconds: float = 20.0) -> Outputs:
        """Wait until the block says so."""
        async with asyncio.timeout(seconds):
            while not true(outputs := await self.read()):  # noqa: ASYNC110 - what is waited for is behind a wire
                await asyncio.sleep(0.01)
        return outputs

    async def _set(self, values: dict[str, dict[str, Any]]) -> None:
        nodes = [{**self._node(name), "type": KINDS[MEMBERS[name].type], **told} for name, told in values.items()]
        await self.server.do("set", nodes=nodes)

    def _node(self, name: str) -> dict[str, str]:
        return {"uri": SIEMENS, "id": f"s={MEMBERS[name].node}"}


def password(certificates: Certificates) -> str:
    return (certificates.folder / PASSWORD_FILE).read_text(encoding="utf-8").strip()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def program(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[Node, Certificates]]:
    folder = tmp_path_factory.mktemp("plc")
    certificates = Certificates(folder)
    certificates.make("plc", "gateway", "stranger")
    secret = folder / PASSWORD_FILE
    secret.touch(0o600)
    secret.write_text("only the two of us\n", encoding="utf-8")
    await node_opcua.warm()
    async with node("node_opcua_server.js", folder) as server:
        yield server, certificates


@pytest_asyncio.fixture(loop_scope="module")
async def plc(program: tuple[Node, Certificates]) -> AsyncIterator[Plc]:
    made = Plc(*program)
    try:
        yield made
    finally:
        await made.stop()


class Cell(Vision):
    """The station, and what it was told of its link."""

    def __init__(self, plc: Plc, names: tuple[str, ...], **changes: Any) -> None:
        self.told: list[tuple[LinkState, str]] = []
        self.events: list[tuple[int, str]] = []
        super().__init__(settings(plc, names, **changes).build(lambda code, text: self.events.append((code, text))))

    def link_changed(self, state: LinkState, reason: str) -> None:
        self.told.append((state, reason))
        super().link_changed(state, reason)


def settings(plc: Plc, names: tuple[str, ...], **changes: Any) -> OpcUaClientConfig:
    """As an integrator would write it; generous times, as other programs keep the computer busy."""
    nodes = NodesConfig(
        base=f'ns=plc;s="{DB}"',
        command=node_texts(command=True, only=names),
        outputs=node_texts(command=False, only=tuple(each.name for each in MEMBERS.values() if "." not in each.name)),
    )
    fields = {"security": "none", "scan_ms": 10, "timeout_ms": 5000, "namespaces": {"plc": SIEMENS}, **changes}
    return OpcUaClientConfig(url=plc.url, nodes=nodes, **fields)


def secure(certificates: Certificates, policy: str, name: str = "gateway") -> dict[str, Any]:
    security = ClientSecurity(
        policy=policy,  # type: ignore[arg-type]
        certificate=certificates.path(name),
        key=certificates.key(name),
        pinned=certificates.path("plc"),
    )
    return {"security": security, "user": UserLogin(name=USER, password_file=certificates.folder / PASSWORD_FILE)}


@asynccontextmanager
async def cell(plc: Plc, names: tuple[str, ...] = WORDS, **changes: Any) -> AsyncIterator[Cell]:
    made = Cell(plc, names, **changes)
    async with running(made._link.run()), running(made.run()):
        yield made


async def cycles(plc: Plc, *numbers: int) -> None:
    """In sequence style, as the contract has it."""
    for number in numbers:
        await plc.write(
            Command(control=int(Control.ENABLE), trigger_seq=number, part_id=number, serial=f"DMX-{number}")
        )
        seen = await plc.sees(partial(answers, number))
        assert (seen.status.trigger_seq_ack, seen.result.part_id) == (number, number)
        assert seen.result.judgement == (2 if number % 3 == 0 else 1)
        await plc.set(RESULT_ACK_SEQ=seen.result.result_seq)
        await plc.sees(lambda outputs: not valid(outputs) and outputs.status.pending == 0)


def answers(number: int, outputs: Outputs) -> bool:
    return outputs.result.trigger_seq == number and valid(outputs)


def valid(outputs: Outputs) -> bool:
    return bool(outputs.status.bits & StatusBit.RESULT_VALID)


def ready(outputs: Outputs) -> bool:
    return bool(outputs.status.bits & StatusBit.READY)


async def test_cycles_in_sequence_style_without_security(plc: Plc) -> None:
    await plc.start()
    async with cell(plc) as vision:
        await plc.set(CONTROL=1)
        await plc.sees(ready)
        await cycles(plc, 5, 6, 7)
    assert [each.part_id for each in vision.accepted] == [5, 6, 7]
    assert vision.accepted[-1].serial == "DMX-7"


@pytest.mark.parametrize("policy", POLICIES)
async def test_cycles_over(policy: str, plc: Plc) -> None:
    await plc.start(policy)
    async with cell(plc, **secure(plc.certificates, policy)):
        await plc.set(CONTROL=1)
        await plc.sees(ready)
        await cycles(plc, 11, 12)


async def test_cycles_in_bit_style(plc: Plc) -> None:
    await plc.start()
    async with cell(plc, BITS) as vision:
        await plc.set(**{"CONTROL.ENABLE": True})
        await plc.sees(ready)
        for part in (8, 9):
            await plc.set(PART_ID=part)
            await plc.set(**{"CONTROL.TRIGGER": True})
            await plc.sees(lambda outputs: bool(outputs.status.bits & StatusBit.TRIGGER_ACK))
            await plc.set(**{"CONTROL.TRIGGER": False})
            seen = await plc.sees(valid)
            assert (seen.result.part_id, seen.result.judgement) == (part, 2 if part == 9 else 1)
            await plc.set(**{"CONTROL.RESULT_ACK": True})
            await plc.sees(lambda outputs: not valid(outputs))
            await plc.set(**{"CONTROL.RESULT_ACK": False})
    assert [each.part_id for each in vision.accepted] == [8, 9]


async def test_a_restart_that_moves_the_namespace_triggers_nothing_and_is_found_again(plc: Plc) -> None:
    await plc.start()
    async with cell(plc) as vision:
        await plc.set(CONTROL=1)
        await plc.sees(ready)
        await cycles(plc, 21)
        before = len(vision.told)
        await plc.stop()
        await told(vision, LinkState.DOWN)
        stood = {"CONTROL": 1, "TRIGGER_SEQ": 4711, "PART_ID": 4711}
        await plc.start(namespaces=("urn:came-with-a-download", SIEMENS), values=stood)
        await told(vision, LinkState.UP, since=before)
        await plc.sees(ready)
        await cycles(plc, 22)
    assert [each.part_id for each in vision.accepted] == [21, 22]


@pytest.mark.parametrize("status", ["BadSensorFailure", "UncertainLastUsableValue", "BadNotConnected"])
async def test_a_value_that_is_not_good_is_no_trigger(status: str, plc: Plc) -> None:
    await plc.start()
    async with cell(plc) as vision:
        await plc.set(CONTROL=1)
        await plc.sees(ready)
        before = len(vision.told)
        await plc.mark("TRIGGER_SEQ", 31, status)
        await told(vision, LinkState.DOWN, since=before)
        await plc.set(TRIGGER_SEQ=31)
        await told(vision, LinkState.UP, since=before)
        await plc.sees(ready)
        await cycles(plc, 32)
    assert [each.part_id for each in vision.accepted] == [32]


async def test_a_policy_that_the_plc_does_not_offer_is_never_replaced_by_a_weaker_one(plc: Plc) -> None:
    await plc.start("Basic256Sha256", none=True, anonymous=True)
    async with cell(plc, **secure(plc.certificates, "Aes256_Sha256_RsaPss")) as vision:
        await told(vision, LinkState.DOWN)
        assert (await plc.server.do("facts"))["sessions"] == 0
    assert "Aes256_Sha256_RsaPss" in vision.told[0][1]


async def test_a_plc_that_does_not_trust_us_and_one_that_is_not_the_pinned_one(plc: Plc) -> None:
    await plc.start("Basic256Sha256")
    for changes in (
        secure(plc.certificates, "Basic256Sha256", "stranger"),
        secure(plc.certificates, "Basic256Sha256") | {"security": pinned_to(plc.certificates, "stranger")},
    ):
        async with cell(plc, **changes) as vision:
            await told(vision, LinkState.DOWN)
            assert (await plc.server.do("facts"))["sessions"] == 0
        assert vision.told[0][1]
        assert {code for code, _ in vision.events} <= {Code.PEER_REFUSED, Code.LINK_LOST, Code.CONFIG_INVALID}


def pinned_to(certificates: Certificates, name: str) -> ClientSecurity:
    return ClientSecurity(
        certificate=certificates.path("gateway"), key=certificates.key("gateway"), pinned=certificates.path(name)
    )


async def told(vision: Cell, state: LinkState, seconds: float = 20.0, since: int = 0) -> None:
    """Wait until the station was told this of its link."""
    async with asyncio.timeout(seconds):
        while state not in [each for each, _ in vision.told[since:]]:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
