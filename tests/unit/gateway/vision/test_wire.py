"""The messages between control process and worker: both ways, and nonsense."""

import json
import math
import struct
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection import MAX_FINDINGS, Finding, Observation
from gateway.judge import _sound as judge_sound
from gateway.vision import finding_rows, wire
from gateway.vision.finding_rows import WireError
from protocols.faults import Code

LABELS = frozenset({"scratch", "burr"})
RICH = Finding(
    "burr",
    0.5,
    (1, 2, 30, 40),
    outline=((1, 2), (30, 2.25), (15.5, 40)),
    points=((3, 4, 0.5), (-5, 6, 1)),
    angle=-12.5,
    text="(01)09521234543213 é",
    value=-0.125,
)
SEEN = Observation((Finding("scratch", 0.75, (1.5, 2.0, 30.25, 40.0)),), Code.NONE, "", 0.01, 0.004, 1.7e9, True)

PLAIN: list[object] = ["scratch", 0.5, 1, 2, 3, 4]

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def body(message: wire.ToWorker | wire.FromWorker) -> bytes:
    (only,) = wire.Splitter().feed(wire.encode(message))
    return only


def observed(**changes: object) -> wire.Observed:
    flat = json.loads(body(wire.Observed(7, SEEN))) | changes
    message = wire.decode_from_worker(json.dumps(flat).encode(), LABELS)
    assert isinstance(message, wire.Observed)
    return message


@pytest.mark.parametrize(
    "message",
    [
        wire.Ready(
            wire.ModelFacts(
                1, "bracket", "ab" * 32, 5, "CPUExecutionProvider", 0.1, ("scratch",), 320, 256, True, "no cuda"
            )
        ),
        wire.Failed(Code.MODEL_HASH, "another file"),
        wire.Exposed(7, 1.7e9, 0.01),
        wire.Observed(7, SEEN),
        wire.Observed(7, replace(SEEN, findings=(RICH, Finding("burr", 1), RICH))),
        wire.PictureDone(7, "pictures/7.jpg"),
        wire.CameraDown(Code.CAMERA_LINK, "gone"),
        wire.CameraUp(),
    ],
)
def test_what_a_worker_says_arrives(message: wire.FromWorker) -> None:
    assert wire.decode_from_worker(body(message), LABELS) == message


@pytest.mark.parametrize(
    "message",
    [
        wire.Start({"kind": "folder", "path": "x"}, {"threads": 1}, {}, {"slots": 4}, "recipes/bracket"),
        wire.Inspect(7, 3, 12, 8, 0.2, 1, True),
        wire.Picture(7, 3, "p.jpg", "NG", "cycle 7", (*SEEN.findings, RICH), 5),
        wire.Stop(),
    ],
)
def test_what_the_control_process_says_arrives(message: wire.ToWorker) -> None:
    assert wire.decode_from_control(body(message)) == message


@pytest.mark.parametrize(
    "changes",
    [
        {"findings": [["dent", 0.5, 1, 2, 3, 4]]},
        {"findings": [["scratch", 1.5, 1, 2, 3, 4]]},
        {"findings": [["scratch", 0.5, 5, 2, 3, 4]]},
        {"findings": [["scratch", 0.5, 1, 2, 3]]},
        {"findings": [["scratch", 0.5, 1, 2, 3, 1e9]]},
        {"findings": [["scratch", True, 1, 2, 3, 4]]},
        {"findings": [["scratch", 0.5, 1, 2, 3, 4]] * 101},
        {"findings": None},
        {"findings": [[*PLAIN, {"outline": [1, 2, 3, 4]}]]},
        {"findings": [[*PLAIN, {"outline": [1, 2, 3, 4, 5, 6, 7]}]]},
        {"findings": [[*PLAIN, {"outline": [1, 2, 3, 4, 5, True]}]]},
        {"findings": [[*PLAIN, {"outline": [1, 2, 3, 4, 5, 2e6]}]]},
        {"findings": [[*PLAIN, {"outline": [1, 2] * 201}]]},
        {"findings": [[*PLAIN, {"outline": [1, 2] * 200}]] * 21},
        {"findings": [[*PLAIN, {"outline": "none"}]]},
        {"findings": [[*PLAIN, {"points": [1, 2, 0.5, 3]}]]},
        {"findings": [[*PLAIN, {"points": [1, 2, 1.5]}]]},
        {"findings": [[*PLAIN, {"points": [1, 2, 0.5] * 65}]]},
        {"findings": [[*PLAIN, {"points": [1, 2, 0.5] * 64}]] * 63},
        {"findings": [[*PLAIN, {"angle": 1000}]]},
        {"findings": [[*PLAIN, {"angle": None}]]},
        {"findings": [[*PLAIN, {"text": "x" * 257}]]},
        {"findings": [[*PLAIN, {"text": "a\x1bb"}]]},
        {"findings": [[*PLAIN, {"text": "\ud800"}]]},
        {"findings": [[*PLAIN, {"text": 5}]]},
        {"findings": [[*PLAIN, {"value": 1e10}]]},
        {"findings": [[*PLAIN, {"value": "5"}]]},
        {"findings": [[*PLAIN, {"colour": 1}]]},
        {"findings": [[*PLAIN, [1]]]},
        {"fault": int(Code.PLC_HEARTBEAT_LOST)},
        {"fault": 1},
        {"fault": "2005"},
        {"grab": -1},
        {"infer": 1e300},
        {"detail": "x" * 5000},
        {"simulated": 0},
        {"grab": 10**400},
        {"frame": [1, -(10**400), False]},
        {"findings": [["scratch", 10**400, 1, 2, 3, 4]]},
        {"findings": [[*PLAIN, {"outline": [1, 2, 3, 4, 5, 10**400]}]]},
        {"findings": [[*PLAIN, {"value": 10**400}]]},
    ],
)
def test_nonsense_about_a_known_cycle_ends_it_as_a_fault(changes: dict[str, object]) -> None:
    outcome = observed(**changes)
    assert outcome.cycle == 7
    assert outcome.observation.fault is Code.OUTPUT_INVALID
    assert not outcome.observation.findings


