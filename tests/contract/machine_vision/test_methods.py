"""The methods of OPC 40100-1 over the wire: who may, what is refused, recipes, configuration, results."""

from __future__ import annotations

from typing import Any

import pytest
from asyncua import ua

from protocols.faults import Code
from protocols.signals import CommandCode
from protocols.station_view import Seat
from tests.contract.machine_vision_rig import (
    AUTOMATIC,
    MACHINE,
    NO_CAUSE,
    PAGING,
    Bench,
    Events,
    Vision,
    automatic,
    job_of,
    met,
    no_arguments,
    of,
    one_job,
    refused,
    transitions,
    until,
)

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(120)]

# ---------------------------------------------------------------- refusals


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
    await met(lambda: bool(bench.station.orders))
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
    await met(lambda: bool(bench.station.orders))
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
    await met(lambda: bench.station.role.recipe_active == 1)
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
        assert (await listed(vision, **nothing))[2] == []


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
            await node.write_value(1001, ua.VariantType.UInt16)
        await node.write_value(1, ua.VariantType.UInt16)
        await automatic(vision)
        job = await one_job(bench, vision, events)
        told = of(vision, events, "VisionDiagnosticInfoEventType")
        assert any("trigger" in e.Message.Text and job_of(e) == job for e in told)
        assert all(1 <= e.Severity <= 200 for e in told)
        await node.write_value(201, ua.VariantType.UInt16)
        events.seen.clear()
        await one_job(bench, vision, events)
        assert not of(vision, events, "VisionDiagnosticInfoEventType")
        await node.write_value(101, ua.VariantType.UInt16)


async def test_a_safety_report_is_passed_on(vision: Vision, events: Events) -> None:
    for triggered, text in ((True, "door open"), (False, "")):
        arguments = ua.Variant(triggered, ua.VariantType.Boolean), ua.Variant(text, ua.VariantType.String)
        assert await vision.call("SafetyStateManagement/ReportSafetyState", *arguments) == 0
        assert await vision.value("SafetyStateManagement/VisionSafetyTriggered") is triggered
        assert await vision.value("SafetyStateManagement/VisionSafetyInformation") == text
    await events.until(lambda: len(of(vision, events, "VisionSafetyEventType")) == 2)
    assert of(vision, events, "VisionSafetyEventType")[0].VisionSafetyInformation == "door open"
