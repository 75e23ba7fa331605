"""Firefly Meadow: a small playable game on Firefly. Read `world.py` first."""