def test_a_file_name_of_another_encoding_can_be_written_down() -> None:
    detail = observed(fault=int(Code.IMAGE_INVALID), detail="gr\udcfcn.png").observation.detail
    assert detail.encode() == b"gr\\udcfcn.png"


def test_a_fault_has_no_findings() -> None:
    outcome = observed(fault=int(Code.IMAGE_INVALID))
    assert outcome.observation.fault is Code.IMAGE_INVALID
    assert not outcome.observation.findings


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[]",
        b'{"kind":"Observed"}',
        b'{"kind":"Observed","cycle":-1}',
        b'{"kind":"Observed","cycle":1.0}',
        b'{"kind":"Exposed","cycle":1,"utc":NaN,"grab":0}',
        b'{"kind":"Exposed","cycle":1,"utc":1e999,"grab":0}',
        b'{"kind":"Inspect","cycle":1}',
        b'{"kind":"Failed","code":1,"text":""}',
        b'{"kind":"Failed","code":0,"text":"all is well"}',
        b'{"kind":"CameraDown","code":0,"text":"all is well"}',
        b'{"kind":"CameraDown","code":3004,"text":"of another class"}',
        b'{"kind":["Ready"]}',
        b'{"kind":"Exposed","cycle":1,"utc":1' + b"0" * 400 + b',"grab":0}',
        b"\xff\xfe",
        b"[" * 60_000,
        b'{"kind":"CameraUp","n":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_message_is_refused(text: bytes) -> None:
    with pytest.raises(WireError):
        wire.decode_from_worker(text, LABELS)


@given(st.binary(max_size=300) | json_values.map(lambda value: json.dumps(value).encode()))
def test_garbage_never_raises_anything_else(text: bytes) -> None:
    for decode in (wire.decode_from_worker, wire.decode_from_control):
        try:
            decode(text)
        except WireError:
            continue


@given(st.dictionaries(st.sampled_from(sorted(json.loads(body(wire.Observed(7, SEEN))))), json_values))
def test_whatever_is_observed_is_finite_and_of_our_labels(changes: dict[str, object]) -> None:
    changes.pop("kind", None)
    try:
        outcome = observed(**changes).observation
    except WireError:
        return
    assert all(math.isfinite(value) for value in (outcome.grab, outcome.infer, outcome.exposed_utc))
    for finding in outcome.findings:
        assert finding.label in LABELS
        assert 0 <= finding.score <= 1
        assert all(map(math.isfinite, finding.box))


@given(st.lists(st.integers(1, 60), min_size=1))
def test_a_stream_is_cut_wherever_the_reads_fall(sizes: list[int]) -> None:
    messages = [wire.Exposed(cycle, 1.5, 0.25) for cycle in range(20)]
    stream = b"".join(map(wire.encode, messages))
    splitter, found, at, turn = wire.Splitter(), [], 0, 0
    while at < len(stream):
        size = sizes[turn % len(sizes)]
        found += [wire.decode_from_worker(part) for part in splitter.feed(stream[at : at + size])]
        at, turn = at + size, turn + 1
    assert found == messages


@pytest.mark.parametrize("length", [0, wire.MAX_MESSAGE + 1, 2**32 - 1])
def test_an_impossible_length_ends_the_stream_at_once(length: int) -> None:
    with pytest.raises(WireError):
        list(wire.Splitter().feed(struct.pack("<I", length)))


def test_the_most_that_a_worker_may_say_goes_into_a_message() -> None:
    corners, points = ((123456.25, -123456.75),) * 8, ((-123456.25, 123456.75, 0.12345),) * 32
    longest = Finding(
        "\U0001f600" * finding_rows.MAX_LABEL,
        0.12345,
        (123456.78,) * 4,
        corners,
        points,
        -123.456,
        "\U0001f600" * 256,
        -1e9 / 3,
    )
    seen = Observation((longest,) * MAX_FINDINGS, detail="\U0001f600" * wire.MAX_TEXT)
    message = wire.decode_from_worker(body(wire.Observed(7, seen)))
    assert message == wire.Observed(7, seen)


details = st.dictionaries(
    st.sampled_from(("outline", "points", "angle", "text", "value")),
    st.lists(st.floats() | st.integers(-9, 9), max_size=9) | st.floats() | st.text(max_size=3) | json_values,
)


@given(st.lists(details, max_size=3))
def test_details_are_sound_or_a_fault(items: list[dict[str, object]]) -> None:
    try:
        outcome = observed(findings=[[*PLAIN, more] for more in items]).observation
    except WireError:
        return
    assert (outcome.fault is Code.OUTPUT_INVALID) == (len(outcome.findings) < len(items))
    for finding in outcome.findings:
        assert judge_sound(finding, None)


def test_nan_does_not_leave_either_end() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        wire.encode(wire.Exposed(1, math.nan, 0))


def test_the_mark_of_a_model_is_the_crc_of_its_hash_and_never_zero() -> None:
    # CRC-16/XMODEM of "123456789" is 0x31C3 (Catalogue of parametrised CRC algorithms)
    assert wire.model_crc(b"123456789".hex()) == 0x31C3
    assert wire.model_crc("00" * 32) == 1
