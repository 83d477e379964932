from math import inf

import pytest

from protocols.modbus.writer import Writer


class Masters:
    """How long each has been silent."""

    def __init__(self, *plc: str, silence: float = 5.0) -> None:
        self.silent: dict[str, float] = {}
        self.writer = Writer(silence, lambda address: self.silent.get(address, inf), plc.__contains__)


def test_the_first_to_write_holds_the_block_while_it_asks() -> None:
    masters = Masters()
    masters.silent = {"a": 0.0, "b": 0.0}
    assert [masters.writer.may(address) for address in "abab"] == [True, False, True, False]
    masters.silent["a"] = 5.0
    assert not masters.writer.may("b")
    masters.silent["a"] = 5.1
    assert masters.writer.may("b")
    assert not masters.writer.may("a")


def test_leaving_frees_the_block_for_whoever_is_first() -> None:
    masters = Masters()
    masters.silent = {"a": 0.0, "b": 0.0}
    assert masters.writer.may("a")
    masters.writer.left("b")
    assert not masters.writer.may("b")
    masters.writer.left("a")
    assert masters.writer.may("b")
    assert not masters.writer.may("a")


def test_a_holder_without_a_connection_holds_nothing() -> None:
    masters = Masters()
    assert masters.writer.may("a")
    assert masters.writer.may("b")


def test_a_configured_plc_takes_the_block_and_keeps_it() -> None:
    masters = Masters("plc", "plc2")
    masters.silent = {"scada": 0.0, "plc": 0.0, "plc2": 0.0}
    assert [masters.writer.may(who) for who in ("scada", "plc", "scada", "plc2", "plc")] == [
        True, True, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("who", ["a", "b"])
def test_without_a_time_everybody_may_write(who: str) -> None:
    masters = Masters(silence=0.0)
    masters.silent = {"a": 0.0, "b": 0.0}
    assert masters.writer.may("a")
    assert masters.writer.may(who)
