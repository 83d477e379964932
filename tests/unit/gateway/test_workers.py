"""The pool's decisions, with workers that are played and a clock that is moved."""

from __future__ import annotations

from gateway.vision import wire
from gateway.worker_team import LATE_GRACE
from gateway.workers import PICTURE_TIMEOUT
from protocols.faults import Code
from tests.unit.gateway.played_workers import SEEN, Line, ng


def test_a_trigger_before_ready_ends_at_once_as_starting(starting: Line) -> None:
    starting.inspect(1)
    assert starting.told == []  # never from within the call
    assert starting.news() == [("observed", 1, Code.STARTING)]


def test_exposure_and_outcome_are_told_once(pair: Line) -> None:
    pair.inspect(1)
    worker = pair.workers[0]
    worker.says(wire.Exposed(1, 5.0, 0.01))
    worker.says(wire.Exposed(1, 5.0, 0.01))
    worker.says(wire.Observed(1, SEEN))
    worker.says(wire.Observed(1, SEEN))
    assert pair.news() == [("exposed", 1), ("observed", 1, Code.NONE)]
    assert pair.pool.counts.late == 1


def test_a_worker_that_says_it_has_another_recipe_by_now_is_replaced(pair: Line) -> None:
    pair.workers[0].says(wire.Ready(wire.ModelFacts(recipe=2, recipe_name="other", labels=("burr",))))
    assert not pair.workers[0].alive()
    assert ("ready", 2) not in pair.news()
    pair.inspect(1)
    assert pair.workers[1].order.cycle == 1


def test_the_standby_cannot_answer_for_the_active(pair: Line) -> None:
    pair.inspect(1)
    pair.workers[1].says(wire.Exposed(1, 5.0, 0.01))
    pair.workers[1].says(wire.Observed(1, SEEN))
    assert pair.news() == []


def test_death_before_the_exposure_is_repeated_with_a_new_frame(pair: Line) -> None:
    pair.inspect(1)
    pair.workers[0].dies()
    slot = pair.workers[1].order.slot
    assert slot != pair.workers[0].order.slot  # the dying process may write into its own yet
    assert pair.workers[1].order == wire.Inspect(1, slot, 0, 1, 0.2, 1, reuse_frame=False)
    pair.workers[1].says(wire.Observed(1, SEEN))
    assert pair.news() == [("observed", 1, Code.NONE)]
    assert len(pair.workers) == 3


def test_death_after_the_exposure_is_repeated_on_the_same_frame(pair: Line) -> None:
    pair.inspect(1)
    pair.workers[0].says(wire.Exposed(1, 5.0, 0.01))
    pair.workers[0].dies()
    assert pair.workers[1].order.reuse_frame
    assert pair.workers[1].order.slot == pair.workers[0].order.slot
    pair.workers[1].says(wire.Exposed(1, 6.0, 0.01))
    assert pair.news() == [("exposed", 1)]


def test_a_frame_that_kills_is_not_tried_a_third_time(pair: Line) -> None:
    pair.inspect(1)
    pair.workers[0].dies()
    pair.workers[1].dies()
    assert pair.news() == [("observed", 1, Code.WORKER_DIED), ("down", Code.WORKER_DIED)]


def test_death_after_the_deadline_is_not_repeated(pair: Line) -> None:
    pair.inspect(1)
    pair.now += 0.3
    pair.workers[0].dies()
    assert pair.workers[1].orders == []
    assert pair.news() == [("observed", 1, Code.WORKER_DIED)]


def test_without_standby_a_death_is_a_fault_until_the_next_one_is_ready(single: Line) -> None:
    single.inspect(1)
    single.workers[0].dies()
    assert single.news() == [("observed", 1, Code.WORKER_DIED), ("down", Code.WORKER_DIED)]
    single.inspect(2)
    assert single.news() == [("observed", 2, Code.WORKER_DIED)]
    single.ready(1)
    assert single.news() == [("ready", 1)]


def test_a_worker_that_reads_no_orders_is_replaced(pair: Line) -> None:
    pair.workers[0].deaf = True
    pair.inspect(1)
    assert not pair.workers[0].alive()
    assert pair.workers[1].order.cycle == 1


def test_giving_up_lets_the_standby_take_over_and_kills_what_hangs(pair: Line) -> None:
    pair.inspect(1)
    pair.pool.give_up(1)
    pair.inspect(2)
    assert pair.workers[1].order.cycle == 2
    assert pair.workers[1].order.slot != pair.workers[0].order.slot
    assert pair.workers[0].alive()
    pair.pass_time(LATE_GRACE)
    assert not pair.workers[0].alive()
    assert len(pair.workers) == 3
    assert pair.news() == []


