"""Clients that log in and then only read: `python -m benchmarks.sink PORT COUNT COMMAND`, until its input ends."""

from __future__ import annotations

import selectors
import socket
import sys

READ = 65_536


def main(port: int, count: int, command: str) -> None:
    """Open `count` connections, log in by `command` as players 1 and up, say so, and read what comes."""
    selector = selectors.DefaultSelector()
    for uid in range(1, count + 1):
        client = socket.create_connection(("127.0.0.1", port))
        client.sendall(b'{"id":1,"cmd":"%s","body":%d}\n' % (command.encode(), uid))
        client.recv(READ)
        client.setblocking(False)
        selector.register(client, selectors.EVENT_READ)
    selector.register(sys.stdin.fileno(), selectors.EVENT_READ)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.fd == sys.stdin.fileno():
                return
            key.fileobj.recv(READ)  # type: ignore[union-attr]


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3])
