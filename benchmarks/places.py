"""Where the benchmarks keep things: what they build and install goes below `var/`, the results into `docs/`."""

from __future__ import annotations

from pathlib import Path

__all__ = ["BUILT", "DOCS", "GAME", "HERE", "NODE", "PEERS", "ROOT", "VENV"]

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
DOCS = ROOT / "docs"
GAME = HERE / "game"
"""The firefly.toml files and handlers that are measured."""
PEERS = HERE / "peers"
BUILT = ROOT / "var" / "benchmarks"
VENV = BUILT / "venv"
"""The peers that pip installs."""
NODE = BUILT / "node"
"""The peers that npm installs, with their programs beside them."""