def test_a_slow_worker_comes_back_as_the_standby_and_its_answer_is_dropped(pair: Line) -> None:
    pair.inspect(1)
    pair.pool.give_up(1)
    pair.pass_time(0.1)
    pair.workers[0].says(wire.Observed(1, SEEN))
    assert pair.news() == []
    assert pair.pool.counts.late == 1
    pair.pass_time(LATE_GRACE)
    assert pair.workers[0].alive()
    assert len(pair.workers) == 2
    pair.workers[1].dies()
    pair.inspect(2)
    assert pair.workers[0].order.cycle == 2


def test_a_slow_worker_serves_at_once_if_its_successor_has_died(pair: Line) -> None:
    pair.inspect(1)
    pair.pool.give_up(1)
    pair.workers[1].dies()
    assert pair.news() == [("down", Code.WORKER_DIED)]
    pair.workers[0].says(wire.Observed(1, SEEN))
    assert pair.news() == [("ready", 1)]
    pair.inspect(2)
    assert pair.workers[0].order.cycle == 2


def test_a_standby_without_camera_does_not_take_over_from_a_slow_worker(pair: Line) -> None:
    pair.workers[1].says(wire.CameraDown(Code.CAMERA_LINK, "gone"))
    pair.inspect(1)
    pair.pool.give_up(1)
    pair.inspect(2)
    assert pair.workers[0].order.cycle == 2
    assert pair.news() == []


def test_the_other_triggers_of_a_hung_worker_are_repeated(pair: Line) -> None:
    pair.inspect(1)
    pair.inspect(2)
    pair.pool.give_up(1)
    assert pair.workers[1].order.cycle == 2
    pair.workers[0].says(wire.Observed(2, SEEN))
    assert pair.news() == []
    pair.workers[1].says(wire.Observed(2, SEEN))
    assert pair.news() == [("observed", 2, Code.NONE)]


def test_a_hung_worker_that_wakes_writes_into_nobodys_frame(pair: Line) -> None:
    pair.inspect(1)
    pair.inspect(2)
    both = {order.slot for order in pair.workers[0].orders if isinstance(order, wire.Inspect)}
    pair.pool.give_up(1)
    assert pair.workers[1].order.slot not in both
    pair.workers[1].says(wire.Observed(2, SEEN))
    pair.inspect(3)
    assert pair.workers[1].order.slot not in both


def test_a_worker_that_leaves_keeps_the_slots_of_its_late_triggers_until_it_is_dead(pair: Line) -> None:
    pair.inspect(1)
    taken = pair.workers[0].order.slot
    pair.pool.give_up(1)
    hung = pair.workers[0]
    hung.undead = True
    pair.pass_time(LATE_GRACE)
    for cycle in range(2, 12):
        pair.inspect(cycle)
        assert pair.workers[1].order.slot != taken
        pair.workers[1].says(wire.Observed(cycle, SEEN))
    hung.undead = False
    pair.pass_time(0.1)
    for cycle in range(12, 16):
        pair.inspect(cycle)
        pair.workers[1].says(wire.Observed(cycle, SEEN))
    assert taken in {order.slot for order in pair.workers[1].orders if isinstance(order, wire.Inspect)}


def test_without_standby_a_slow_worker_goes_on_and_a_hung_one_is_replaced(single: Line) -> None:
    single.inspect(1)
    single.pool.give_up(1)
    single.workers[0].says(wire.Observed(1, SEEN))
    single.inspect(2)
    single.workers[0].says(wire.Observed(2, SEEN))
    assert single.news() == [("observed", 2, Code.NONE)]
    single.inspect(3)
    single.pool.give_up(3)
    single.pass_time(LATE_GRACE)
    assert not single.workers[0].alive()
    assert single.news() == [("down", Code.WORKER_DIED)]
    assert len(single.workers) == 2


def test_the_frame_of_a_late_worker_is_not_given_away(pair: Line) -> None:
    pair.inspect(1)
    taken = pair.workers[0].order.slot
    pair.pool.give_up(1)
    for cycle in range(2, 12):
        pair.inspect(cycle)
        assert pair.workers[1].order.slot != taken
        pair.workers[1].says(wire.Observed(cycle, SEEN))


def test_three_deaths_within_a_minute_hold_the_pool_until_reset(single: Line) -> None:
    for index in range(3):
        single.workers[index].dies()
        if index < 2:
            single.pass_time(5)
            single.ready(index + 1)
    assert single.news()[-1] == ("down", Code.CRASH_LOOP)
    for _ in range(20):
        single.pass_time(10)
    assert len(single.workers) == 3
    single.inspect(1)
    assert single.news() == [("observed", 1, Code.CRASH_LOOP)]
    single.pool.reset()
    single.pool.tend()
    single.ready(3)
    assert single.news() == [("down", Code.STARTING), ("ready", 1)]


