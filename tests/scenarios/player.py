"""A player who asks much at once, and notes what he hears, in order."""

import gevent

from firefly_core.errors import Disconnected, RemoteError

__all__ = ["Player"]


class Player:
    """One client, what it asked and what it heard, in order."""

    def __init__(self, name, client):
        self.name = name
        self.client = client
        self.asked = []
        self.heard = []
        self.number = 0

    def ask(self, kind, wait=0.0):
        self.number += 1
        number = self.number
        pending = self.client.ask(kind, [number, wait])
        self.asked.append(number)
        gevent.spawn(self.wait, number, pending)

    def wait(self, number, pending):
        try:
            end = pending.get(timeout=1_000)
        except RemoteError as error:
            end = error.code
        except Disconnected:
            end = "closed"
        self.heard.append((number, end))
