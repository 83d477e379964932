"""OPC 40100-1 as node-opcua's client sees it: every node, method, event, structure and condition."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from protocols.faults import Code
from protocols.signals import Judgement, StatusBit
from protocols.station_view import Seat
from tests.interop import node_opcua
from tests.interop.opcua_stand import MACHINE_VISION, Stand, login, stand
from tests.interop.vision_client import AUTOMATIC, MACHINE, System, VisionEvents

pytestmark = [
    pytest.mark.interop,
    pytest.mark.skipif(bool(node_opcua.missing()), reason=node_opcua.missing()),
    pytest.mark.asyncio(loop_scope="module"),
]

INT, WORD, DWORD, TEXT, BOOL = "Int32", "UInt16", "UInt32", "String", "Boolean"
CAUSE = ((INT, 0), (TEXT, "because"))
NOT_ACTIVE = "BadStateNotActive"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cell(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stand]:
    async with stand(tmp_path_factory.mktemp("cell")) as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def system(cell: Stand) -> AsyncIterator[System]:
    """An operator's, in front of a station as new."""
    cell.joint.again()
    async with cell.clients.session("operator", **login("otto")) as session:
        made = System(session)
        await reaches(made, MACHINE, "Preoperational")
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def events(system: System) -> AsyncIterator[VisionEvents]:
    async with system.events() as seen:
        yield seen


async def reaches(system: System, machine: str, state: str) -> None:
    seen = ""
    try:
        async with asyncio.timeout(15):
            while (seen := await system.state(machine)) != state:  # noqa: ASYNC110 - behind a wire
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"{machine} is {seen} and not {state}")


async def until(true: Callable[[], Any]) -> None:
    async with asyncio.timeout(15):
        while not true():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def automatic(system: System) -> None:
    assert await system.call(f"{MACHINE}/SelectModeAutomatic") == [0]
    await reaches(system, AUTOMATIC, "Ready")


async def job(cell: Stand, system: System, judgement: Judgement = Judgement.OK, **given: str) -> str:
    """A whole one; its JobId."""
    started, error = await system.call(f"{AUTOMATIC}/StartSingleJob", *system.job(**given))
    assert error == 0
    await until(lambda: cell.joint.station.open)
    cell.joint.station.expose()
    cell.joint.show()
    cell.joint.station.finish(judgement, cell.joint.now, 101 if judgement is Judgement.NG else 0)
    cell.joint.show()
    return str(started["id"])


async def test_every_variable_is_read_and_every_structure_decoded(system: System) -> None:
    await automatic(system)
    found = await system.session.browse_all(system.id())
    variables = [id_ for id_, each in found.items() if each["class"] == "Variable"]
    methods = [each["name"].partition(":")[2] for each in found.values() if each["class"] == "Method"]
    assert len(variables) > 150
    assert {"StartSingleJob", "StartContinuous", "Stop", "Abort", "Halt", "Reset", "ConfirmAll"} <= set(methods)
    values = dict(zip(variables, await system.session.read(*variables), strict=True))
    assert "Opaque" not in str(values)
    for id_, value in values.items():
        assert value["status"] == "Good" or "Condition" in str(id_) or _of_condition(id_), (id_, value)
    state = values[system.id("SystemState")]["value"]
    assert (state["$"], state["state"]) == ("SystemStateDescriptionDataType", 2)
    active = values[system.id("ConfigurationManagement/ActiveConfiguration")]["value"]
    assert (active["$"], active["internalId"]["id"]) == ("ConfigurationDataType", "press-1-beef")


def _of_condition(id_: str) -> bool:
    return any(f".{grade}." in id_ for grade in ("Warning", "Error", "PersistentError"))


async def test_it_is_found_from_the_objects_folder_by_its_type(system: System) -> None:
    (found,) = await system.session.do("browse", nodes=["i=85"], type="HierarchicalReferences")
    systems = [each["id"] for each in found["references"] if each["definition"] == system.type(1003)]
    assert systems == [system.id()]


