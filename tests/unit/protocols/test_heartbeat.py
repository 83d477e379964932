import pytest

from protocols.heartbeat import HeartbeatMonitor


def test_a_counter_that_never_changes_is_not_supervised() -> None:
    monitor = HeartbeatMonitor(1.0)
    monitor.reset(0.0)
    for now in range(100):
        monitor.see(7, float(now))
    assert not monitor.supervised
    assert not monitor.lost(1000.0)
    assert monitor.deadline() is None


@pytest.mark.parametrize("stuck", [0, 1, 65535])
def test_a_counter_that_stops_is_lost_after_the_timeout_and_not_before(stuck: int) -> None:
    monitor = HeartbeatMonitor(1.0)
    monitor.reset(0.0)
    monitor.see(5, 0.0)
    monitor.see(stuck, 0.5)
    monitor.see(stuck, 1.4)
    assert not monitor.lost(1.5)
    assert monitor.deadline() == 1.5
    assert monitor.lost(1.51)


def test_a_beat_brings_it_back() -> None:
    monitor = HeartbeatMonitor(1.0)
    monitor.see(1, 0.0)
    monitor.see(2, 0.1)
    assert monitor.lost(5.0)
    monitor.see(3, 5.0)
    assert not monitor.lost(5.9)


def test_the_wrap_is_a_beat() -> None:
    monitor = HeartbeatMonitor(1.0)
    monitor.see(65535, 0.0)
    monitor.see(0, 0.9)
    assert monitor.supervised
    assert not monitor.lost(1.8)


def test_required_is_lost_without_any_beat() -> None:
    monitor = HeartbeatMonitor(1.0, required=True)
    monitor.reset(10.0)
    monitor.see(0, 10.5)
    assert not monitor.lost(11.0)
    assert monitor.lost(11.1)


def test_reset_forgets_the_former_connection() -> None:
    monitor = HeartbeatMonitor(1.0)
    monitor.see(1, 0.0)
    monitor.see(2, 0.1)
    monitor.reset(50.0)
    monitor.see(9, 50.0)
    assert not monitor.supervised
    assert not monitor.lost(100.0)
