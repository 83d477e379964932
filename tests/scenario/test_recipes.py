"""The recipe that ships, and a change of recipe while the line runs."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import pytest

from gateway import cli, recipe
from gateway.vision.wire import model_crc
from protocols.faults import Code
from protocols.signals import CommandCode, CommandResult, Judgement
from simulators.parts import PartSource
from tests import models
from tests.scenario.conftest import Bench, NewStand
from tests.scenario.observer import line

pytestmark = [pytest.mark.scenario, pytest.mark.timeout(60)]

SHIPPED = Path(__file__).parents[2] / "configs" / "recipes" / "bracket"


@pytest.mark.skipif(not (SHIPPED / "model.onnx").exists(), reason="the trained model is not in this checkout")
async def test_the_shipped_recipe_tells_good_from_bad(new_stand: NewStand) -> None:
    stand = new_stand({"camera": {"width": 1280, "height": 1024}}, recipe=SHIPPED)
    truth = PartSource(1, 0.3, (1280, 1024)).truth
    await stand.start()
    right = 0
    async with line(stand) as plant:
        await plant.ready()
        for part in range(1, 31):
            answer = await plant.plc.inspect(part)
            assert answer.judgement in (Judgement.OK, Judgement.NG, Judgement.RECHECK), answer
            if not truth(part).good:
                assert answer.judgement is not Judgement.OK, f"part {part} escaped: {truth(part)}"
            right += truth(part).good == (answer.judgement is Judgement.OK)
        assert await stand.stop() == 0
    assert right >= 28


async def test_another_recipe_judges_from_its_activation_on(new_stand: NewStand, bench: Bench, tmp_path: Path) -> None:
    other = Bench(tmp_path / "contrary", number=2, flip=True)
    stand = new_stand({"recipes": [str(bench.recipe), str(other.recipe)]})
    contrary = {Judgement.OK: Judgement.NG, Judgement.NG: Judgement.OK}
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        for part in range(1, 6):
            answer = await plant.plc.inspect(part)
            assert answer.result is not None
            assert (answer.judgement, answer.result.recipe) == (bench.verdict(part), 1)
        assert await plant.plc.execute(CommandCode.ACTIVATE_RECIPE, 2) == CommandResult.DONE
        await plant.ready()
        for part in range(6, 11):
            answer = await plant.plc.inspect(part)
            assert answer.result is not None
            assert (answer.judgement, answer.result.recipe) == (contrary[bench.verdict(part)], 2)
        assert await stand.stop() == 0


async def test_a_killed_gateway_begins_with_the_recipe_it_had(
    new_stand: NewStand, bench: Bench, tmp_path: Path
) -> None:
    other = Bench(tmp_path / "contrary", number=2, flip=True)
    stand = new_stand({"recipes": [str(bench.recipe), str(other.recipe)]})
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        assert await plant.plc.execute(CommandCode.ACTIVATE_RECIPE, 2) == CommandResult.DONE
        before = plant.plc.outputs.status
        await stand.kill()
        await stand.start()
        plant.reconnect()
        await plant.plc.until(lambda outputs: outputs.status.boot_id != before.boot_id and outputs.status.ready, 10)
        after = plant.plc.outputs.status
        assert (after.recipe_active, after.config_crc) == (2, before.config_crc)
        answer = await plant.plc.inspect(1)
        assert answer.result is not None
        assert answer.result.recipe == 2
        assert await stand.stop() == 0


async def test_b14_a_person_changes_the_recipe_while_parts_come(
    new_stand: NewStand, bench: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = Bench(tmp_path / "contrary", number=2, flip=True)
    model = models.detector([(10, 10, 50, 50, 0.9, 0)])
    third = models.recipe(tmp_path / "third", model, number=3)
    stand = new_stand({"recipes": [str(bench.recipe), str(other.recipe), str(third)]})
    await stand.start()
    async with line(stand) as plant:
        await plant.ready()
        crcs: dict[int, int] = {}
        for number, parts in ((2, range(1, 4)), (3, range(4, 7)), (1, range(7, 10))):
            asked = ["recipe", "activate", str(stand.config), "cell1", str(number)]
            assert await asyncio.to_thread(cli.main, asked) == 0
            await plant.ready()
            assert plant.plc.outputs.status.recipe_active == number
            for part in parts:
                answer = await plant.plc.inspect(part)
                assert answer.result is not None
                assert answer.result.recipe == number
                crcs[number] = answer.result.model_crc
        assert await asyncio.to_thread(cli.main, ["recipe", "activate", str(stand.config), "cell1", "77"]) == 1
        assert "has no recipe 77; it has [1, 2, 3]" in capsys.readouterr().err
        assert crcs[1] == crcs[2] == model_crc(recipe.load(bench.recipe).model_mark)
        assert crcs[3] == model_crc(hashlib.sha256(model).hexdigest()) != crcs[1]
        assert stand.told("command", param=77, code=3007)
        assert await stand.stop() == 0
    assert await asyncio.to_thread(cli.main, ["recipe", "activate", str(stand.config), "cell1", "2"]) == 1
    assert "no gateway runs with data_dir" in capsys.readouterr().err


async def test_b15_a_recipe_that_fails_leaves_the_old_one_at_work(
    new_stand: NewStand, bench: Bench, tmp_path: Path
) -> None:
    changed = models.recipe(tmp_path / "changed", models.detector(), number=2)
    killer = models.recipe(tmp_path / "killer", models.nested_functions(), number=3)
    stand = new_stand({"recipes": [str(bench.recipe), str(changed), str(killer)]})
    await stand.start()
    (changed / "model.onnx").write_bytes(b"another file")
    async with line(stand) as plant:
        await plant.ready()
        for number, code in ((2, Code.MODEL_HASH), (3, Code.MODEL_LOAD)):
            assert await plant.plc.execute(CommandCode.ACTIVATE_RECIPE, number) == code
            await plant.ready()
            answer = await plant.plc.inspect(number)
            assert answer.result is not None
            assert (answer.judgement, answer.result.recipe) == (bench.verdict(number), 1)
        assert await stand.stop() == 0


async def test_the_plc_sees_that_a_limit_or_a_model_has_changed(new_stand: NewStand, tmp_path: Path) -> None:
    """CONFIG_CRC follows the limits, MODEL_CRC the model."""
    seen: list[tuple[int, int]] = []
    folder = Bench(tmp_path / "weigh").recipe
    stand = new_stand({"recipes": [str(folder)]})
    text = (folder / "recipe.yaml").read_text()
    for change in ("", "limit", "model"):
        if change == "limit":
            (folder / "recipe.yaml").write_text(text.replace("min_score: 0.5", "min_score: 0.55"))
        elif change == "model":
            models.recipe(folder, models.detector([(10, 10, 50, 50, 0.9, 0)]))
        await stand.start()
        async with line(stand) as plant:
            await plant.ready()
            answer = await plant.plc.inspect(1)
            assert answer.result is not None
            seen.append((plant.plc.outputs.status.config_crc, answer.result.model_crc))
            assert await stand.stop() == 0
    (first, model), (limit, same), (last, other) = seen
    assert len({first, limit, last}) == 3
    assert model == same != other
