"""A large picture piece by piece, and what several pieces tell of one thing."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.inspection import Finding
from gateway.recipe_step import TILES, Tiles
from gateway.vision.places import Place
from gateway.vision.tasks import TaskError
from gateway.vision.tiles import MOST, merged, pieces
from protocols.faults import Code

Box = tuple[float, float, float, float]
TWO = Tiles(size=(100, 100), overlap=20)
WIDE = pieces(TWO, 180, 100)


def test_pieces_by_hand() -> None:
    assert [Place(100, 100, (0.0, 0.0)), Place(100, 100, (80.0, 0.0))] == WIDE
    assert pieces(TWO, 100, 100) == [Place(100, 100)]
    assert pieces(TWO, 60, 200)[1:] == [Place(60, 100, (0.0, 80.0)), Place(60, 100, (0.0, 100.0))]


@given(st.integers(1, 900), st.integers(1, 900), st.integers(64, 300), st.integers(0, 32))
def test_the_pieces_cover_the_picture(width: int, height: int, side: int, overlap: int) -> None:
    if (width / (side - overlap) + 1) * (height / (side - overlap) + 1) > TILES:
        return
    parts = pieces(Tiles(size=(side, side), overlap=overlap), width, height)
    for size, axis in ((width, 0), (height, 1)):
        sides = sorted({(part.origin[axis], part.origin[axis] + (part.width, part.height)[axis]) for part in parts})
        assert sides[0][0] == 0
        assert sides[-1][1] == size
        assert all(after[0] <= before[1] - overlap for before, after in itertools.pairwise(sides))


def test_too_many_pieces_are_an_error() -> None:
    with pytest.raises(TaskError, match="into 63 x 63 pieces, at most 64 go; make them larger") as caught:
        pieces(TWO, 5000, 5000)
    assert caught.value.code is Code.IMAGE_FORMAT


def cut(box: Box, score: float = 0.5, label: str = "a") -> list[list[Finding]]:
    """What the two pieces see of a thing in the wide picture."""
    seen: list[list[Finding]] = []
    for part in WIDE:
        left = part.origin[0]
        x1, x2 = max(box[0] - left, 0), min(box[2] - left, 100)
        seen.append([Finding(label, score, (x1, box[1], x2, box[3]))] if x2 > x1 else [])
    return seen


def join(*found: list[list[Finding]]) -> tuple[Finding, ...]:
    return merged(WIDE, [[f for seen in found for f in seen[number]] for number in range(2)], 180, 100)


@pytest.mark.parametrize(("x1", "x2"), [(10, 40), (85, 95), (70, 95), (85, 120), (20, 170)])
def test_a_thing_is_told_once_wherever_it_lies(x1: float, x2: float) -> None:
    box = (x1, 10, x2, 40)
    assert [finding.box for finding in join(cut(box))] == [box]


def test_neighbours_and_other_labels_stay_apart() -> None:
    above, below = (70.0, 10.0, 120.0, 30.0), (70.0, 32.0, 120.0, 50.0)
    assert [f.box for f in join(cut(above, 0.9), cut(below))] == [above, below]
    assert [f.label for f in join(cut(above, 0.9, "b"), cut(above))] == ["b", "a"]


def test_two_things_of_one_piece_are_two() -> None:
    inside = (85.0, 10.0, 95.0, 40.0)
    assert len(merged(WIDE, [[Finding("a", 0.5, inside), Finding("a", 0.4, inside)], []], 180, 100)) == 2


def test_the_score_is_the_best_one_and_details_are_those_of_the_largest_part() -> None:
    left, right = Finding("a", 0.6, (40, 10, 100, 40), text="whole"), Finding("a", 0.8, (0, 10, 25, 40), text="rest")
    (one,) = merged(WIDE, [[left], [right]], 180, 100)
    assert (one.score, one.text, one.box) == (0.8, "whole", (40, 10, 105, 40))


def test_outlines_are_joined() -> None:
    def square(x1: float, x2: float) -> Finding:
        return Finding("a", 0.5, (x1, 10, x2, 40), ((x1, 10), (x2, 10), (x2, 40), (x1, 40)))

    (one,) = merged(WIDE, [[square(40, 100)], [square(0, 50)]], 180, 100)
    assert (one.box, sorted(one.outline)) == ((40, 10, 130, 40), [(40, 10), (40, 40), (130, 10), (130, 40)])


corners = st.tuples(st.integers(0, 140), st.integers(0, 80), st.integers(5, 39), st.integers(5, 19))
boxes: st.SearchStrategy[Box] = corners.map(
    lambda b: (float(b[0]), float(b[1]), float(b[0] + b[2]), float(b[1] + b[3]))
)


@given(st.lists(boxes, max_size=6), st.randoms())
def test_the_order_does_not_matter(all_boxes: Sequence[Box], random: object) -> None:
    found = [cut(box) for box in all_boxes]
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert {f.box for f in join(*found)} == {f.box for f in join(*shuffled)}


def test_more_than_can_be_joined_is_an_error_before_it_costs_seconds() -> None:
    crowd = [Finding("a", 0.5, (n % 100, n // 100, n % 100 + 1, n // 100 + 1)) for n in range(MOST // 2 + 1)]
    with pytest.raises(TaskError, match=r"show 402 things, at most 400 .* raise task.min_score"):
        merged(WIDE, [crowd, crowd], 180, 100)
