"""A station's board: what the writer puts there is what a reader finds, or it is told that it cannot."""

from __future__ import annotations

import math
import mmap
import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from gateway.board import _RECORDS_AT, _SLOT, OUTCOMES, SIZE, BoardReader, BoardWriter, TornError
from protocols.signals import NO_RESULT, Command, Judgement, Outputs, Result, Status
from protocols.station_view import Outcome, Seat

OK = Result(7, 3, 99, Judgement.OK, 1, score=0.5, values=(1.5, *(math.nan,) * 12))


@pytest.fixture
def writer() -> Iterator[BoardWriter]:
    writer = BoardWriter()
    yield writer
    writer.close()


@pytest.fixture
def reader(writer: BoardWriter) -> Iterator[BoardReader]:
    reader = BoardReader(os.dup(writer.descriptor))
    yield reader
    reader.close()


def outcome(number: int, **fields: object) -> Outcome:
    return replace(Outcome(number, replace(OK, result_seq=number & 0xFFFF, values=(2.0,) * 13)), **fields)  # type: ignore[arg-type]


def test_a_new_board_shows_a_station_that_shows_nothing(reader: BoardReader) -> None:
    image = reader.read()
    assert (image.seat, image.command, image.outputs.status, image.newest) == (Seat.LINK, Command(), Status(), 0)
    assert image.outputs.result.result_seq == 0
    assert reader.outcomes(0, image.newest) == []


def test_an_image_is_read_as_it_was_written(writer: BoardWriter, reader: BoardReader) -> None:
    command = Command(1, 3, 2, 9, part_id=99, user=(1, 2, 3, 4, 5, 6), serial="A-17")
    outputs, link = Outputs(Status(bits=2, heartbeat=5), OK), Outputs(Status(not_ready_reason=3014), NO_RESULT)
    writer.publish(Seat.VARIABLES, command, outputs, link)
    image = reader.read()
    assert (image.seat, image.command) == (Seat.VARIABLES, command)
    assert (image.outputs.status, image.link.status) == (outputs.status, link.status)
    assert (image.outputs.result.values[0], image.outputs.result.result_seq) == (1.5, 7)
    assert image.link.result.result_seq == 0


def test_what_did_not_change_is_the_same_object(writer: BoardWriter, reader: BoardReader) -> None:
    outputs = Outputs(Status(heartbeat=1), OK)
    writer.publish(Seat.LINK, Command(), outputs, None)
    first = reader.read()
    assert first.link is first.outputs
    writer.touch()
    second = reader.read()
    assert second.outputs is first.outputs
    assert second.stamp >= first.stamp
    writer.publish(Seat.LINK, Command(), replace(outputs, status=Status(heartbeat=2)), None)
    assert reader.read().outputs is not first.outputs


def test_each_image_has_a_turn_of_its_own(writer: BoardWriter, reader: BoardReader) -> None:
    turns = {reader.turn}
    for beat in range(5):
        writer.publish(Seat.LINK, Command(), Outputs(Status(heartbeat=beat)), None)
        turns.add(reader.turn)
    assert len(turns) == 6
    assert not any(turn & 1 for turn in turns)


def test_a_result_that_changed_is_encoded_anew_for_each_view(writer: BoardWriter, reader: BoardReader) -> None:
    one, two = Outputs(Status(), OK), Outputs(Status(), replace(OK, result_seq=8))
    for outputs, link in ((one, None), (one, two), (two, one), (two, None), (one, None)):
        writer.publish(Seat.LINK, Command(), outputs, link)
        image = reader.read()
        assert image.outputs.result.result_seq == outputs.result.result_seq
        assert image.link.result.result_seq == (link or outputs).result.result_seq


def test_a_writer_that_stopped_in_the_middle_is_told(writer: BoardWriter, reader: BoardReader) -> None:
    writer._map[0:8] = (writer._turn + 1).to_bytes(8, "little")
    with pytest.raises(TornError):
        reader.read()
    writer.touch()
    assert reader.read().seat is Seat.LINK


@pytest.mark.parametrize("at", [64, 100, 200, 400])
def test_an_image_that_is_no_image_is_told(writer: BoardWriter, reader: BoardReader, at: int) -> None:
    writer._map[at] ^= 0x40
    with pytest.raises(TornError):
        reader.read()


def test_outcomes_come_in_order_and_once(writer: BoardWriter, reader: BoardReader) -> None:
    told = outcome(1, serial="S1", seat=Seat.MACHINE_VISION, accepted=1.5, exposed=2.5, decided=3.5, rule="burr")
    writer.add(told)
    assert reader.read().newest == 0, "an outcome is seen with the outputs that follow from it"
    writer.touch()
    assert reader.outcomes(0, reader.read().newest) == [told]
    for number in range(2, 6):
        writer.add(outcome(number))
    writer.touch()
    assert [o.number for o in reader.outcomes(1, reader.read().newest)] == [2, 3, 4, 5]
    assert reader.outcomes(5, 5) == []


def test_outcomes_that_are_overwritten_are_a_gap_in_the_numbers(writer: BoardWriter, reader: BoardReader) -> None:
    for number in range(1, 3 * OUTCOMES):
        writer.add(outcome(number))
    writer.touch()
    numbers = [o.number for o in reader.outcomes(0, reader.read().newest)]
    assert numbers == list(range(2 * OUTCOMES, 3 * OUTCOMES))
    writer.add(outcome(3 * OUTCOMES))  # the reader comes late: the slot of 2 * OUTCOMES is another's already
    assert [o.number for o in reader.outcomes(2 * OUTCOMES - 1, 2 * OUTCOMES + 1)] == [2 * OUTCOMES + 1]


def test_a_record_that_is_just_written_is_no_outcome(writer: BoardWriter, reader: BoardReader) -> None:
    writer.add(outcome(1))
    writer._map[_RECORDS_AT + _SLOT + 30] ^= 1
    assert reader.outcomes(0, 1) == []


def test_texts_are_cut_between_characters(writer: BoardWriter, reader: BoardReader) -> None:
    writer.add(outcome(1, serial="ß" * 100, rule="r\ud800x", detail="é" * 1000))
    writer.touch()
    (found,) = reader.outcomes(0, 1)
    assert (found.serial, found.rule, found.detail) == ("ß" * 64, "r?x", "é" * 256)


def test_a_reader_can_change_nothing(writer: BoardWriter) -> None:
    with pytest.raises(OSError, match="not permitted"):
        mmap.mmap(writer.descriptor, SIZE)
    with pytest.raises(OSError, match="not permitted"):
        os.ftruncate(writer.descriptor, 0)


def test_a_number_beyond_its_word_is_shown_as_the_nearest(writer: BoardWriter, reader: BoardReader) -> None:
    writer.publish(Seat.LINK, Command(), Outputs(Status(lost=70_000), replace(OK, findings=99_999)), None)
    image = reader.read()
    assert (image.outputs.status.lost, image.outputs.result.findings) == (65535, 65535)


def test_a_board_that_is_closed_is_written_no_more() -> None:
    board = BoardWriter()
    board.close()
    board.add(outcome(1))
    board.publish(Seat.LINK, Command(), Outputs(), None)
