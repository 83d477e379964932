"""Wanted places → requests → values: nothing is lost, nothing split, and no request more than needed."""

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.link import MapError
from protocols.modbus.planning import BIT_TABLES, Answer, Limits, Place, Request, plan, values
from protocols.modbus.registers import Table

H, C = Table.HOLDING, Table.COIL

PLACES = st.lists(
    st.builds(Place, st.sampled_from(Table), st.integers(0, 200), st.integers(1, 16)), max_size=40, unique=True
)
LIMITS = st.builds(Limits, st.integers(16, 125), st.integers(16, 2000), st.integers(0, 30))


def asked(request: Request) -> Answer:
    """What a device answers in which every place holds its own address."""
    span = range(request.address, request.address + request.count)
    if request.table in BIT_TABLES:
        return tuple(bool(address.bit_count() & 1) for address in span)
    return b"".join(address.to_bytes(2, "big") for address in span)


@given(PLACES, LIMITS)
def test_plan_and_slices_give_back_every_value_within_the_limits(places: list[Place], limits: Limits) -> None:
    requests = plan(places, limits)
    found = values(places, requests, [asked(request) for request in requests])
    assert found == tuple(asked(Request(place.table, place.address, place.size, ())) for place in places)
    for request in requests:
        assert 1 <= request.count <= limits.of(request.table)
        wanted = {
            address for n in request.wanted for address in range(places[n].address, places[n].address + places[n].size)
        }
        assert min(wanted) == request.address
        assert max(wanted) == request.address + request.count - 1


@given(PLACES, LIMITS)
def test_no_request_reads_over_a_hole_wider_than_allowed(places: list[Place], limits: Limits) -> None:
    for request in plan(places, limits):
        wanted = {
            address
            for place in places
            if place.table is request.table
            for address in range(place.address, place.address + place.size)
        }
        hole = 0
        for address in range(request.address, request.address + request.count):
            hole = 0 if address in wanted else hole + 1
            assert hole <= limits.max_gap


@given(
    st.lists(st.builds(Place, st.just(H), st.integers(0, 24), st.integers(1, 6)), min_size=1, max_size=6, unique=True)
)
def test_no_plan_has_fewer_requests(places: list[Place]) -> None:
    """Against every way to choose windows of the greatest length."""
    most = 8
    needed = len(plan(places, Limits(most, 1, 30)))
    starts = {place.address for place in places}
    for fewer in range(1, needed):
        for chosen in combinations(sorted(starts), fewer):
            covered = all(any(s <= p.address and p.address + p.size <= s + most for s in chosen) for p in places)
            assert not covered


@pytest.mark.parametrize(
    ("places", "limits", "expected"),
    [
        ([], Limits(), []),
        ([Place(H, 5, 2), Place(H, 0, 5)], Limits(), [(H, 0, 7)]),
        ([Place(H, 0), Place(H, 3)], Limits(max_gap=1), [(H, 0, 1), (H, 3, 1)]),
        ([Place(H, 0), Place(H, 3)], Limits(max_gap=2), [(H, 0, 4)]),
        ([Place(H, n, 2) for n in range(0, 20, 2)], Limits(max_words=5), [(H, n, 4) for n in range(0, 20, 4)]),
        ([Place(H, 0), Place(H, 1, 8), Place(H, 2)], Limits(max_words=8), [(H, 0, 3), (H, 1, 8)]),
        ([Place(H, 0), Place(C, 1)], Limits(), [(C, 1, 1), (H, 0, 1)]),
        ([Place(H, 4), Place(H, 4)], Limits(), [(H, 4, 1)]),
        ([Place(C, 0), Place(C, 1999)], Limits(max_gap=5000), [(C, 0, 2000)]),
    ],
)
def test_plans(places: list[Place], limits: Limits, expected: list[tuple[Table, int, int]]) -> None:
    assert [(request.table, request.address, request.count) for request in plan(places, limits)] == expected


@pytest.mark.parametrize(
    ("place", "limits", "message"),
    [
        (Place(H, 0, 16), Limits(max_words=10), r"the value at 40001 \(PDU 0\) has size 16, but the device gives 10"),
        (Place(H, 65535, 2), Limits(), "leaves the table"),
        (Place(H, -1), Limits(), "leaves the table"),
        (Place(H, 0, 0), Limits(), "leaves the table"),
    ],
)
def test_a_place_that_no_request_can_bring_is_a_map_error(place: Place, limits: Limits, message: str) -> None:
    with pytest.raises(MapError, match=message):
        plan([place], limits)
