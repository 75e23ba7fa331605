"""Notifier: tells systemd how the supervisor is, where the unit says `Type=notify`; elsewhere it does nothing."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import MutableMapping

__all__ = ["Notifier"]

ADDRESS = "NOTIFY_SOCKET"
VARIABLES = (ADDRESS, "WATCHDOG_USEC", "WATCHDOG_PID")


class Notifier:
    """Sends datagrams to the socket that `environ` names. Its variables are taken out: no server inherits them."""

    def __init__(self, environ: MutableMapping[str, str]) -> None:
        address, microseconds, pid = (environ.pop(name, "") for name in VARIABLES)
        # A name that begins with @ is no file: Linux calls it by a zero byte instead.
        self._address = "\0" + address[1:] if address.startswith("@") else address
        mine = pid in ("", str(os.getpid()))
        self._interval = int(microseconds) / 2e6 if microseconds.isdigit() and mine else 0.0
        self._beaten = 0.0
        self._said = ""

    def say(self, text: str) -> None:
        """Say something that holds from now on, once."""
        if text != self._said:
            self._said = text
            self._send(text)

    def reloading(self) -> None:
        """Say that a reload has begun; `READY=1` ends it."""
        self.say(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def beat(self) -> None:
        """Give a sign of life, if one is wanted and due; to be called about once a second."""
        now = time.monotonic()
        if self._interval and now - self._beaten >= min(self._interval, 1.0):
            self._beaten = now
            self._send("WATCHDOG=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), self._address)
