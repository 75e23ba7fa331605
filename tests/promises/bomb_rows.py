"""Row A11: messages of some kilobytes that would inflate to hundreds of megabytes."""

from __future__ import annotations

import contextlib
import socket
import time
import zlib
from collections import Counter

from tests.promises.gate_clients import KIB, ask, frame, gate, json_player, settle, ws_client
from tests.promises.ledger import Outcome, Row
from tests.promises.running_game import RunningGame

__all__ = ["ROWS"]

PACKED = '{ url = "ws://127.0.0.1:{packed}/", protocol = "json", origins = ["none"], compression = true },'


def bomb(mebibytes: int) -> bytes:
    """Give so much of nothing, deflated to a thousandth."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = bytes(1 << 20)
    data = b"".join(packer.compress(piece) for _ in range(mebibytes))
    return frame(data + packer.flush(zlib.Z_SYNC_FLUSH)[:-4], 0xC1)


def a11_bombs(count: int) -> Outcome:
    """`count` compressed bombs, at limits of 64 KiB and of 1 MiB, of clients with which compression was agreed on."""
    small, large = bomb(60), bomb(256)
    codes: Counter[int] = Counter()
    waits = []
    grown = agreed = 0
    for limit, bombs in ((64 * KIB, [small, large]), (1024 * KIB, [large, large])):
        with gate(f"max_frame = {limit}\nlogin_frame = {limit}", PACKED) as game:
            # What a gate holds after its first bomb it holds after the last.
            burst(game, small)
            settle(game)
            before = game.resident()
            for number in range(count // 2):
                code, taken, wait = burst(game, bombs[number % 2])
                codes[code] += 1
                agreed += taken
                waits.append(wait)
            grown = max(grown, game.resident() - before)
            with json_player(game, 1) as good:
                alive = ask(good, '{"id":5,"cmd":"echo","body":7}')["body"] == 7
    waits.sort()
    figure = (
        f"{codes[1009]} of {agreed} bombs (60 KiB to 60 MiB, {len(large) / KIB:.0f} KiB to 256 MiB) refused with 1009, "
        f"{grown / KIB:+.0f} KiB, half within {waits[len(waits) // 2] * 1000:.1f} ms, p99 "
        f"{waits[int(len(waits) * 0.99)] * 1000:.1f} ms"
    )
    kept = codes == {1009: count // 2 * 2} and agreed == len(waits) and grown <= 2048 * KIB and alive
    return Outcome(agreed, figure, kept and waits[len(waits) // 2] <= 0.05)


def burst(game: RunningGame, data: bytes) -> tuple[int, bool, float]:
    """Send a bomb; give the code of the gate's close, whether it had agreed on compression, and how long it took."""
    sock, answer = ws_client(game, "Sec-WebSocket-Extensions: permessage-deflate", listener="packed")
    with sock:
        begin = time.perf_counter()
        code = explode(sock, data)
        return code, b"permessage-deflate" in answer, time.perf_counter() - begin


def explode(sock: socket.socket, data: bytes) -> int:
    """Send, and give the code that the gate closes with."""
    with contextlib.suppress(OSError):
        sock.sendall(data)
    said = b""
    with contextlib.suppress(OSError):
        while piece := sock.recv(4096):
            said += piece
    return int.from_bytes(said[2:4], "big") if said[:1] == b"\x88" else 0


ROWS = [Row("A11", "compressed bombs are refused", a11_bombs, 8, 200)]
