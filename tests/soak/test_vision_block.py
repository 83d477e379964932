"""The exported function block under some hundreds of other orders of reads, scans, writes and mishaps."""

import pytest

from protocols.handshake import Style
from tests.contract.test_vision_block import BOTH, interleavings

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


@pytest.mark.parametrize(("language", "style"), BOTH)
def test_hundreds_of_interleavings_end_with_the_right_verdicts(language: str, style: Style) -> None:
    interleavings(language, style, range(10, 210))
