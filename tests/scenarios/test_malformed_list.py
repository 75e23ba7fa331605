"""The list of malformed inputs is tried whole: each number at a door of the open house, or in a test that bears it."""

from __future__ import annotations

import re
from pathlib import Path

from tests.scenarios.test_malformed_bodies import INPUTS
from tests.scenarios.test_malformed_frames import LENGTHS, REFUSED_AT_ONCE
from tests.scenarios.test_malformed_websocket import FAULTS

FRAMES = {1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13, 14, 16, 17, 18, 19, 21, 22, 24, 25}
PEERS = {26, 27, 28, 30, 31, 32, 34, 35, 37, 38, 39, 41, 42}
BODIES = {43, 44, 45, 47, 48, 49, 51, 52, 53, 54, 56, 57, 58, 59, 60, 62, 63, 64}
WEBSOCKET = {65, 66, 68, 69, 71, 72, 73, 74, 75, 77, 78}
HERE = Path(__file__).parent
NUMBERED = re.compile(r"^def test_(\d+(?:_\d+)*)_", re.MULTILINE)


def test_every_number_is_tried() -> None:
    tried = {*REFUSED_AT_ONCE, *(number for number, *_ in LENGTHS), *(given.number for given in INPUTS)}
    tried |= {number for number, *_ in FAULTS}
    for file in HERE.glob("test_malformed_*.py"):
        for numbers in NUMBERED.findall(file.read_text()):
            tried.update(map(int, numbers.split("_")))
    assert tried == FRAMES | PEERS | BODIES | WEBSOCKET
