"""A peer: a gate and a node in gevent, one greenlet a request, MessagePack between them.

    gevent_routed.py node PORT
    gevent_routed.py gate PORT NODE_PORT

The gate starts a greenlet for each request of a client; it asks the node and waits for the answer.
"""

from gevent import monkey

monkey.patch_all()

import socket  # noqa: E402
import sys  # noqa: E402
from struct import Struct  # noqa: E402

import gevent  # noqa: E402
from gevent.server import StreamServer  # noqa: E402
from naive_rpc import Client, Server  # noqa: E402

HEADER = Struct("!9sII")
MAGIC = bytes(9)


def gate(node):
    def answer(sock, command, body):
        body = node.call("command", command, body)
        sock.sendall(HEADER.pack(MAGIC, len(body) + 4, command) + body)

    def serve(sock, _address):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        data = b""
        while arrived := sock.recv(8192):
            data = data + arrived if data else arrived
            at, size = 0, len(data)
            while size - at >= 17:
                _, length, command = HEADER.unpack_from(data, at)
                end = at + 13 + length
                if end > size:
                    break
                gevent.spawn(answer, sock, command, data[at + 17 : end])
                at = end
            data = data[at:]

    return serve


if __name__ == "__main__":
    port = int(sys.argv[2])
    if sys.argv[1] == "node":
        handler = Server({"command": lambda _command, body: body})
    else:
        handler = gate(Client(("127.0.0.1", int(sys.argv[3]))))
    StreamServer(("127.0.0.1", port), handler, backlog=4096).serve_forever()
