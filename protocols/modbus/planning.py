"""From wanted places to as few Modbus requests as possible, and from the answers back to the values. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from protocols.link import MapError
from protocols.modbus.pdu import MAX_READ_BITS, MAX_READ_WORDS
from protocols.modbus.registers import ADDRESSES, Table, plc_address

Answer = bytes | tuple[bool, ...]
"""Big-endian words of a register table, or the values of a bit table."""

BIT_TABLES = frozenset((Table.COIL, Table.DISCRETE))


@dataclass(frozen=True, slots=True)
class Place:
    """One value: `size` is in words, or in bits where the table holds bits."""

    table: Table
    address: int
    size: int = 1

    @property
    def end(self) -> int:
        return self.address + self.size


@dataclass(frozen=True, slots=True)
class Limits:
    """What one request may ask for; `max_gap` places that nobody wants may lie between two that are wanted."""

    max_words: int = MAX_READ_WORDS
    max_bits: int = MAX_READ_BITS
    max_gap: int = 0

    def of(self, table: Table) -> int:
        return self.max_bits if table in BIT_TABLES else self.max_words


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and which of the wanted places it brings (their indices, in the order of the addresses)."""

    table: Table
    address: int
    count: int
    wanted: tuple[int, ...]


STANDARD = Limits()


def plan(places: Sequence[Place], limits: Limits = STANDARD) -> tuple[Request, ...]:
    """The fewest requests that bring every place whole, by table and address.

    Raises MapError for a place that leaves its table or does not fit one request.
    """
    for place in places:
        _check(place, limits)
    order = sorted(range(len(places)), key=lambda n: (places[n].table.value, places[n].address, places[n].end))
    tables = groupby(order, key=lambda n: places[n].table)
    return tuple(
        request
        for table, members in tables
        for cluster in _clusters(places, members, limits.max_gap)
        for request in _windows(places, cluster, table, limits.of(table))
    )


def values(places: Sequence[Place], requests: Iterable[Request], answers: Iterable[Answer]) -> tuple[Answer, ...]:
    """What each place holds, in the order of `places`; one answer for each request."""
    found: dict[int, Answer] = {}
    for request, answer in zip(requests, answers, strict=True):
        scale = 1 if request.table in BIT_TABLES else 2
        for n in request.wanted:
            first = (places[n].address - request.address) * scale
            found[n] = answer[first : first + places[n].size * scale]
    return tuple(found[n] for n in range(len(places)))


def _check(place: Place, limits: Limits) -> None:
    most = limits.of(place.table)
    if place.size < 1 or place.address < 0 or place.end > ADDRESSES:
        raise MapError(f"address {place.address} with size {place.size} leaves the table; addresses are 0 to 65535")
    if place.size > most:
        raise MapError(
            f"the value at {plc_address(place.table, place.address)} (PDU {place.address}) has size {place.size}, "
            f"but the device gives {most} in one request; raise the limit or choose a shorter type"
        )


def _clusters(places: Sequence[Place], members: Iterable[int], max_gap: int) -> Iterator[list[int]]:
    """Runs of places without a hole that is wider than allowed."""
    cluster: list[int] = []
    end = 0
    for n in members:
        if cluster and places[n].address > end + max_gap:
            yield cluster
            cluster, end = [], 0
        cluster.append(n)
        end = max(end, places[n].end)
    yield cluster


def _windows(places: Sequence[Place], cluster: list[int], table: Table, most: int) -> Iterator[Request]:
    """The leftmost place not yet brought begins a request, which takes along all that lies whole within its reach."""
    while cluster:
        first = places[cluster[0]].address
        wanted = [n for n in cluster if places[n].end <= first + most]
        end = max(places[n].end for n in wanted)
        yield Request(table, first, end - first, tuple(wanted))
        cluster = [n for n in cluster if places[n].end > first + most]
