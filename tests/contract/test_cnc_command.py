"""`python -m simulators cnc` ends as it was told, and says what became of the parts."""

from __future__ import annotations

import socket

import pytest

from simulators import __main__ as simulators

FAST = ["--speed", "50", "--reset-after", "0.1", "--port", "0"]


def test_it_ends_after_its_parts(capsys: pytest.CaptureFixture[str]) -> None:
    assert simulators.main(["cnc", "--parts", "2", "--verdict-timeout", "0.2", *FAST]) == 0
    told = capsys.readouterr().out
    assert "CNC at opc.tcp://127.0.0.1:" in told
    assert "stopped with alarm 700002: no verdict for part 2" in told
    assert "2 parts machined: 0 good, 0 not good, 2 without an answer" in told


def test_it_ends_after_its_time_with_all_that_goes_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    trouble = ["--bad", "*", "--refuse-writes", "--no-read-back", "--freeze-after", "0.1", "--restart-after", "0.1"]
    assert simulators.main(["cnc", "--seconds", "4", "--channels", "2", *trouble, *FAST]) == 0
    told = capsys.readouterr().out
    assert "the control freezes" in told
    assert "the server restarts" in told


def test_a_port_that_another_has_is_told_in_one_sentence(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert simulators.main(["cnc", "--port", str(port)]) == 1
    assert f"127.0.0.1:{port} cannot listen" in capsys.readouterr().err