async def test_a_job_tells_all_its_events_with_all_their_fields(
    cell: Stand, system: System, events: VisionEvents
) -> None:
    await automatic(system)
    made = await job(cell, system, Judgement.NG, meas="M-1", part="P-1")
    ready = await events.first("Ready", JobId={"$": "JobIdDataType", "id": made})
    for kind in ("JobStarted", "AcquisitionDone", "ResultReady"):
        assert (await events.first(kind))["JobId"]["id"] == made
    order = [each["kind"] for each in events.all()]
    assert order.index("JobStarted") < order.index("AcquisitionDone") < order.index("ResultReady")
    assert ready["SourceNode"] == system.id(AUTOMATIC)
    result = await events.first("ResultReady")
    assert (result["MeasId"]["id"], result["PartId"]["id"]) == ("M-1", "P-1")
    assert (result["ResultState"], result["IsPartial"], result["IsSimulated"]) == (1, False, False)
    assert (result["InternalRecipeId"]["id"], result["InternalRecipeId"]["hash"]) == ("pin@3", b"\x01" * 32)
    assert result["ProcessingTimes"]["$"] == "ProcessingTimesDataType"
    content = [each["value"] for each in result["ResultContent"]]
    assert [each["type"] for each in result["ResultContent"]][:6] == [BOOL, WORD, TEXT, WORD, TEXT, WORD]
    assert content[:5] == [False, 2, "NG", 101, "pin bent"]
    assert content[8:10] == [["length", "angle"], [1.5, 2.5]]


@pytest.mark.parametrize("where", ["", MACHINE, AUTOMATIC, "Server"])
async def test_events_reach_whoever_listens_to(where: str, cell: Stand, system: System) -> None:
    async with system.events("i=2253" if where == "Server" else system.id(where)) as seen:
        await automatic(system)
        made = await job(cell, system)
        assert (await seen.first("ResultReady"))["JobId"]["id"] == made
        (changed, *_) = seen.all("StateChanged")
        assert changed["Transition/Id"] == system.type(5253)
        await seen.first("Ready")
    assert len(seen.all("ResultReady")) == 1


async def test_a_filter_by_a_base_type_lets_its_subtypes_through_and_no_others(cell: Stand, system: System) -> None:
    async with system.events(ofType="i=2311") as seen:
        await automatic(system)
        await job(cell, system)
        await reaches(system, AUTOMATIC, "Ready")
        await until(lambda: len(seen.all()) >= 4)
    assert {each["kind"] for each in seen.all()} == {"StateChanged"}


async def test_results_are_fetched_whole_in_parts_and_by_filter(
    cell: Stand, system: System, events: VisionEvents
) -> None:
    await automatic(system)
    made = await job(cell, system, meas="M-2", part="P-2")
    told = await events.first("ResultReady", JobId={"$": "JobIdDataType", "id": made})
    asked = system.make("Result", told["ResultId"]["id"])
    handle, whole, error = await system.call("ResultManagement/GetResultById", asked, (INT, 0))
    assert (whole["$"], whole["jobId"]["id"], whole["partId"]["id"], error) == ("ResultDataType", made, "P-2", 0)
    assert [each["value"] for each in whole["resultContent"]] == [each["value"] for each in told["ResultContent"]]
    parts = await system.call("ResultManagement/GetResultComponentsById", asked, (INT, 0))
    assert len(parts) == 17
    assert (parts[5]["id"], parts[12]["id"], parts[16]) == ("M-2", made, 0)
    filters = (
        (INT, 0), system.make("MeasId", "M-2"), system.make("PartId"), system.make("ExternalRecipe"),
        system.make("InternalRecipe"), system.make("Configuration"), system.make("Configuration"),
        system.make("Product"), system.make("Job"), (DWORD, 0), (DWORD, 0), (INT, 0),
    )  # fmt: skip
    complete, count, _, found, error = await system.call("ResultManagement/GetResultListFiltered", *filters)
    assert (complete, count, error, [each["jobId"]["id"] for each in found]) == (True, 1, 0, [made])
    assert await system.call("ResultManagement/ReleaseResultHandle", (DWORD, handle)) == [0]


