"""Who gets in, who gives way, who is turned away: without a socket, with a clock that is told."""

from contextlib import suppress
from dataclasses import dataclass

import pytest

from protocols.faults import Code
from protocols.modbus.admission import (
    BURST_S,
    CONNECTS_PER_SECOND,
    PER_ADDRESS,
    REMEMBERED,
    RESERVED,
    Access,
    Door,
    TurnedAwayError,
    loopback,
    network,
    plain,
)

PLC, OTHER, HERE = "10.0.0.5", "10.0.0.9", "127.0.0.1"


@dataclass(eq=False)
class Member:
    peer: str
    quiet: bool = False

    def idle(self, now: float) -> bool:
        return self.quiet


def door(connections: int = 4, **access: object) -> Door[Member]:
    return Door(Access(**access), connections)  # type: ignore[arg-type]


def enter(at: Door[Member], peer: str, *, quiet: bool = False) -> Member:
    """Let one more in, as the listener does; who gave way is out."""
    gone = at.room(peer, 0.0)
    if gone is not None:
        at.leave(gone)
    at.enter(member := Member(peer, quiet))
    return member


def refused(at: Door[Member], peer: str, now: float = 0.0) -> Code:
    try:
        at.knock(peer, now)
        at.room(peer, now)
    except TurnedAwayError as error:
        return error.code
    pytest.fail("was let in")


@pytest.mark.parametrize(
    ("allow", "peer", "good"),
    [
        (("any",), "192.0.2.7", True),
        (("10.0.0.0/24",), "10.0.0.77", True),
        (("10.0.0.0/24",), "10.0.1.77", False),
        (("10.0.0.5",), "10.0.0.5", True),
        (("10.0.0.5",), "10.0.0.50", False),
        (("10.0.0.5", "fd00::/8"), "fd00::1", True),
        (("10.0.0.5", "fd00::/8"), "fe80::1%eth0", False),
        (("fe80::/10",), "fe80::1%eth0", True),
        (("0.0.0.0/0",), "::1", False),
        (("0.0.0.0/0",), "?", False),
        ((), "10.0.0.5", False),
    ],
)
def test_who_is_allowed(allow: tuple[str, ...], peer: str, good: bool) -> None:
    if good:
        door(allow=allow).knock(peer, 0.0)
    else:
        assert refused(door(allow=allow), peer) is Code.PEER_REFUSED


def test_a_configured_plc_is_allowed_without_being_listed() -> None:
    door(allow=("192.0.2.1",), plc=(PLC,)).knock(PLC, 0.0)
    door(allow=(), plc=("::ffff:10.0.0.5",)).knock(plain("::ffff:10.0.0.5"), 0.0)


@pytest.mark.parametrize("text", ["10.0.0.0/33", "10.0.0.1/24", "plc.local", "10.0.0", ""])
def test_what_is_no_network_is_told_in_a_sentence(text: str) -> None:
    with pytest.raises(ValueError, match="is no address and no network as 192"):
        network(text)


def test_when_full_the_oldest_silent_connection_gives_way_and_without_one_the_new_is_refused() -> None:
    at = door(3)
    enter(at, OTHER)
    silent = enter(at, OTHER, quiet=True)
    enter(at, OTHER, quiet=True)
    enter(at, "10.0.0.10")
    assert silent not in at.members
    enter(at, "10.0.0.11")
    assert len(at.members) == 3
    assert refused(at, "10.0.0.12") is Code.CLIENT_LIMIT


def test_a_configured_plc_finds_room_when_all_is_taken() -> None:
    at = door(3, plc=(PLC,))
    for n in range(3):
        enter(at, f"10.0.1.{n}")
    plc = [enter(at, PLC) for _ in range(RESERVED)]
    assert all(member in at.members for member in plc)
    assert len(at.members) == 3 + RESERVED
    assert refused(at, PLC) is Code.CLIENT_LIMIT  # its reserved slots are taken, and all others
    assert refused(at, OTHER) is Code.CLIENT_LIMIT


def test_reserved_connections_do_not_take_room_from_others_and_never_give_way_to_them() -> None:
    at = door(2, plc=(PLC,))
    plc = [enter(at, PLC, quiet=True) for _ in range(RESERVED + 2)]
    assert refused(at, OTHER) is Code.CLIENT_LIMIT
    assert all(member in at.members for member in plc)
    at.leave(plc[0])
    enter(at, OTHER)
    assert refused(at, OTHER) is Code.CLIENT_LIMIT


def test_a_dead_connection_of_the_plc_gives_way_to_its_new_one() -> None:
    at = door(1, plc=(PLC,))
    old = [enter(at, PLC, quiet=True) for _ in range(RESERVED + 1)]
    enter(at, PLC)
    assert old[0] not in at.members
    assert len(at.members) == RESERVED + 1


def test_one_address_has_its_share_and_this_computer_is_not_counted() -> None:
    at = door(1000)
    for _ in range(PER_ADDRESS):
        enter(at, OTHER)
        enter(at, HERE)
    assert refused(at, OTHER) is Code.CLIENT_LIMIT
    enter(at, HERE)
    enter(at, "10.0.0.10")
    own = door(1000, per_address=2)
    silent = enter(own, HERE, quiet=True)
    enter(own, HERE)
    enter(own, HERE)
    assert silent not in own.members
    assert refused(own, HERE) is Code.CLIENT_LIMIT


def knocks(at: Door[Member], peer: str, a_second: float, seconds: float) -> int:
    """How many of these connects got in."""
    good = 0
    for n in range(round(a_second * seconds)):
        with suppress(TurnedAwayError):
            at.knock(peer, 1000 + n / a_second)
            good += 1
    return good


def test_a_storm_is_limited_and_a_master_that_connects_for_each_poll_is_not() -> None:
    at = door()
    assert knocks(at, "10.0.0.20", 10, 600) == 6000
    let_in = knocks(at, OTHER, 100, 600)
    most = CONNECTS_PER_SECOND * (600 + BURST_S)
    assert 0.95 * most <= let_in <= most + 1
    assert knocks(at, HERE, 1000, 10) == 10_000
    at.knock("10.0.0.21", 1600)


def test_a_configured_plc_may_connect_as_often_as_it_likes() -> None:
    assert knocks(door(plc=(PLC,)), PLC, 1000, 60) == 60_000


def test_a_storm_that_has_paused_may_come_again() -> None:
    at = door(connects_per_second=1)
    assert knocks(at, HERE, 100, 5) == BURST_S + 4
    at.knock(HERE, 1000 + 3 * BURST_S)


def test_addresses_remembered_are_bounded() -> None:
    at = door()
    for n in range(5 * REMEMBERED):
        at.knock(f"fd00::{n:x}", 0.0)
    assert len(at._due) <= REMEMBERED


def test_leaving_twice_is_leaving_once() -> None:
    at = door()
    one, two = enter(at, PLC), enter(at, PLC)
    assert [at.leave(one), at.leave(one), at.leave(two), at.leave(two)] == [False, False, True, False]
    assert not at.members
    assert at.of(PLC) == ()


@pytest.mark.parametrize(
    ("address", "here"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("localhost", True), ("", False), ("::", False),
     ("0.0.0.0", False), ("10.0.0.1", False), ("gateway.local", False)],  # noqa: S104
)  # fmt: skip
def test_which_addresses_are_this_computer_alone(address: str, here: bool) -> None:
    assert loopback(address) is here


@pytest.mark.parametrize(
    ("host", "own"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("10.0.0.1", False), ("plc.example", False)],
)
def test_only_this_computer_itself_is_loopback(host: str, own: bool) -> None:
    assert loopback(host) is own
