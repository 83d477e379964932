import pytest

from protocols.modbus.writer import Writer


def writer(*plc: str, silence: float = 5.0) -> Writer:
    return Writer(silence, plc.__contains__)


def test_the_first_to_write_holds_the_block_while_it_writes() -> None:
    block = writer()
    assert [block.may(address, 10.0) for address in "abab"] == [True, False, True, False]
    assert block.may("a", 14.0)
    assert not block.may("b", 19.0)
    assert block.may("b", 19.1)
    assert not block.may("a", 19.2)


def test_leaving_frees_the_block_for_whoever_is_first() -> None:
    block = writer()
    assert block.may("a", 1.0)
    block.left("b")
    assert not block.may("b", 1.0)
    block.left("a")
    assert block.may("b", 1.0)
    assert not block.may("a", 1.0)


def test_a_configured_plc_takes_the_block_and_keeps_it() -> None:
    block = writer("plc", "plc2")
    assert [block.may(who, 1.0) for who in ("scada", "plc", "scada", "plc2", "plc")] == [
        True, True, False, False, True,
    ]  # fmt: skip


@pytest.mark.parametrize("who", ["a", "b"])
def test_without_a_time_everybody_may_write(who: str) -> None:
    block = writer(silence=0.0)
    assert block.may("a", 1.0)
    assert block.may(who, 1.0)
