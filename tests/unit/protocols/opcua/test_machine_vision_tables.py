"""The tables of OPC 40100-1 against a copy written by hand from the standard's figures and numbering rule."""

import pytest

from protocols.opcua.machine_vision_tables import STATE_NODES, TRANSITIONS, Cause, Effect, State, caused, way

# number: from, to, method ("" = automatic), transition object, events beside StateChanged
GOLDEN = {
    120: (1, 2, "", 5033, ""),
    121: (1, 2, "Halt", 5032, ""),
    130: (1, 3, "", 5034, "Error"),
    140: (1, 4, "", 5254, ""),
    141: (1, 4, "SelectModeAutomatic", 5253, ""),
    210: (2, 1, "", 5038, ""),
    211: (2, 1, "Reset", 5037, ""),
    310: (3, 1, "", 5040, "ErrorResolved"),
    311: (3, 1, "Reset", 5039, ""),
    320: (3, 2, "", 5042, ""),
    321: (3, 2, "Halt", 5041, ""),
    340: (3, 4, "", 5255, "ErrorResolved"),
    410: (4, 1, "", 5048, ""),
    411: (4, 1, "Reset", 5047, ""),
    420: (4, 2, "", 5050, ""),
    421: (4, 2, "Halt", 5049, ""),
    430: (4, 3, "", 5051, "Error"),
    560: (5, 6, "", 5061, ""),
    561: (5, 6, "PrepareRecipe", 5060, ""),
    650: (6, 5, "", 5063, ""),
    651: (6, 5, "UnprepareRecipe", 5062, ""),
    670: (6, 7, "", 5065, "JobStarted"),
    671: (6, 7, "StartSingleJob", 5064, "JobStarted"),
    680: (6, 8, "", 5067, "JobStarted"),
    681: (6, 8, "StartContinuous", 5066, "JobStarted"),
    760: (7, 6, "", 5070, "Ready"),
    761: (7, 6, "Stop", 5068, "Ready"),
    762: (7, 6, "Abort", 5069, "Ready"),
    860: (8, 6, "", 5073, "Ready"),
    861: (8, 6, "Stop", 5071, "Ready"),
    862: (8, 6, "Abort", 5072, "Ready"),
}


def test_every_transition_is_the_one_of_the_standard() -> None:
    built = {
        number: (
            int(row.source),
            int(row.target),
            "" if row.cause is Cause.AUTOMATIC else row.cause.value,
            row.node,
            ",".join(effect.value for effect in row.effects),
        )
        for number, row in TRANSITIONS.items()
    }
    assert built == GOLDEN


@pytest.mark.parametrize("number", GOLDEN)
def test_names_and_numbers_follow_from_the_ends(number: int) -> None:
    row = TRANSITIONS[number]
    assert number // 10 == row.source * 10 + row.target
    assert (number % 10 == 0) == (row.cause is Cause.AUTOMATIC)
    assert row.name.startswith(f"{row.source.title}To{row.target.title}")
    assert row.name.endswith("Auto") == (row.cause is Cause.AUTOMATIC)


def test_the_states_are_those_of_the_types() -> None:
    assert {state: (state.value, node) for state, node in STATE_NODES.items()} == {
        State.PREOPERATIONAL: (1, 5028),
        State.HALTED: (2, 5029),
        State.ERROR: (3, 5030),
        State.OPERATIONAL: (4, 5031),
        State.INITIALIZED: (5, 5056),
        State.READY: (6, 5057),
        State.SINGLE_EXECUTION: (7, 5058),
        State.CONTINUOUS_EXECUTION: (8, 5059),
    }


def test_every_way_is_a_chain_of_automatic_transitions() -> None:
    for machine in ([s for s in State if not s.inner], [s for s in State if s.inner]):
        for source in machine:
            for target in machine:
                at = source
                for step in way(source, target):
                    assert step.source is at
                    assert step.cause is Cause.AUTOMATIC
                    at = step.target
                assert at is target


def test_from_halted_there_is_no_way_but_by_preoperational() -> None:
    assert [step.number for step in way(State.HALTED, State.OPERATIONAL)] == [210, 140]
    assert caused(State.HALTED, Cause.SELECT_MODE_AUTOMATIC) is None


def test_every_entry_of_error_is_told_as_an_error() -> None:
    for row in TRANSITIONS.values():
        assert (row.target is State.ERROR) == (Effect.ERROR in row.effects)