async def test_recipes_are_listed_prepared_and_unprepared(system: System, events: VisionEvents) -> None:
    await automatic(system)
    paging = ((INT, 2), (DWORD, 0), (DWORD, 0), (INT, 0))
    listed = await system.call(
        "RecipeManagement/GetRecipeListFiltered", system.make("ExternalRecipe"), system.make("Product"), *paging
    )
    assert [each["id"] for each in listed[3]] == ["pin@3", "nut@1"]
    for external, internal in (("2", "nut@1"), ("1", "pin@3")):
        ids = (system.make("ExternalRecipe", external), system.make("InternalRecipe"))
        out, _, error = await system.call("RecipeManagement/PrepareRecipe", *ids)
        assert (out["id"], error) == (internal, 0)
        await reaches(system, AUTOMATIC, "Ready")
    assert (await events.first("RecipePrepared"))["InternalId"]["id"] == "nut@1"
    ids = (system.make("ExternalRecipe", "1"), system.make("InternalRecipe"))
    assert (await system.call("RecipeManagement/UnprepareRecipe", *ids))[1] == 0
    await reaches(system, AUTOMATIC, "Initialized")


async def test_the_configuration_is_shown_and_activated(system: System) -> None:
    listed = await system.call("ConfigurationManagement/GetConfigurationList", (DWORD, 0), (DWORD, 0), (INT, 0))
    assert (listed[0], listed[1], listed[3][0]["internalId"]["id"], listed[4]) == (True, 1, "press-1-beef", 0)
    asked = system.make("Configuration", "press-1-beef")
    assert await system.call("ConfigurationManagement/ActivateConfiguration", asked) == [0]
    _, found, error = await system.call("ConfigurationManagement/GetConfigurationById", asked, (INT, 0))
    assert (found["internalId"]["id"], error) == ("press-1-beef", 0)


async def test_continuous_execution_stop_abort_halt_and_reset(cell: Stand, system: System) -> None:
    await automatic(system)
    for end in ("Stop", "Abort"):
        _, error = await system.call(f"{AUTOMATIC}/StartContinuous", *system.job())
        assert error == 0
        await until(lambda: cell.joint.station.open)
        assert await system.state(AUTOMATIC) == "ContinuousExecution"
        assert await system.call(f"{AUTOMATIC}/{end}", *CAUSE) == [0]
        cell.joint.station.finish(Judgement.OK, cell.joint.now)
        cell.joint.show()
        await reaches(system, AUTOMATIC, "Ready")
    assert await system.call(f"{MACHINE}/Halt", *CAUSE) == [0]
    await reaches(system, MACHINE, "Halted")
    assert await system.state(AUTOMATIC) == NOT_ACTIVE
    assert await system.call(f"{MACHINE}/Reset", *CAUSE) == [0]
    await reaches(system, MACHINE, "Preoperational")
    station, joint = cell.joint.station, cell.joint
    await until(lambda: station.seat is Seat.LINK and station.outputs(joint.now).status.bits & StatusBit.ONLINE)


async def test_a_reset_that_was_accepted_is_carried_out_though_its_client_leaves(cell: Stand, system: System) -> None:
    async with cell.clients.session("brief", **login("otto")) as session:
        brief = System(session)
        await automatic(brief)
        assert await brief.call(f"{MACHINE}/Halt", *CAUSE) == [0]
        await reaches(brief, MACHINE, "Halted")
        assert await brief.call(f"{MACHINE}/Reset", *CAUSE) == [0]
    station, joint = cell.joint.station, cell.joint
    await until(lambda: station.seat is Seat.LINK and station.outputs(joint.now).status.bits & StatusBit.ONLINE)
    await reaches(system, MACHINE, "Preoperational")


async def test_simulation_safety_and_diagnostics(cell: Stand, system: System, events: VisionEvents) -> None:
    await automatic(system)
    assert await system.call(f"{AUTOMATIC}/SimulationMode", (BOOL, False), *CAUSE) == [0]
    assert await system.call("SafetyStateManagement/ReportSafetyState", (BOOL, True), (TEXT, "door")) == [0]
    told = await events.first("Safety")
    assert (told["VisionSafetyTriggered"], told["VisionSafetyInformation"]) == (True, "door")
    assert await system.session.value(system.id("SafetyStateManagement/VisionSafetyInformation")) == "door"
    assert await system.session.write((system.id("DiagnosticLevel"), WORD, 3)) == ["BadUserAccessDenied"]
    async with cell.clients.session("engineer", **login("emil")) as engineer:
        assert await engineer.write((system.id("DiagnosticLevel"), WORD, 3)) == ["Good"]


