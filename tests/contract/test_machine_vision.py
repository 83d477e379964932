"""The face of OPC 40100-1 as a client sees it: objects, states, methods, events, results, refusals."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from asyncua import ua

from protocols.faults import Code
from protocols.signals import CommandCode, Judgement
from protocols.station_view import Seat
from tests.contract.machine_vision_rig import ROOT, Bench, Events, Vision, no_arguments, served

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

MACHINE = "VisionStateMachine"
AUTOMATIC = f"{MACHINE}/AutomaticModeStateMachine"
EVENTS = (
    "StateChangedEventType",
    "ErrorEventType",
    "ErrorResolvedEventType",
    "RecipePreparedEventType",
    "JobStartedEventType",
    "ReadyEventType",
    "ResultReadyEventType",
    "AcquisitionDoneEventType",
    "VisionSafetyEventType",
    "VisionDiagnosticInfoEventType",
    "VisionInformationEventType",
    "VisionWarningConditionType",
    "VisionErrorConditionType",
    "VisionPersistentErrorConditionType",
)
NO_CAUSE = (ua.Variant(0, ua.VariantType.Int32), ua.Variant("", ua.VariantType.String))
PAGING = tuple(ua.Variant(0, kind) for kind in (ua.VariantType.UInt32, ua.VariantType.UInt32, ua.VariantType.Int32))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def bench() -> AsyncIterator[Bench]:
    async with served() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def vision(bench: Bench) -> AsyncIterator[Vision]:
    """An operator at a station that nobody drives."""
    bench.joint.again()
    async with bench.client("operator") as client:
        await until(client, "Preoperational")
        yield client


@pytest_asyncio.fixture(loop_scope="module")
async def events(vision: Vision) -> AsyncIterator[Events]:
    """All events of the vision system."""
    seen = Events()
    async with subscribed(vision, seen, vision.node()):
        yield seen


class subscribed:  # noqa: N801 - reads as a context
    def __init__(self, vision: Vision, seen: Any, node: Any) -> None:
        self.vision, self.seen, self.node = vision, seen, node

    async def __aenter__(self) -> Any:
        self.subscription = await self.vision.client.create_subscription(20, self.seen)
        kinds = [self.vision.client.get_node(self.vision.model.id(name)) for name in EVENTS]
        await self.subscription.subscribe_events(self.node, kinds, where_clause_generation=False)
        return self.subscription

    async def __aexit__(self, *_: object) -> None:
        await self.subscription.delete()


async def until(vision: Vision, state: str, machine: str = MACHINE) -> None:
    """Wait until a machine stands there."""
    async with asyncio.timeout(10):
        while True:
            found = await vision.node(f"{machine}/CurrentState").read_data_value(raise_on_bad_status=False)
            text = found.Value.Value if found.Value is not None else None
            if text is not None and text.Text == state:
                return
            await asyncio.sleep(0.01)


async def automatic(vision: Vision) -> None:
    assert await vision.call(f"{MACHINE}/SelectModeAutomatic") == 0
    await until(vision, "Ready", AUTOMATIC)


async def one_job(
    bench: Bench, vision: Vision, events: Events, judgement: Judgement = Judgement.OK, **given: Any
) -> str:
    """A whole job; returns its JobId."""
    job, error = await vision.call(f"{AUTOMATIC}/StartSingleJob", *no_arguments(vision, **given))
    assert error == 0
    await accepted(bench)
    bench.station.expose()
    bench.joint.show()
    bench.station.finish(judgement, bench.joint.now, 101 if judgement is Judgement.NG else 0)
    bench.joint.show()
    await events.until(lambda: any(job_of(e) == job.Id for e in events.seen if kind(vision, e) == "ReadyEventType"))
    return str(job.Id)


async def accepted(bench: Bench) -> None:
    async with asyncio.timeout(10):
        while not bench.station.open:  # noqa: ASYNC110
            await asyncio.sleep(0.005)


def kind(vision: Vision, event: Any) -> str:
    names = {vision.model.id(name): name for name in EVENTS}
    return names.get(event.EventType, str(event.EventType))


def job_of(event: Any) -> str:
    return event.JobId.Id if event.JobId is not None else ""


def of(vision: Vision, events: Events, name: str) -> list[Any]:
    return [event for event in events.seen if kind(vision, event) == name]


def transitions(vision: Vision, events: Events) -> list[str]:
    return [event.Transition.Text for event in of(vision, events, "StateChangedEventType")]


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
    assert await vision.node(path).read_browse_name()


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
    node = vision.client.get_node(ua.NodeId(ua.ObjectIds.Server_ServerCapabilities_ServerProfileArray))
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
    async with asyncio.timeout(10):
        while (await vision.value("SystemState")).State.name != "SDT_4" or bench.station.seat is not Seat.LINK:
            await asyncio.sleep(0.01)
    assert await vision.call(f"{MACHINE}/Reset", *NO_CAUSE) == 0
    await until(vision, "Preoperational")
    async with asyncio.timeout(10):
        while bench.station.seat is not Seat.LINK or not bench.station.outputs(bench.joint.now).status.bits & 1:
            await asyncio.sleep(0.01)
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
    async with asyncio.timeout(10):
        while bench.station.seat is not Seat.LINK:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


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


# ---------------------------------------------------------------- refusals


async def refused(vision: Vision, path: str, code: str, *arguments: Any) -> None:
    with pytest.raises(ua.UaStatusCodeError) as told:
        await vision.call(path, *arguments)
    assert told.value.code == getattr(ua.StatusCodes, code), told.value


DRIVING = {
    f"{MACHINE}/SelectModeAutomatic": (),
    f"{MACHINE}/Reset": NO_CAUSE,
    f"{MACHINE}/Halt": NO_CAUSE,
    f"{AUTOMATIC}/Stop": NO_CAUSE,
    f"{AUTOMATIC}/Abort": NO_CAUSE,
}


@pytest.mark.parametrize("path", DRIVING)
async def test_a_plc_that_drives_is_not_disturbed(bench: Bench, vision: Vision, path: str) -> None:
    bench.joint.write(enable=True)
    await until(vision, "Ready", AUTOMATIC)
    await refused(vision, path, "BadInvalidState", *DRIVING[path])
    await refused(vision, f"{AUTOMATIC}/StartSingleJob", "BadInvalidState", *no_arguments(vision))
    assert "LINK drives the station" in await vision.value("StatusText")
    assert any("LINK drives the station" in line for line in bench.log)
    assert bench.station.seat is Seat.LINK


@pytest.mark.parametrize("path", [*DRIVING, "SafetyStateManagement/ReportSafetyState", "Error/Acknowledge"])
async def test_a_viewer_may_not_drive(bench: Bench, vision: Vision, path: str) -> None:
    async with bench.client("viewer") as viewer:
        await refused(viewer, path, "BadUserAccessDenied", *DRIVING.get(path, ()))


async def test_arguments_are_checked(vision: Vision) -> None:
    await automatic(vision)
    start, good = f"{AUTOMATIC}/StartSingleJob", no_arguments(vision)
    await refused(vision, start, "BadArgumentsMissing", *good[:4])
    await refused(vision, start, "BadTooManyArguments", *good, good[0])
    await refused(vision, start, "BadInvalidArgument", good[1], *good[1:])
    await refused(vision, start, "BadInvalidArgument", ua.Variant("M"), *good[1:])
    await refused(vision, start, "BadInvalidArgument", vision.make("MeasIdDataType", Id="x" * 300), *good[1:])
    assert (await vision.value(f"{AUTOMATIC}/CurrentState")).Text == "Ready"


@pytest.mark.parametrize(
    ("given", "error"),
    [({"recipe": "9"}, -1), ({"recipe": "2"}, -2), ({"product": "p"}, -3), ({"parameters": [1]}, -4)],
)
async def test_a_job_that_cannot_be_done_is_an_error_and_no_job(
    vision: Vision, given: dict[str, Any], error: int
) -> None:
    await automatic(vision)
    if "parameters" in given:
        given = {"parameters": [ua.Variant(1, ua.VariantType.Int32)]}
    job, code = await vision.call(f"{AUTOMATIC}/StartSingleJob", *no_arguments(vision, **given))
    assert (job.Id, code) == ("", error)
    assert (await vision.value(f"{AUTOMATIC}/CurrentState")).Text == "Ready"


async def test_a_method_may_be_called_by_the_method_of_its_type(vision: Vision) -> None:
    request = ua.CallMethodRequest(vision.node(MACHINE).nodeid, vision.model.id(7095), [])
    (result,) = await vision.client.uaclient.call([request])
    assert result.StatusCode.is_good()
    await until(vision, "Ready", AUTOMATIC)


async def test_simulation_cannot_be_switched_and_says_so(bench: Bench, vision: Vision) -> None:
    on, off = (ua.Variant(value, ua.VariantType.Boolean) for value in (True, False))
    assert await vision.call(f"{AUTOMATIC}/SimulationMode", off, *NO_CAUSE) == 0
    assert await vision.call(f"{AUTOMATIC}/SimulationMode", on, *NO_CAUSE) == -5
    bench.station.role.simulated = True
    bench.joint.show()
    try:
        assert await vision.call(f"{AUTOMATIC}/SimulationMode", on, *NO_CAUSE) == 0
        assert await vision.call(f"{AUTOMATIC}/SimulationMode", off, *NO_CAUSE) == -5
    finally:
        bench.station.role.simulated = False
        bench.joint.show()


# ---------------------------------------------------------------- recipes and configuration


async def prepare(
    vision: Vision, external: str = "", internal: str = "", method: str = "PrepareRecipe", **more: Any
) -> Any:
    return await vision.call(
        f"RecipeManagement/{method}",
        vision.make("RecipeIdExternalDataType", Id=external),
        vision.make("RecipeIdInternalDataType", Id=internal, **more),
    )


async def test_a_recipe_is_prepared_in_the_background(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    bench.station.loads = False
    internal, completed, error = await prepare(vision, "2")
    assert (internal.Id, completed, error) == ("nut@1", False, 0)
    await until(vision, "Initialized", AUTOMATIC)
    await refused(vision, f"{AUTOMATIC}/StartSingleJob", "BadInvalidState", *no_arguments(vision))
    async with asyncio.timeout(10):
        while not bench.station.orders:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    bench.station.loaded()
    await until(vision, "Ready", AUTOMATIC)
    await events.until(lambda: bool(of(vision, events, "RecipePreparedEventType")))
    (told,) = of(vision, events, "RecipePreparedEventType")
    assert (told.InternalId.Id, told.ExternalId.Id) == ("nut@1", "2")
    assert transitions(vision, events)[-1] == "InitializedToReadyRecipe"
    internal, completed, error = await prepare(vision, internal="nut@1", Hash=b"\x02" * 32)
    assert (completed, error) == (True, 0)


async def test_a_recipe_that_cannot_be_loaded_is_a_warning_and_the_old_one_stays(
    bench: Bench, vision: Vision, events: Events
) -> None:
    await automatic(vision)
    bench.station.loads = False
    active = bench.station.role.recipe_active
    await prepare(vision, str(3 - active))
    async with asyncio.timeout(10):
        while not bench.station.orders:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    bench.station.loaded(Code.MODEL_LOAD)
    await until(vision, "Ready", AUTOMATIC)
    await events.until(lambda: bool(of(vision, events, "VisionWarningConditionType")))
    assert of(vision, events, "VisionWarningConditionType")[-1].ErrorCode == int(Code.MODEL_LOAD)
    assert bench.station.role.recipe_active == active
    assert not of(vision, events, "RecipePreparedEventType")


async def test_unprepare_and_prepare_again(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    active = str(bench.station.role.recipe_active)
    _, error = await prepare(vision, active, method="UnprepareRecipe")
    assert error == 0
    await until(vision, "Initialized", AUTOMATIC)
    _, error = await prepare(vision, active, method="UnprepareRecipe")
    assert error == -2
    _, completed, error = await prepare(vision, active)
    assert (completed, error) == (True, 0)
    await until(vision, "Ready", AUTOMATIC)
    _, _, error = await prepare(vision, "9")
    assert error == -1


async def recipes(vision: Vision, external: str = "", wanted: int = 2, limit: int = 0, start: int = 0) -> Any:
    complete, count, handle, found, error = await vision.call(
        "RecipeManagement/GetRecipeListFiltered",
        vision.make("RecipeIdExternalDataType", Id=external),
        vision.make("ProductIdDataType"),
        ua.Variant(wanted, ua.VariantType.Int32),
        ua.Variant(limit, ua.VariantType.UInt32),
        ua.Variant(start, ua.VariantType.UInt32),
        ua.Variant(0, ua.VariantType.Int32),
    )
    assert (count, handle, error) == (len(found), 0, 0)
    return complete, [recipe.Id for recipe in found]


async def test_recipes_are_listed_by_every_filter(bench: Bench, vision: Vision) -> None:
    await automatic(vision)
    await prepare(vision, "1")
    await until(vision, "Ready", AUTOMATIC)
    async with asyncio.timeout(10):
        while bench.station.role.recipe_active != 1:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await until(vision, "Ready", AUTOMATIC)
    assert await recipes(vision) == (True, ["pin@3", "nut@1"])
    assert await recipes(vision, limit=1) == (False, ["pin@3"])
    assert await recipes(vision, limit=1, start=1) == (True, ["nut@1"])
    assert await recipes(vision, "nut") == (True, ["nut@1"])
    assert await recipes(vision, "7") == (True, [])
    assert await recipes(vision, wanted=1) == (True, ["pin@3"])
    assert await recipes(vision, wanted=0) == (True, ["nut@1"])


async def test_the_plc_changes_the_recipe_and_it_is_told(bench: Bench, vision: Vision, events: Events) -> None:
    other = 3 - bench.station.role.recipe_active
    seq = bench.joint.plc.command_seq % 100 + 1
    bench.joint.write(enable=True, command=int(CommandCode.ACTIVATE_RECIPE), command_param=other, command_seq=seq)
    await events.until(lambda: bool(of(vision, events, "RecipePreparedEventType")))
    assert of(vision, events, "RecipePreparedEventType")[0].ExternalId.Id == str(other)


async def test_there_is_one_configuration(vision: Vision) -> None:
    active = await vision.value("ConfigurationManagement/ActiveConfiguration")
    assert active.InternalId.Id == "press-1-beef"
    complete, count, _, found, error = await vision.call("ConfigurationManagement/GetConfigurationList", *PAGING)
    assert (complete, count, error, found[0].InternalId.Id) == (True, 1, 0, "press-1-beef")
    for name, error in (("press-1-beef", 0), ("other", -6)):
        asked = vision.make("ConfigurationIdDataType", Id=name)
        assert await vision.call("ConfigurationManagement/ActivateConfiguration", asked) == error
        timeout = ua.Variant(0, ua.VariantType.Int32)
        handle, made, code = await vision.call("ConfigurationManagement/GetConfigurationById", asked, timeout)
        assert (handle, made.InternalId.Id, code) == (0, "press-1-beef" if not error else "", error)


# ---------------------------------------------------------------- results


async def listed(vision: Vision, state: int = 0, limit: int = 0, start: int = 0, **given: str) -> Any:
    kinds = ("Meas", "Part", "RecipeIdExternal", "RecipeIdInternal", "Configuration", "Configuration", "Product", "Job")
    keys = ("meas", "part", "external", "internal", "outer", "inner", "product", "job")
    ids = [
        vision.make(f"{name}{'Id' if not name.startswith('Recipe') else ''}DataType", Id=given.get(key, ""))
        for name, key in zip(kinds, keys, strict=True)
    ]
    complete, count, handle, found, error = await vision.call(
        "ResultManagement/GetResultListFiltered",
        ua.Variant(state, ua.VariantType.Int32),
        *ids,
        ua.Variant(limit, ua.VariantType.UInt32),
        ua.Variant(start, ua.VariantType.UInt32),
        ua.Variant(0, ua.VariantType.Int32),
    )
    assert (count, error) == (len(found), 0)
    return complete, handle, found


async def test_results_are_found_by_every_filter_and_in_pages(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    mark = (bench.station.outcomes and str(len(bench.station.outcomes))) or "0"
    jobs = [await one_job(bench, vision, events, meas=f"m{mark}", part=f"p{mark}-{n}") for n in range(3)]
    _, _, found = await listed(vision, meas=f"m{mark}")
    assert [r.JobId.Id for r in found] == jobs
    assert [len((await listed(vision, job=job))[2]) for job in jobs] == [1, 1, 1]
    assert [r.PartId.Id for r in (await listed(vision, part=f"p{mark}-1"))[2]] == [f"p{mark}-1"]
    complete, _, page = await listed(vision, limit=2, meas=f"m{mark}")
    assert (complete, len(page)) == (False, 2)
    complete, _, page = await listed(vision, limit=2, start=2, meas=f"m{mark}")
    assert (complete, len(page)) == (True, 1)
    recipe = found[0].InternalRecipeId.Id
    assert len((await listed(vision, internal=recipe, meas=f"m{mark}"))[2]) == 3
    for nothing in (
        {"state": 4, "meas": f"m{mark}"},
        {"product": "x"},
        {"outer": "x"},
        {"inner": "x"},
        {"external": "9"},
    ):
        assert (await listed(vision, **nothing))[2] == []  # type: ignore[arg-type]


async def test_a_result_is_fetched_whole_and_in_parts(bench: Bench, vision: Vision, events: Events) -> None:
    await automatic(vision)
    job = await one_job(bench, vision, events, meas="M", part="P")
    (ready,) = [e for e in of(vision, events, "ResultReadyEventType") if job_of(e) == job]
    asked = vision.make("ResultIdDataType", Id=ready.ResultId.Id)
    timeout = ua.Variant(0, ua.VariantType.Int32)
    handle, whole, error = await vision.call("ResultManagement/GetResultById", asked, timeout)
    assert (error, whole.JobId.Id, whole.PartId.Id) == (0, job, "P")
    assert [v.Value for v in whole.ResultContent] == [v.Value for v in ready.ResultContent]
    parts = await vision.call("ResultManagement/GetResultComponentsById", asked, timeout)
    assert len(parts) == 17
    assert (parts[4], parts[5].Id, parts[6].Id, parts[12].Id, parts[16]) == (1, "M", "P", job, 0)
    assert parts[9].Id == parts[10].Id == ""
    release = "ResultManagement/ReleaseResultHandle"
    for number, error in ((handle, 0), (handle, -8), (parts[1], 0), (12345, -8)):
        assert await vision.call(release, ua.Variant(number, ua.VariantType.UInt32)) == error
    unknown = vision.make("ResultIdDataType", Id="none")
    assert (await vision.call("ResultManagement/GetResultById", unknown, timeout))[2] == -7
    assert (await vision.call("ResultManagement/GetResultComponentsById", unknown, timeout))[16] == -7


# ---------------------------------------------------------------- diagnostics and safety


async def test_the_diagnostic_level_is_the_engineers(bench: Bench, vision: Vision, events: Events) -> None:
    level = vision.node("DiagnosticLevel")
    with pytest.raises(ua.UaStatusCodeError):
        await level.write_value(3, ua.VariantType.UInt16)
    async with bench.client("engineer") as engineer:
        node = engineer.node("DiagnosticLevel")
        with pytest.raises(ua.UaStatusCodeError):
            await node.write_value(9, ua.VariantType.UInt16)
        await node.write_value(3, ua.VariantType.UInt16)
        await automatic(vision)
        job = await one_job(bench, vision, events)
        told = of(vision, events, "VisionDiagnosticInfoEventType")
        assert any("trigger" in e.Message.Text and job_of(e) == job for e in told)
        await node.write_value(0, ua.VariantType.UInt16)
        events.seen.clear()
        await one_job(bench, vision, events)
        assert not of(vision, events, "VisionDiagnosticInfoEventType")
        await node.write_value(1, ua.VariantType.UInt16)


async def test_a_safety_report_is_passed_on(vision: Vision, events: Events) -> None:
    for triggered, text in ((True, "door open"), (False, "")):
        arguments = ua.Variant(triggered, ua.VariantType.Boolean), ua.Variant(text, ua.VariantType.String)
        assert await vision.call("SafetyStateManagement/ReportSafetyState", *arguments) == 0
        assert await vision.value("SafetyStateManagement/VisionSafetyTriggered") is triggered
        assert await vision.value("SafetyStateManagement/VisionSafetyInformation") == text
    await events.until(lambda: len(of(vision, events, "VisionSafetyEventType")) == 2)
    assert of(vision, events, "VisionSafetyEventType")[0].VisionSafetyInformation == "door open"
