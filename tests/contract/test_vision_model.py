"""The type model of OPC 40100-1 in a running server, as a client finds it over the wire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from asyncua import Client, Server, ua
from asyncua.common.utils import Buffer
from asyncua.ua.ua_binary import extensionobject_to_binary, nodeid_from_binary

from protocols.opcua.model.install import Model, install
from protocols.opcua.model.instances import Choice, Instance, instantiate
from protocols.opcua.model.rows import DataType
from protocols.opcua.model.space import attribute, numbered
from tests.contract.vision_structures import STRUCTURES, filled

pytestmark = pytest.mark.asyncio(loop_scope="module")
STATIONS = 2
MACHINE = "VisionStateMachine"
AUTOMATIC = f"{MACHINE}/AutomaticModeStateMachine"
CHOICE = Choice(
    optional={
        "ResultManagement/ReleaseResultHandle",
        "RecipeManagement",
        "DiagnosticLevel",
        f"{MACHINE}/SelectModeAutomatic",
        f"{AUTOMATIC}/SimulationMode",
        f"{MACHINE}/LastTransition",
    },
    writable={"DiagnosticLevel"},
    notifiers={"", MACHINE, AUTOMATIC},
)


class Bench:
    def __init__(self, model: Model, system: Instance, client: Client) -> None:
        self.model, self.system, self.client = model, system, client

    async def instance(self, node_id: str, type_name: str, choice: Choice | None = None) -> Instance:
        objects = self.model.server.nodes.objects.nodeid
        name = ua.QualifiedName(node_id, STATIONS)
        return await instantiate(
            self.model, objects, self.model.id(type_name), numbered(node_id, STATIONS), name, choice
        )


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench() -> AsyncIterator[Bench]:
    server = Server()
    await server.init()
    server.set_endpoint("opc.tcp://127.0.0.1:0")
    server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
    assert await server.register_namespace("urn:vision-plc-gateway:stations") == STATIONS
    model = await install(server)
    system = await instantiate(
        model,
        server.nodes.objects.nodeid,
        model.id("VisionSystemType"),
        numbered("press-1.VisionSystem", STATIONS),
        ua.QualifiedName("VisionSystem", STATIONS),
        CHOICE,
        numbered(ua.ObjectIds.Organizes),
    )
    async with server:
        assert server.bserver is not None
        client = Client(f"opc.tcp://127.0.0.1:{server.bserver.port}", timeout=20)
        async with client:
            yield Bench(model, system, client)
        async with asyncio.timeout(10):
            while server.bserver.clients:  # noqa: ASYNC110  # asyncua tells nobody when a client has gone
                await asyncio.sleep(0.01)


async def test_the_namespace_stands_in_the_servers_array(bench: Bench) -> None:
    assert (await bench.client.get_namespace_array())[bench.model.index] == "http://opcfoundation.org/UA/MachineVision"
    assert bench.model.index == 3


@pytest.mark.parametrize("optional", [False, True])
@pytest.mark.parametrize("found", STRUCTURES, ids=lambda found: found.name)
async def test_a_structure_survives_the_wire_and_carries_its_own_encoding(
    bench: Bench, found: DataType, optional: bool
) -> None:
    sent = filled(bench.model, found.name, optional=optional)
    assert nodeid_from_binary(Buffer(extensionobject_to_binary(sent))) == bench.model.id(found.encodings[0])
    name = f"{found.name} {optional}"
    node = await bench.model.server.nodes.objects.add_variable(numbered(name, STATIONS), name, sent)
    got = await bench.client.get_node(node.nodeid).read_value()
    assert type(got) is bench.model.structure(found.name)
    assert got == sent


async def test_fields_that_were_not_given_come_as_none(bench: Bench) -> None:
    got = filled(bench.model, "ResultDataType", optional=False)
    assert (got.MeasId, got.PartId, got.ResultContent, got.ProcessingTimes) == (None, None, None, None)
    assert bench.model.structure("ResultDataType")().CreationTime.year == 1601  # not set, rather than this moment


async def test_a_second_server_uses_the_same_classes(bench: Bench) -> None:
    server = Server()
    await server.init()
    await server.register_namespace("urn:another")
    model = await install(server)
    assert model.structure("ResultDataType") is bench.model.structure("ResultDataType")


async def test_the_definition_of_a_derived_id_type_holds_what_it_inherits(bench: Bench) -> None:
    node = bench.client.get_node(bench.model.id("RecipeIdExternalDataType"))
    definition = await node.read_data_type_definition()
    assert isinstance(definition, ua.StructureDefinition)
    assert [field.Name for field in definition.Fields] == ["Id", "Version", "Hash", "HashAlgorithm", "Description"]
    assert definition.Fields[0].DataType == bench.model.id("TrimmedString")
    assert definition.DefaultEncodingId == bench.model.id(5002)


async def test_every_mandatory_member_is_there_and_the_optional_ones_asked_for(bench: Bench) -> None:
    expected = {
        "": {"DiagnosticLevel", "RecipeManagement", "ResultManagement", MACHINE},
        "RecipeManagement": {"GetRecipeListFiltered", "PrepareRecipe", "UnprepareRecipe"},
        "ResultManagement": {
            "GetResultById", "GetResultComponentsById", "GetResultListFiltered", "ReleaseResultHandle",
        },
        MACHINE: {
            "AutomaticModeStateMachine", "CurrentState", "LastTransition", "Halt", "Reset", "SelectModeAutomatic",
            "Preoperational", "Halted", "Error", "Operational",
        },
        AUTOMATIC: {"CurrentState", "Abort", "SimulationMode", "StartContinuous", "StartSingleJob", "Stop"},
        f"{MACHINE}/CurrentState": {"Id"},
        f"{MACHINE}/ConfirmAll": set(),
    }  # fmt: skip
    for path, names in expected.items():
        if names:
            children = await bench.client.get_node(bench.system.id(path)).get_children_descriptions()
            assert {child.BrowseName.Name for child in children} == names, path
        else:
            assert path not in bench.system.ids


async def test_ids_are_readable_and_names_keep_their_namespace(bench: Bench) -> None:
    text = "ns=2;s=press-1.VisionSystem.VisionStateMachine.AutomaticModeStateMachine.CurrentState.Id"
    assert bench.system.id(f"{AUTOMATIC}/CurrentState/Id").to_string() == text
    path = ["3:VisionStateMachine", "3:AutomaticModeStateMachine", "0:CurrentState", "0:Id"]
    assert (await bench.client.get_node(bench.system.id()).get_child(path)).nodeid.to_string() == text


async def test_an_instance_is_found_by_its_type(bench: Bench) -> None:
    node = bench.client.get_node(bench.system.id())
    assert await node.read_type_definition() == bench.model.id("VisionSystemType")
    machine = bench.client.get_node(bench.system.id(AUTOMATIC))
    assert await machine.read_type_definition() == bench.model.id("VisionAutomaticModeStateMachineType")


async def test_methods_have_their_arguments_and_tell_what_they_are_copies_of(bench: Bench) -> None:
    method = f"{AUTOMATIC}/StartSingleJob"
    given = await bench.client.get_node(bench.system.id(f"{method}/InputArguments")).read_value()
    assert [argument.Name for argument in given] == ["MeasId", "PartId", "RecipeId", "ProductId", "Parameters"]
    assert given[0].DataType == bench.model.id("MeasIdDataType")
    assert bench.model.id(7098) in bench.system.declarations[method]


async def test_events_are_announced_up_to_the_server(bench: Bench) -> None:
    notifier = numbered(ua.ObjectIds.HasNotifier)
    above = numbered(ua.ObjectIds.Server)
    for path in ("", MACHINE, AUTOMATIC):
        node = bench.client.get_node(bench.system.id(path))
        assert await node.read_event_notifier() == {ua.EventNotifier.SubscribeToEvents}
        (source,) = await node.get_referenced_nodes(notifier, ua.BrowseDirection.Inverse)
        assert source.nodeid == above
        above = node.nodeid
    quiet = bench.client.get_node(bench.system.id("ResultManagement"))
    assert await quiet.read_event_notifier() == set()


async def test_a_sub_machine_hangs_on_its_state_as_in_the_type(bench: Bench) -> None:
    state = bench.client.get_node(bench.system.id(f"{MACHINE}/Operational"))
    (machine,) = await state.get_referenced_nodes(numbered(ua.ObjectIds.HasSubStateMachine))
    assert machine.nodeid == bench.system.id(AUTOMATIC)


async def test_constants_are_there_and_all_else_waits_for_its_first_value(bench: Bench) -> None:
    number = bench.client.get_node(bench.system.id(f"{MACHINE}/Error/StateNumber"))
    assert await number.read_value() == 3
    state = await bench.client.get_node(bench.system.id(f"{MACHINE}/CurrentState")).read_data_value(False)
    assert state.StatusCode is not None
    assert state.StatusCode.name == "BadWaitingForInitialData"


async def test_only_what_was_asked_for_can_be_written(bench: Bench) -> None:
    space = bench.model.server.iserver.aspace
    for path, node_id in bench.system.ids.items():
        access = attribute(space, node_id, ua.AttributeIds.AccessLevel)
        assert access in ({3} if path == "DiagnosticLevel" else {1, None}), path


async def test_a_condition_can_be_made_too(bench: Bench) -> None:
    made = await bench.instance("fault", "VisionErrorConditionType", Choice(optional={"ErrorCode", "Confirm"}))
    assert {"Acknowledge", "AckedState/Id", "EnabledState/Id", "Retain", "ErrorCode", "StopReaction"} <= made.ids.keys()
    assert "CausePath" not in made.ids


async def test_no_placeholder_becomes_a_node(bench: Bench) -> None:
    made = await bench.instance("recipes", "RecipeManagementType", Choice(optional={"Products", "Recipes"}))
    assert {"Products", "Recipes"} <= made.ids.keys()
    assert not [path for path in made.ids if "<" in path]


@pytest.mark.parametrize(
    ("type_name", "choice", "message"),
    [
        ("VisionConditionType", Choice(), "abstract"),
        ("VisionSystemType", Choice(optional={"ResultManagement/Nothing"}), "no member ResultManagement/Nothing"),
        ("VisionSystemType", Choice(writable={"DiagnosticLevel"}), "no member DiagnosticLevel"),
        ("VisionSystemType", Choice(notifiers={"Else"}), "no member Else"),
    ],
)
async def test_what_cannot_be_made_is_refused_and_leaves_nothing(
    bench: Bench, type_name: str, choice: Choice, message: str
) -> None:
    space = bench.model.server.iserver.aspace
    before = set(space.keys())
    with pytest.raises(ValueError, match=message):
        await bench.instance("refused", type_name, choice)
    assert set(space.keys()) == before


async def test_an_id_that_is_taken_is_refused(bench: Bench) -> None:
    with pytest.raises(ValueError, match=r"ns=2;s=press-1\.VisionSystem\.\w+.*already"):
        await bench.instance("press-1.VisionSystem", "VisionSystemType")
