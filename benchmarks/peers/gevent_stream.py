"""A peer: gevent's StreamServer, one greenlet a connection, one write a message.

    gevent_stream.py PORT [yield]

`yield`: the handler gives way once before it answers, as one that asks a database would.
"""

from gevent import monkey

monkey.patch_all()

import socket  # noqa: E402
import sys  # noqa: E402
from struct import Struct  # noqa: E402

import gevent  # noqa: E402
from gevent.server import StreamServer  # noqa: E402

HEADER = Struct("!9sII")
everyone: "set[socket.socket]" = set()


def echo(body):
    return body


def echo_after_yield(body):
    gevent.sleep(0)
    return body


MAGIC = bytes(9)
HANDLERS = dict.fromkeys((1, 2), echo_after_yield if "yield" in sys.argv else echo)


def serve(sock, _address):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    everyone.add(sock)
    data = b""
    try:
        while arrived := sock.recv(8192):
            data = data + arrived if data else arrived
            at, size = 0, len(data)
            while size - at >= 17:
                _, length, command = HEADER.unpack_from(data, at)
                end = at + 13 + length
                if end > size:
                    break
                body = HANDLERS[command](data[at + 17 : end])
                frame = HEADER.pack(MAGIC, len(body) + 4, command) + body
                if command == 2:
                    for other in list(everyone):
                        other.sendall(frame)
                sock.sendall(frame)
                at = end
            data = data[at:]
    except OSError:
        pass
    finally:
        everyone.discard(sock)


if __name__ == "__main__":
    StreamServer(("127.0.0.1", int(sys.argv[1])), serve, backlog=4096).serve_forever()
