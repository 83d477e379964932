"""The face of OPC 40100-1 as a client sees it: objects, states, jobs, who drives."""

from __future__ import annotations

import pytest
from asyncua import ua

from protocols.faults import Code
from protocols.opcua.compat.names import numeric
from protocols.signals import Judgement, StatusBit
from protocols.station_view import Seat
from tests.contract.machine_vision_rig import (
    AUTOMATIC,
    MACHINE,
    NO_CAUSE,
    ROOT,
    Bench,
    Events,
    Vision,
    accepted,
    automatic,
    job_of,
    met,
    no_arguments,
    of,
    one_job,
    refused,
    subscribed,
    transitions,
    until,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

# ---------------------------------------------------------------- address space


async def test_the_system_is_found_by_its_type_below_objects(vision: Vision) -> None:
    found = []
    for child in await vision.client.nodes.objects.get_children():
        if await child.read_type_definition() == vision.model.id("VisionSystemType"):
            found.append(child.nodeid)
    assert found == [vision.node().nodeid]
    assert found[0].Identifier == ROOT


@pytest.mark.parametrize(
    "path",
    [
        f"{MACHINE}/SelectModeAutomatic",
        f"{MACHINE}/ConfirmAll",
        f"{MACHINE}/CurrentState/Id",
        f"{MACHINE}/CurrentState/Number",
        f"{MACHINE}/Preoperational/StateNumber",
        f"{AUTOMATIC}/CurrentState/Number",
        f"{AUTOMATIC}/SimulationMode",
        "ConfigurationManagement/ActiveConfiguration",
        "RecipeManagement/PrepareRecipe",
        "ResultManagement/ReleaseResultHandle",
        "SafetyStateManagement/VisionSafetyTriggered",
        "SystemState",
        "DiagnosticLevel",
        "Driver",
        "StatusText",
        "Warning",
        "Error",
        "PersistentError",
    ],
)
async def test_every_member_that_is_promised_is_there(vision: Vision, path: str) -> None:
    assert (await vision.node(path).read_browse_name()).Name == path.rsplit("/", 1)[-1]


async def test_nothing_that_is_not_carried_out_is_offered(vision: Vision) -> None:
    recipes = {(await child.read_browse_name()).Name for child in await vision.node("RecipeManagement").get_children()}
    assert recipes == {"GetRecipeListFiltered", "PrepareRecipe", "UnprepareRecipe"}
    results = {(await child.read_browse_name()).Name for child in await vision.node("ResultManagement").get_children()}
    assert results == {
        "GetResultById",
        "GetResultComponentsById",
        "GetResultListFiltered",
        "ReleaseResultHandle",
    }


async def test_the_profiles_are_named_once(vision: Vision) -> None:
    node = vision.client.get_node(numeric(ua.ObjectIds.Server_ServerCapabilities_ServerProfileArray))
    profiles = [uri for uri in await node.read_value() if "MachineVision" in uri]
    assert "http://opcfoundation.org/UA-Profile/External/Server/MachineVision/AutomaticModeServerFacet" in profiles
    assert len(profiles) == len(set(profiles))


async def test_states_of_power_up(vision: Vision) -> None:
    assert (await vision.value(f"{MACHINE}/CurrentState")).Text == "Preoperational"
    assert await vision.value(f"{MACHINE}/CurrentState/Id") == vision.model.id(5028)
    assert await vision.value(f"{MACHINE}/CurrentState/Number") == 1
    assert await vision.status(f"{AUTOMATIC}/CurrentState") == "BadStateNotActive"
    assert await vision.status(f"{AUTOMATIC}/CurrentState/Id") == "BadStateNotActive"
    state = await vision.value("SystemState")
    assert (state.State.name, await vision.value("Driver")) == ("SBY_2", "LINK")


async def test_result_nodes_and_states_are_written_by_nobody(bench: Bench, vision: Vision) -> None:
    async with bench.client("engineer") as engineer:
        for path in (f"{MACHINE}/CurrentState", "SystemState", "Driver", "Error/Retain"):
            with pytest.raises(ua.UaStatusCodeError) as refused:
                await engineer.node(path).write_value(await engineer.value(path))
            assert refused.value.code == ua.StatusCodes.BadUserAccessDenied


# ---------------------------------------------------------------- jobs


async def test_a_job_from_start_to_result(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    job = await one_job(bench, vision, events, meas="M 1", part="DMX-1")
    assert transitions(vision, events) == [
        "PreoperationalToOperational",
        "InitializedToReadyAuto",
        "ReadyToSingleExecution",
        "SingleExecutionToReadyAuto",
    ]
    for name in ("JobStartedEventType", "AcquisitionDoneEventType", "ResultReadyEventType", "ReadyEventType"):
        assert [job_of(event) for event in of(vision, events, name)] == [job], name
    (ready,) = of(vision, events, "ResultReadyEventType")
    assert (ready.MeasId.Id, ready.PartId.Id) == ("M 1", "DMX-1")
    assert (ready.ResultState, ready.IsPartial, ready.IsSimulated) == (1, False, False)
    assert (ready.InternalRecipeId.Id, ready.ExternalRecipeId.Id) == ("pin@3", "1")
    assert ready.InternalRecipeId.Hash == b"\x01" * 32
    assert ready.InternalConfigurationId.Id == "press-1-beef"
    assert (ready.ProcessingTimes.AcquisitionDuration, ready.ProcessingTimes.ProcessingDuration) == (10.0, 20.0)
    assert ready.SourceNode == vision.node(AUTOMATIC).nodeid


async def test_the_content_of_a_result_has_the_documented_layout(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    await one_job(bench, vision, events, Judgement.NG)
    (ready,) = of(vision, events, "ResultReadyEventType")
    kinds = [(variant.VariantType.name, bool(variant.is_array)) for variant in ready.ResultContent]
    names = "Boolean UInt16 String UInt16 String UInt16 Float UInt16 String Double String Boolean UInt16 String"
    assert kinds == [(name, at in (8, 9, 10, 11)) for at, name in enumerate(names.split())]
    values = [variant.Value for variant in ready.ResultContent]
    assert values[:6] == [False, 2, "NG", 101, "pin bent", 2]
    assert values[8:12] == [["length", "angle"], [1.5, 2.5], ["pin there", "straight"], [True, False]]


async def test_a_state_event_says_from_where_to_where(vision: Vision, events: Events) -> None:
    await automatic(vision)
    await events.until(lambda: len(of(vision, events, "StateChangedEventType")) >= 2)
    first, second, *_ = of(vision, events, "StateChangedEventType")
    ids = [getattr(first, name) for name in ("Transition/Id", "FromState/Id", "ToState/Id")]
    assert ids == [vision.model.id(5253), vision.model.id(5028), vision.model.id(5031)]
    assert first.SourceNode == vision.node(MACHINE).nodeid
    assert second.SourceNode == vision.node(AUTOMATIC).nodeid
    assert await vision.value(f"{MACHINE}/LastTransition/Number") == 141
    assert await vision.value(f"{AUTOMATIC}/LastTransition/Id") == vision.model.id(5061)


@pytest.mark.parametrize("where", ["", MACHINE, AUTOMATIC, "Server"])
async def test_events_reach_the_machines_the_system_and_the_server(bench: Bench, vision: Vision, where: str) -> None:
    node = vision.client.nodes.server if where == "Server" else vision.node(where)
    seen = Events()
    async with subscribed(vision, seen, node):
        await automatic(vision)
        job = await one_job(bench, vision, seen)
    assert [job_of(event) for event in of(vision, seen, "ResultReadyEventType")] == [job]


async def test_continuous_execution_and_stop(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    job, error = await vision.call(f"{AUTOMATIC}/StartContinuous", *no_arguments(vision, part="P"))
    assert error == 0
    for _ in range(3):
        await accepted(bench)
        bench.station.finish(Judgement.OK, bench.joint.now)
        bench.joint.show()
    await accepted(bench)
    assert await vision.call(f"{AUTOMATIC}/Stop", *NO_CAUSE) == 0
    bench.station.finish(Judgement.OK, bench.joint.now)
    bench.joint.show()
    await until(vision, "Ready", AUTOMATIC)
    await events.until(lambda: bool(of(vision, events, "ReadyEventType")))
    assert [job_of(event) for event in of(vision, events, "ResultReadyEventType")] == [job.Id] * 4
    assert transitions(vision, events)[-2:] == ["ReadyToContinuousExecution", "ContinuousExecutionToReadyStop"]


async def test_abort(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    await vision.call(f"{AUTOMATIC}/StartSingleJob", *no_arguments(vision))
    await accepted(bench)
    assert await vision.call(f"{AUTOMATIC}/Abort", *NO_CAUSE) == 0
    await events.until(lambda: bool(of(vision, events, "ResultReadyEventType")))
    (ready,) = of(vision, events, "ResultReadyEventType")
    assert (ready.ResultState, ready.ResultContent[0].Value) == (3, False)
    assert transitions(vision, events)[-1] == "SingleExecutionToReadyAbort"


async def test_what_a_plc_does_is_shown_as_well(bench: Bench, vision: Vision, events: Events) -> None:
    bench.joint.write(enable=True)
    await until(vision, "Ready", AUTOMATIC)
    bench.joint.write(trigger=True, part=77)
    bench.station.expose()
    bench.station.finish(Judgement.OK, bench.joint.now)
    bench.joint.show()
    await events.until(lambda: bool(of(vision, events, "ReadyEventType")))
    (ready,) = of(vision, events, "ResultReadyEventType")
    assert ready.PartId.Id == "77"
    assert transitions(vision, events)[-2:] == ["ReadyToSingleExecutionAuto", "SingleExecutionToReadyAuto"]
    assert await vision.value("Driver") == "LINK"


# ---------------------------------------------------------------- the outer machine


async def test_halt_and_reset(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    assert await vision.call(f"{MACHINE}/Halt", *NO_CAUSE) == 0
    await until(vision, "Halted")
    await met(lambda: bench.station.seat is Seat.LINK)
    assert (await vision.value("SystemState")).State.name == "SDT_4"
    assert await vision.call(f"{MACHINE}/Reset", *NO_CAUSE) == 0
    await until(vision, "Preoperational")
    await met(lambda: bench.station.seat is Seat.LINK)
    assert bench.station.outputs(bench.joint.now).status.bits & StatusBit.ONLINE
    assert transitions(vision, events)[-2:] == ["OperationalToHalted", "HaltedToPreoperational"]


async def test_a_fault_is_error_and_its_end_is_told(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    bench.station.fault(Code.CAMERA_LINK, True)
    await until(vision, "Error")
    assert (await vision.value("SystemState")).State.name == "UDT_5"
    bench.station.fault(Code.CAMERA_LINK, False)
    await until(vision, "Ready", AUTOMATIC)
    await events.until(lambda: bool(of(vision, events, "ErrorResolvedEventType")))
    (error,) = of(vision, events, "ErrorEventType")
    assert getattr(error, "ToState/Id") == vision.model.id(5030)
    assert transitions(vision, events)[-3:-1] == ["OperationalToErrorAuto", "ErrorToOperationalAuto"]


async def test_a_client_that_vanishes_gives_the_station_back(bench: Bench, vision: Vision, events: Events) -> None:
    async with bench.client("operator") as other:
        await automatic(other)
    await until(vision, "Preoperational")
    await events.until(lambda: any("has gone" in e.Message.Text for e in events.seen))
    assert transitions(vision, events)[-1] == "OperationalToPreoperationalAuto"
    await met(lambda: bench.station.seat is Seat.LINK)


async def test_a_silent_control_process_leaves_nothing_good(bench: Bench, vision: Vision) -> None:
    await automatic(vision)
    bench.face.stale(True)
    try:
        assert await vision.status("SystemState") == await vision.status("Driver") == "UncertainLastUsableValue"
        assert (await vision.value(f"{MACHINE}/CurrentState")).Text == "Error"
        assert await vision.status(f"{AUTOMATIC}/CurrentState") == "BadStateNotActive"
        await refused(vision, f"{AUTOMATIC}/StartSingleJob", "BadNoCommunication", *no_arguments(vision))
    finally:
        bench.face.stale(False)
    assert await vision.status("SystemState") == "Good"