async def test_a_fault_is_a_condition_that_is_refreshed_acknowledged_and_confirmed(
    cell: Stand, system: System, events: VisionEvents
) -> None:
    await automatic(system)
    cell.joint.station.fault(Code.CAMERA_LINK, True)
    raised = await events.first("ErrorCondition", ErrorCode=int(Code.CAMERA_LINK))
    assert (raised["AckedState/Id"], raised["Retain"], raised["StopReaction"]) == (False, True, True)
    await reaches(system, MACHINE, "Error")
    condition = raised[""]
    async with system.events("i=2253") as later:
        await until(lambda: not later.all("ErrorCondition"))
        asked = ("UInt32", later.seen.subscription)
        assert (await system.session.call("i=2782", "i=3875", asked))["status"] == "Good"
        again = await later.first("ErrorCondition", EventId=raised["EventId"])
        assert [each["kind"] for each in later.all()][:1] == ["2787"]
        await later.first("2788")
    assert (again[""], again["AckedState/Id"]) == (condition, False)
    comment = {"type": "LocalizedText", "value": {"text": "seen", "locale": "en"}}
    event = ("ByteString", raised["EventId"].hex())
    assert (await system.session.call(condition, "i=9111", event, comment))["status"] == "Good"
    acknowledged = await events.first("ErrorCondition", **{"AckedState/Id": True})
    cell.joint.station.fault(Code.CAMERA_LINK, False)
    cell.joint.show()
    event = ("ByteString", acknowledged["EventId"].hex())
    assert (await system.session.call(condition, "i=9113", event, comment))["status"] == "Good"
    await events.first("ErrorCondition", **{"ConfirmedState/Id": True, "AckedState/Id": True})
    await events.first("ErrorResolved")
    unknown = (await system.session.call(condition, "i=9111", ("ByteString", "00ff"), comment))["status"]
    assert unknown in ("BadEventIdUnknown", "BadConditionBranchAlreadyAcked")


async def test_confirm_all_confirms_what_waits(cell: Stand, system: System, events: VisionEvents) -> None:
    await automatic(system)
    cell.joint.station.fault(Code.CAMERA_LINK, True)
    raised = await events.first("ErrorCondition", ErrorCode=int(Code.CAMERA_LINK))
    comment = {"type": "LocalizedText", "value": {"text": "", "locale": ""}}
    event = ("ByteString", raised["EventId"].hex())
    assert (await system.session.call(raised[""], "i=9111", event, comment))["status"] == "Good"
    cell.joint.station.fault(Code.CAMERA_LINK, False)
    cell.joint.show()
    assert await system.call(f"{MACHINE}/ConfirmAll", comment) == []
    await events.first("ErrorCondition", **{"ConfirmedState/Id": True, "AckedState/Id": True})


# ---------------------------------------------------------------- refusals


def every_method(system: System) -> dict[str, list[Any]]:
    """Path and good arguments of each."""
    result, configuration = system.make("Result", "none"), system.make("Configuration", "none")
    recipe = [system.make("ExternalRecipe", "9"), system.make("InternalRecipe")]
    return {
        f"{MACHINE}/SelectModeAutomatic": [],
        f"{MACHINE}/Halt": [*CAUSE],
        f"{MACHINE}/Reset": [*CAUSE],
        f"{MACHINE}/ConfirmAll": [{"type": "LocalizedText", "value": {"text": "", "locale": ""}}],
        f"{AUTOMATIC}/StartSingleJob": system.job(),
        f"{AUTOMATIC}/StartContinuous": system.job(),
        f"{AUTOMATIC}/Stop": [*CAUSE],
        f"{AUTOMATIC}/Abort": [*CAUSE],
        f"{AUTOMATIC}/SimulationMode": [(BOOL, False), *CAUSE],
        "RecipeManagement/PrepareRecipe": recipe,
        "RecipeManagement/UnprepareRecipe": recipe,
        "RecipeManagement/GetRecipeListFiltered": [
            recipe[0], system.make("Product"), (INT, 2), (DWORD, 0), (DWORD, 0), (INT, 0)
        ],
        "ConfigurationManagement/ActivateConfiguration": [configuration],
        "ConfigurationManagement/GetConfigurationById": [configuration, (INT, 0)],
        "ConfigurationManagement/GetConfigurationList": [(DWORD, 0), (DWORD, 0), (INT, 0)],
        "ResultManagement/GetResultById": [result, (INT, 0)],
        "ResultManagement/GetResultComponentsById": [result, (INT, 0)],
        "ResultManagement/ReleaseResultHandle": [(DWORD, 1)],
        "SafetyStateManagement/ReportSafetyState": [(BOOL, False), (TEXT, "")],
    }  # fmt: skip


