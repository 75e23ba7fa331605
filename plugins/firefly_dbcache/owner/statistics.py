"""The figures of one owner."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from firefly_dbcache.journal.state import State

if TYPE_CHECKING:
    from firefly_dbcache.owner.owner import Owner

__all__ = ["statistics"]


def statistics(owner: Owner) -> Mapping[str, float]:
    """Give the present figures by metric name."""
    oldest = owner.overlay.oldest()
    reads = owner.reader.hits + owner.reader.misses
    return {
        "hits_total": owner.reader.hits,
        "misses_total": owner.reader.misses,
        "hit_rate": owner.reader.hits / reads if reads else 1.0,
        "database_reads_total": owner.reader.database_reads,
        "second_level_hits_total": owner.second.hits,
        "second_level_misses_total": owner.second.misses,
        "second_level_failures_total": sum(shard.failures for shard in owner.second.shards),
        "commits_total": owner.writer.commits,
        "conflicts_total": owner.writer.conflicts,
        "refusing": float(owner.writer.refusing is not None or owner.journal.state is not State.OPEN),
        "unflushed_rows": len(owner.overlay),
        "unflushed_seconds": 0.0 if oldest is None else owner.clock.monotonic() - oldest,
        "journal_bytes": owner.journal.bytes,
        "journal_syncs_total": owner.sync.total,
        "journal_torn_total": owner.torn,
        "recovered_records": owner.recovered,
        "recovery_seconds": owner.recovery_time,
        "flushed_rows_total": owner.flusher.rows,
        "flush_batches_total": owner.flusher.batches,
        "flush_failures_total": owner.flusher.failures,
        "flush_seconds": owner.flusher.latency,
        "suspect_rows": owner.flusher.suspects,
        "dead_letters": len(owner.letters.letters),
        "checkpoints_total": owner.upkeep.checkpoints,
        "memory_rows": owner.memory.held,
        "memory_rotations_total": owner.memory.rotations,
        "listed_keys": owner.lists.total,
        "buried_rows": len(owner.overlay.buried),
    }
