"""How much of the server its clients may take together and each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts but where another unit is said."""

    sessions: int = 100
    subscriptions: int = 100
    subscriptions_per_session: int = 20
    items: int = 20_000
    items_per_session: int = 5_000
    queue: int = 1_000
    """Values or events that wait for a client in one monitored item."""
    unacknowledged: int = 100
    """Notifications kept for Republish in one subscription."""
    operations: int = 1_000
    """Nodes in one request."""
    references: int = 5_000
    """In the answer to one Browse."""
    looks: int = 100_000
    """References that are looked at for one TranslateBrowsePathsToNodeIds."""
    same_items: int = 10
    """Items of one session for one attribute of one node."""
    event_items_per_session: int = 20
    event_fields: int = 1_000
    event_fields_per_session: int = 300
    """Select clauses of all monitored items for events: each event is filled in and sent for each of them."""
    publish_requests: int = 30
    """Of one session that wait for something to publish."""
    orphan_s: float = 60.0
    """Seconds that a subscription outlives its session."""
    text: int = 4_096
    """Characters or bytes of a value that a client writes."""
    interval_ms: float = 10.0
    """Milliseconds; the shortest publishing interval."""
