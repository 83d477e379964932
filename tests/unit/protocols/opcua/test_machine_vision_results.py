"""The store of results: bounded, found by filters, in pages; handles."""

from __future__ import annotations

import pytest

from protocols.opcua.machine_vision_identity import configuration, external_recipe, internal_recipe
from protocols.opcua.machine_vision_records import BinaryId, Ident, ResultState, VisionResult
from protocols.opcua.machine_vision_results import HANDLES, PAGE, ResultFilter, ResultStore
from tests.vision_station import FACTS, RECIPES


def result(number: int, **changed: object) -> VisionResult:
    fields = {
        "result_id": f"r{number}",
        "job_id": f"j{number}",
        "state": ResultState.COMPLETED,
        "created": 1.0,
        "internal_recipe": internal_recipe(RECIPES[0]),
        "external_recipe": external_recipe(RECIPES[0]),
        "internal_configuration": configuration(FACTS),
        "meas": Ident(f"m{number % 2}"),
        "part": Ident(f"p{number}"),
    } | changed
    return VisionResult(**fields)  # type: ignore[arg-type]


def store(count: int, limit: int = 1000) -> ResultStore:
    made = ResultStore(limit)
    for number in range(count):
        made.add(result(number))
    return made


def ids(page: tuple[bool, list[VisionResult]]) -> list[str]:
    return [r.result_id for r in page[1]]


def test_only_the_last_results_are_kept() -> None:
    kept = store(30, limit=10)
    assert len(kept) == 10
    assert kept.by_id("r19") is None
    assert kept.by_id("r20") is not None


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 10, 11])
def test_pages_have_every_result_once_and_the_last_one_says_so(size: int) -> None:
    kept = store(10)
    seen: list[str] = []
    for start in range(0, 100, size):
        complete, page = kept.page(ResultFilter(), size, start)
        seen += [r.result_id for r in page]
        if complete:
            break
    assert seen == [f"r{n}" for n in range(10)]


def test_an_answer_is_never_larger_than_a_message_can_be() -> None:
    kept = store(PAGE + 1)
    for asked in (0, 100_000):
        complete, page = kept.page(ResultFilter(), asked, 0)
        assert (complete, len(page)) == (False, PAGE)
    assert kept.page(ResultFilter(), 0, 10**9) == (True, [])


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ResultFilter(), ["r0", "r1", "r2"]),
        (ResultFilter(state=1), ["r0", "r1", "r2"]),
        (ResultFilter(state=3), []),
        (ResultFilter(meas="m0"), ["r0", "r2"]),
        (ResultFilter(part="p1"), ["r1"]),
        (ResultFilter(job="j2"), ["r2"]),
        (ResultFilter(meas="m0", job="j1"), []),
        (ResultFilter(product="x"), []),
        (ResultFilter(external_recipe=BinaryId("1")), ["r0", "r1", "r2"]),
        (ResultFilter(external_recipe=BinaryId("pin")), ["r0", "r1", "r2"]),
        (ResultFilter(external_recipe=BinaryId("2")), []),
        (ResultFilter(internal_recipe=BinaryId("pin@3")), ["r0", "r1", "r2"]),
        (ResultFilter(internal_recipe=BinaryId("pin@3", digest=b"\x01" * 32)), ["r0", "r1", "r2"]),
        (ResultFilter(internal_recipe=BinaryId("pin@3", digest=b"\x09" * 32)), []),
        (ResultFilter(internal_configuration=configuration(FACTS)), ["r0", "r1", "r2"]),
        (ResultFilter(internal_configuration=BinaryId("other")), []),
        (ResultFilter(external_configuration=configuration(FACTS)), []),
    ],
)
def test_every_filter_counts(wanted: ResultFilter, found: list[str]) -> None:
    assert ids(store(3).page(wanted, 0, 0)) == found


def test_handles_are_released_once_and_bounded() -> None:
    kept = ResultStore()
    first = kept.open_handle()
    assert first != 0
    assert kept.release(first)
    assert not kept.release(first)
    handles = [kept.open_handle() for _ in range(HANDLES + 1)]
    assert len(set(handles)) == HANDLES + 1
    assert not kept.release(handles[0])
    assert kept.release(handles[-1])
