"""Fixtures of the scenario tests: a stand whose end is proved, and a recipe whose verdicts are known."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from protocols.signals import Judgement
from simulators.parts import PartSource
from tests import models
from tests.scenario.stand import STATION, Stand

NewStand = Callable[..., Stand]
KNOWN = 120
"""Parts whose verdict is known: 1…120."""


class Bench:
    """A recipe of a network that weighs the picture: dark parts are good, bright ones are not.

    Its score is 0.5 + (mean grey - threshold) / 255, so that a verdict that belongs to another part shows.
    """

    def __init__(self, folder: Path, *, number: int = 1, flip: bool = False) -> None:
        camera = STATION["camera"]
        source = PartSource(camera["seed"], 0.3, (camera["width"], camera["height"]))
        self._grey = {part: float(source.render(part).mean()) for part in range(1, KNOWN + 1)}
        ordered = sorted(self._grey.values())
        middle = ordered[KNOWN // 4 : 3 * KNOWN // 4]
        _, low = max((high - low, low) for low, high in itertools.pairwise(middle))
        high = min(grey for grey in middle if grey > low)
        self._threshold = (low + high) / 2
        base = 0.5 - self._threshold / 255
        model = models.detector([(10, 10, 50, 50, base, 0)], bright=True)
        self.recipe = models.recipe(folder, model, number=number)
        text = (folder / "recipe.yaml").read_text()
        good = "when: {any: true, max_score: 0.5}" if flip else "when: {any: true, min_score: 0.5}"
        (folder / "recipe.yaml").write_text(text.replace("when: {any: true}", good))

    def verdict(self, part: int) -> Judgement:
        """What must come out for this part."""
        return Judgement.NG if self._grey[part] >= self._threshold else Judgement.OK

    def good(self, count: int, first: int = 1) -> list[int]:
        """So many parts that are OK."""
        return [p for p in range(first, KNOWN + 1) if self.verdict(p) is Judgement.OK][:count]

    def score(self, part: int) -> float:
        """The SCORE of this part on the wire."""
        return 0.5 + (self._grey[part] - self._threshold) / 255


@pytest.fixture(scope="session")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """The recipe of nearly all scenarios."""
    return Bench(tmp_path_factory.mktemp("recipes") / "weigh")


@pytest.fixture
def new_stand(tmp_path: Path, bench: Bench) -> Iterator[NewStand]:
    """Makes stands; at the end none may have left a process or its port."""
    stands: list[Stand] = []

    def make(*stations: dict[str, Any], recipe: Path | None = None, name: str = "stand") -> Stand:
        stands.append(Stand(tmp_path / name, recipe or bench.recipe, *stations))
        return stands[-1]

    yield make
    left = [text for stand in stands for text in stand.close()]
    assert not left, f"left behind: {left}"
