"""Every row there is; a module of rows is named here once."""

from __future__ import annotations

from tests.promises import (
    admin_rows,
    bomb_rows,
    burden_rows,
    cache_rows,
    channel_rows,
    config_rows,
    crash_rows,
    database_rows,
    decoder_rows,
    disk_rows,
    drip_rows,
    fleet_rows,
    gate_rows,
    halfopen_rows,
    hostile_rows,
    journal_rows,
    kill_rows,
    link_rows,
    log_rows,
    outage_rows,
    player_rows,
    reload_rows,
    restart_rows,
    simulated_rows,
    soak_rows,
    supervisor_rows,
)
from tests.promises.ledger import Row

__all__ = ["ROWS"]

ROWS: list[Row] = [
    *decoder_rows.ROWS,
    *gate_rows.ROWS,
    *hostile_rows.ROWS,
    *drip_rows.ROWS,
    *bomb_rows.ROWS,
    *halfopen_rows.ROWS,
    *channel_rows.ROWS,
    *simulated_rows.ROWS,
    *link_rows.ROWS,
    *burden_rows.ROWS,
    *kill_rows.ROWS,
    *crash_rows.ROWS,
    *journal_rows.ROWS,
    *outage_rows.ROWS,
    *cache_rows.ROWS,
    *database_rows.ROWS,
    *disk_rows.ROWS,
    *fleet_rows.ROWS,
    *player_rows.ROWS,
    *supervisor_rows.ROWS,
    *restart_rows.ROWS,
    *config_rows.ROWS,
    *admin_rows.ROWS,
    *log_rows.ROWS,
    *reload_rows.ROWS,
    *soak_rows.ROWS,
]
