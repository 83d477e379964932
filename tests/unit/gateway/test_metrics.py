from gateway.metrics import StationMetrics
from protocols.faults import Code
from protocols.signals import Judgement


def test_a_fresh_station_shows_every_counter_at_zero() -> None:
    assert StationMetrics().snapshot() == dict.fromkeys(
        ["accepted", "skipped", "acknowledged", "lost", "late", "link_ups", "ok", "ng", "recheck", "fault"], 0
    )


def test_counts_stand_under_their_names() -> None:
    metrics = StationMetrics()
    metrics.accepted += 3
    metrics.result(Judgement.NG)
    metrics.result(Judgement.FAULT)
    metrics.result(Judgement.NG)
    metrics.refused(Code.TRIGGER_WHILE_BUSY)
    metrics.refused(Code.TRIGGER_WHILE_BUSY)
    snapshot = metrics.snapshot()
    assert (snapshot["accepted"], snapshot["ng"], snapshot["fault"], snapshot["ok"]) == (3, 2, 1, 0)
    assert snapshot["refused_3003"] == 2


def test_stations_do_not_share_counters() -> None:
    one, other = StationMetrics(), StationMetrics()
    one.refused(Code.TOO_FAST)
    one.result(Judgement.OK)
    assert other.snapshot() == StationMetrics().snapshot()
