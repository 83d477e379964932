"""How calls to a foreign OPC UA server fail."""

import asyncio

import pytest

from protocols.link import PeerError
from protocols.opcua.failures import ConnectionFailedError, guarded


@pytest.mark.parametrize("outcome", [None, OSError("gone"), ValueError("odd")])
async def test_a_task_that_is_cancelled_as_the_call_ends_is_cancelled(outcome: Exception | None) -> None:
    """As asyncua's wait_for does it: what was waited for wins over being cancelled."""
    at_it = asyncio.Event()

    async def stubborn() -> str:
        at_it.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if outcome is not None:
                raise outcome from None
        return "done"

    task = asyncio.create_task(guarded(stubborn(), "plc", "a word", 10))
    await at_it.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_call_while_its_task_is_being_cancelled_fails_as_any_other() -> None:
    async def leave() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with pytest.raises(ConnectionFailedError):
                await guarded(_gone(), "plc", "leave", 1)

    task = asyncio.create_task(leave())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_takes_too_long_is_told() -> None:
    with pytest.raises(PeerError, match="no answer to the request for a word within 10 ms"):
        await guarded(asyncio.Event().wait(), "plc", "a word", 0.01)


async def _gone() -> None:
    raise OSError("gone")