def test_the_third_death_is_told_as_a_crash_loop_though_the_standby_lives(pair: Line) -> None:
    for index in range(2):
        pair.workers[index].dies()
        pair.pool.tend()
        pair.ready(index + 2)
    pair.inspect(1)
    pair.workers[2].dies()
    assert pair.news() == [("observed", 1, Code.WORKER_DIED), ("down", Code.CRASH_LOOP)]
    pair.pool.reset()
    assert pair.news() == [("ready", 1)]


def test_three_deaths_in_a_longer_time_are_borne(single: Line) -> None:
    for index in range(6):
        single.workers[index].dies()
        single.pass_time(31)
        single.ready(index + 1)
    assert ("down", Code.CRASH_LOOP) not in single.told


def test_a_refused_model_is_held_until_reset(starting: Line) -> None:
    starting.workers[0].says(wire.Failed(Code.MODEL_HASH, "another file"))
    starting.workers[0].dies()
    assert starting.news() == [("down", Code.MODEL_HASH)]
    starting.pass_time(1000)
    assert len(starting.workers) == 1
    starting.pool.reset()
    starting.pool.tend()
    assert len(starting.workers) == 2


def test_a_standby_that_is_refused_does_not_stop_the_active(starting: Line) -> None:
    starting.ready(0)
    starting.workers[1].says(wire.Failed(Code.MODEL_LOAD, "file gone"))
    starting.workers[1].dies()
    starting.told.clear()
    starting.inspect(1)
    starting.workers[0].says(wire.Observed(1, SEEN))
    assert starting.news() == [("observed", 1, Code.NONE)]
    assert len(starting.workers) == 2


def test_a_worker_that_is_never_ready_is_killed(starting: Line) -> None:
    starting.pass_time(29.9)
    assert starting.workers[0].alive()
    starting.pass_time(0.1)
    assert not starting.workers[0].alive()
    assert starting.news()[-1] == ("down", Code.MODEL_LOAD)
    starting.pass_time(2)
    assert len(starting.workers) == 2


def test_the_camera_going_and_coming_is_told(pair: Line) -> None:
    pair.workers[0].says(wire.CameraDown(Code.CAMERA_LINK, "gone"))
    assert pair.news() == [("down", Code.CAMERA_LINK)]
    pair.inspect(1)
    assert pair.news() == [("observed", 1, Code.CAMERA_LINK)]
    pair.workers[0].says(wire.CameraUp())
    assert pair.news() == [("ready", 1)]


def test_the_standbys_camera_matters_once_it_is_active(pair: Line) -> None:
    pair.workers[1].says(wire.CameraDown(Code.CAMERA_LINK, "gone"))
    assert pair.news() == []
    pair.inspect(1)
    pair.workers[0].dies()
    assert pair.news() == [("observed", 1, Code.WORKER_DIED), ("down", Code.CAMERA_LINK)]


def test_the_standby_draws_one_picture_at_a_time(pair: Line) -> None:
    pair.inspect(1)
    pair.workers[0].says(wire.Observed(1, SEEN))
    assert pair.pool.picture(ng(1), "1.jpg")
    assert isinstance(pair.workers[1].orders[-1], wire.Picture)
    assert not pair.pool.picture(ng(1), "1b.jpg")
    assert not pair.pool.picture(ng(99), "99.jpg")
    pair.workers[1].says(wire.PictureDone(1, "1.jpg"))
    assert ("picture", "1.jpg") in pair.news()
    assert pair.pool.picture(ng(1), "1c.jpg")
    assert pair.pool.counts.pictures_skipped == 2


def test_the_frame_being_drawn_is_not_given_away(pair: Line) -> None:
    pair.inspect(1)
    taken = pair.workers[0].order.slot
    pair.workers[0].says(wire.Observed(1, SEEN))
    pair.pool.picture(ng(1), "1.jpg")
    for cycle in range(2, 12):
        pair.inspect(cycle)
        assert pair.workers[0].order.slot != taken
        pair.workers[0].says(wire.Observed(cycle, SEEN))


def test_a_standby_that_hangs_in_a_picture_is_replaced(pair: Line) -> None:
    pair.inspect(1)
    pair.workers[0].says(wire.Observed(1, SEEN))
    pair.pool.picture(ng(1), "1.jpg")
    pair.pass_time(PICTURE_TIMEOUT)
    assert not pair.workers[1].alive()
    assert len(pair.workers) == 3


def test_the_active_draws_only_where_there_is_to_be_no_standby(single: Line, starting: Line) -> None:
    single.inspect(1)
    assert not single.pool.picture(ng(1), "1.jpg")
    single.workers[0].says(wire.Observed(1, SEEN))
    assert single.pool.picture(ng(1), "1.jpg")
    starting.ready(0)
    starting.inspect(1)
    starting.workers[0].says(wire.Observed(1, SEEN))
    assert not starting.pool.picture(ng(1), "1.jpg")
