"""Which parts of a frame a step looks at."""

import pytest

from gateway.inspection import Finding
from gateway.recipe_step import SPOTS, On, Picture
from gateway.vision import spots
from gateway.vision.places import Place, around, direction
from gateway.vision.tasks import TaskError
from protocols.faults import Code

SIZE = (640, 480)


Box = tuple[float, float, float, float]


def part(score: float = 0.9, box: Box = (100, 100, 200, 150), label: str = "part") -> Finding:
    return Finding(label, score, box)


def found(findings: list[Finding], **settings: object) -> tuple[list[Place], bool]:
    return spots.found(On.model_validate({"step": "find", **settings}), findings, *SIZE)


def test_the_whole_frame_and_a_region_of_it() -> None:
    assert spots.fixed(Picture(), *SIZE) == Place(640, 480)
    assert spots.fixed(Picture(region=(10, 20, 110, 80)), *SIZE) == Place(100, 60, (10.0, 20.0))
    assert spots.fixed(Picture(region=(10, 20, 110, 80), rotate=90), *SIZE).corners[0] == (10, 80)


def test_a_region_that_leaves_the_frame_is_an_error() -> None:
    assert spots.fixed(Picture(region=(0, 0, 640, 480)), *SIZE) == Place(640, 480)
    with pytest.raises(TaskError, match=r"\[0, 0, 641, 480\] does not lie in the frame of 640 x 480") as caught:
        spots.fixed(Picture(region=(0, 0, 641, 480)), *SIZE)
    assert caught.value.code is Code.IMAGE_FORMAT


def test_a_finding_is_cut_out_in_whole_pixels() -> None:
    assert found([part(box=(100.4, 100, 199.2, 150.5))]) == ([Place(100, 51, (100.0, 100.0))], True)
    assert found([part()], margin=0.1) == ([Place(120, 60, (90.0, 95.0))], True)


def test_the_margin_ends_at_the_frame() -> None:
    assert found([part(box=(0, 0, 100, 50))], margin=0.5) == ([Place(150, 75, (0.0, 0.0))], True)


def test_one_that_is_too_thin_to_be_looked_at_is_unseen_whatever_else_is_looked_at() -> None:
    thin = part(box=(639, 100, 640, 150))
    assert found([thin]) == ([], False)
    assert found([part(), thin]) == ([Place(100, 50, (100.0, 100.0))], False)


def test_only_what_counts_is_looked_at_best_first() -> None:
    small = part(0.99, (0, 0, 5, 90))
    many = [part(0.6), part(0.3), part(0.8, (300, 100, 400, 150)), part(0.9, label="dirt"), small]
    places, whole = found(many, labels=["part"], min_score=0.5, min_side=10)
    assert [place.origin[0] for place in places] == [300, 100]
    assert whole
    assert len(found(many, best=1)[0]) == 1


@pytest.mark.parametrize("findings", [[], [part(0.2)], [part(label="dirt")]])
def test_nothing_to_look_at_is_told(findings: list[Finding]) -> None:
    assert found(findings, labels=["part"], min_score=0.5) == ([], False)


def test_more_than_can_be_looked_at_is_told() -> None:
    many = [part(0.5, (n, 0, n + 10, 10)) for n in range(SPOTS + 1)]
    assert found(many[:-1])[1]
    places, whole = found(many)
    assert (len(places), whole) == (SPOTS, False)
    assert found(many, best=SPOTS)[1]


def test_regions_follow_the_part() -> None:
    """The middle of the part is (150, 125)."""
    regions = [(-60, -10, -40, 10), (40, -10, 60, 10)]
    places, whole = found([part()], regions=regions)
    assert whole
    assert places == [Place(20, 20, (90.0, 115.0)), Place(20, 20, (190.0, 115.0))]


def test_regions_turn_with_the_part() -> None:
    """The same part a quarter turned: its x axis runs down the frame, so the right region lies below."""
    turned = Finding("part", 0.9, (125, 75, 175, 175), ((175, 75), (175, 175), (125, 175), (125, 75)), angle=90.0)
    places, whole = found([turned], regions=[(40, -10, 60, 10)])
    assert whole
    assert places[0].point(10, 10) == (150, 175)
    assert places[0].axis == (0.0, 1.0)


def test_a_slanting_part_is_straightened() -> None:
    """An oriented box of 50 x 20 around (300, 200), its long side 30 degrees down."""
    box = around((300, 200), (50, 20), direction(30))
    slanting = Finding("part", 0.9, (270, 180, 330, 220), box.corners, angle=30.0)
    (place,), _ = found([slanting], margin=0.1)
    assert (place.width, place.height) in ((60, 24), (61, 25))
    assert place.point(place.width / 2, place.height / 2) == pytest.approx((300, 200))
    assert place.angle == pytest.approx(30)


def test_a_region_outside_the_frame_cannot_be_seen() -> None:
    regions = [(-60, -10, -40, 10), (0, 0, 20, 20)]
    places, whole = found([part(box=(0, 0, 100, 50))], regions=regions)
    assert (len(places), whole) == (1, False)
