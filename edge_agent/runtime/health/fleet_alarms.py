"""Which states of the stream to the collector are alarms."""

from __future__ import annotations

from edge_agent.core.texts import N_, Message
from edge_agent.store.write.replication.standing import ReplicationStanding


def fleet_alarms(fleet: ReplicationStanding | None, broken_s: float) -> dict[str, str]:
    """Return the alarms of the stream: name → sentence that says what to do.

    Args:
        fleet: how it stands; ``None``: nothing is sent to a collector.
        broken_s: what is wrong for no longer than this is no alarm yet.
    """
    texts: dict[str, str] = {}
    if fleet is None:
        return texts
    if fleet.error is not None and fleet.error_s > broken_s:
        texts["fleet"] = Message(
            N_("{changes} changes of the timeline wait for the collector: {error}"),
            changes=fleet.waiting,
            error=fleet.error,
        )
    if fleet.given_up:
        texts["fleet_backlog_full"] = Message(
            N_(
                "{changes} changes will not reach the collector: it was away until the list of "
                "changes was full. They stay in the timeline here. Raise fleet.backlog_mb, and see "
                "that a collector runs."
            ),
            changes=fleet.given_up,
        )
    return texts
