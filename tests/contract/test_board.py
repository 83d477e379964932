"""A board that another process reads while it is written: each image is of one moment, each outcome is whole."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

from gateway.board import BoardWriter
from protocols.signals import Command, Outputs, Result, Status
from protocols.station_view import Outcome, Seat

ROOT = Path(__file__).parents[2]
READER = """
import json, sys, time
from gateway.board import BoardReader, TornError

reader = BoardReader(int(sys.argv[1]))
print("reading", flush=True)
looks = images = torn = known = seen = gaps = 0
wrong = []
last = -1
while last < int(sys.argv[2]):
    looks += 1
    try:
        image = reader.read()
    except TornError:
        torn += 1
        continue
    number = image.command.part_id
    words = (image.outputs.status.heartbeat, image.outputs.result.result_seq, image.outputs.result.trigger_seq,
             image.link.status.heartbeat, image.link.result.part_id & 0xFFFF)
    if number < last or set(words) != {number & 0xFFFF} or image.seat != 1 + number % 3:
        wrong.append([number, last, *words])
        break
    images += number != last
    last = number
    for outcome in reader.outcomes(known, image.newest):
        gaps += outcome.number - known - 1
        known = outcome.number
        seen += 1
        if outcome.result.part_id != known or outcome.serial != str(known) * 3 or outcome.decided != known / 2:
            wrong.append(["outcome", known, outcome.serial, outcome.result.part_id])
print(json.dumps({"images": images, "torn": torn, "seen": seen, "gaps": gaps, "known": known, "wrong": wrong}))
"""


def hammered(rounds: int, pause: float) -> dict[str, object]:
    """Write so many images, each wholly of its number, while another process reads as fast as it can."""
    board = BoardWriter()
    reader = subprocess.Popen(
        [sys.executable, "-c", READER, str(board.descriptor), str(rounds)],
        pass_fds=(board.descriptor,), cwd=ROOT, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert reader.stdout is not None
        assert reader.stdout.readline() == "reading\n"
        for number in range(1, rounds + 1):
            low = number & 0xFFFF
            outputs = Outputs(Status(heartbeat=low), Result(low, low))
            link = Outputs(Status(heartbeat=low), Result(1, part_id=number))
            result = Result(low, part_id=number)
            board.add(Outcome(number, result, serial=str(number) * 3, decided=number / 2))
            board.publish(Seat(1 + number % 3), Command(part_id=number), outputs, link)
            if pause:
                time.sleep(pause)
        told, _ = reader.communicate(timeout=40)
    finally:
        reader.kill()
        reader.wait()
        board.close()
    return dict(json.loads(told))


def test_a_reader_never_sees_two_moments_at_once() -> None:
    told = hammered(60_000, 0)
    assert told["wrong"] == []
    assert int(str(told["images"])) > 100
    assert int(str(told["seen"])) + int(str(told["gaps"])) == told["known"]


def test_a_reader_that_keeps_up_misses_no_outcome() -> None:
    told = hammered(1000, 0.001)
    assert told["wrong"] == []
    assert (told["seen"], told["gaps"]) == (1000, 0)
