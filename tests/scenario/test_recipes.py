"""The recipe that ships, and a change of recipe while the line runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from protocols.signals import CommandCode, CommandResult, Judgement
from simulators.parts import PartSource
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