LOOKING = (
    "GetRecipeListFiltered",
    "GetConfigurationById",
    "GetConfigurationList",
    "GetResultById",
    "GetResultComponentsById",
    "GetResultListFiltered",
    "ReleaseResultHandle",
)


async def test_every_method_refuses_wrong_arguments(system: System) -> None:
    offered = [
        each["name"].partition(":")[2]
        for each in (await system.session.browse_all(system.id())).values()
        if each["class"] == "Method" and each["name"].startswith(f"{system.index}:")
    ]
    methods = every_method(system)
    assert set(offered) == {path.rpartition("/")[2] for path in methods} | {"GetResultListFiltered"}
    for path, inputs in methods.items():
        many = await system.ask(path, *inputs, (INT, 0))
        assert many["status"] == "BadTooManyArguments", path
        if not inputs:
            continue
        few = await system.ask(path, *inputs[:-1])
        assert few["status"] == "BadArgumentsMissing", path
        odd = await system.ask(path, ("Guid", "72962B91-FA75-4AE6-8D28-B404DC7DAF63"), *inputs[1:])
        assert odd["status"] == "BadInvalidArgument", path
        assert odd["inputs"][0] == "BadTypeMismatch", path
        assert set(odd["inputs"][1:]) <= {"Good"}, path


async def test_the_arguments_that_a_method_tells_are_those_of_the_standard(system: System) -> None:
    for path, inputs in every_method(system).items():
        if not inputs:
            continue
        told = await system.session.do("methodArguments", method=system.id(path))
        assert len(told["inputs"]) == len(inputs), path
        if path.endswith("ConfirmAll"):
            continue
        assert (told["outputs"][-1]["name"], told["outputs"][-1]["type"]) == ("Error", "ns=0;i=6"), path


async def test_a_viewer_looks_and_drives_nothing(cell: Stand, system: System) -> None:
    async with cell.clients.session("viewer", **login("anna")) as session:
        viewer = System(session)
        for path, inputs in every_method(system).items():
            status = (await viewer.ask(path, *inputs))["status"]
            looks = path.rpartition("/")[2] in LOOKING
            assert status == ("Good" if looks else "BadUserAccessDenied"), path


async def test_nothing_but_the_diagnostic_level_is_writable_even_for_the_engineer(cell: Stand, system: System) -> None:
    found = await system.session.browse_all(system.id())
    variables = [id_ for id_, each in found.items() if each["class"] == "Variable"]
    values = await system.session.read(*variables)
    own = [
        (id_, value["type"], value["value"])
        for id_, value in zip(variables, values, strict=True)
        if value["type"] in (BOOL, WORD, DWORD, INT, TEXT) and not id_.endswith(".DiagnosticLevel")
    ]
    assert len(own) > 20
    async with cell.clients.session("engineer", **login("emil")) as engineer:
        assert set(await engineer.write(*own)) <= {"BadNotWritable", "BadUserAccessDenied"}


async def test_a_job_is_only_started_when_ready(system: System) -> None:
    refused = await system.ask(f"{AUTOMATIC}/StartSingleJob", *system.job())
    assert refused["status"] == "BadInvalidState"


async def test_a_method_may_be_called_as_that_of_its_type(system: System) -> None:
    answer = await system.session.call(system.id(MACHINE), system.type(7095))
    assert answer["status"] == "Good"
    await reaches(system, AUTOMATIC, "Ready")


async def test_the_namespace_has_its_metadata_and_the_server_its_profiles(system: System) -> None:
    found = await system.session.browse_all("i=11715")
    assert any(each["name"] == f"{system.index}:{MACHINE_VISION}" for each in found.values())
    profiles = await system.session.value("i=2269")
    assert any("MachineVision/InlineVisionSystemServerFacet" in uri for uri in profiles)
