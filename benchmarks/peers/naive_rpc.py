"""A peer: the RPC that a weekend writes: gevent, MessagePack, a greenlet a request, an AsyncResult a call.

naive_rpc.py serve PORT
naive_rpc.py call PORT IN_FLIGHT SECONDS WATCHED_PID
"""

from gevent import monkey

monkey.patch_all()

import socket  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
import msgpack  # noqa: E402
from gevent.event import AsyncResult  # noqa: E402
from gevent.server import StreamServer  # noqa: E402


class Server:
    def __init__(self, methods):
        self.methods = methods

    def __call__(self, sock, _address):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        packer = msgpack.Packer(use_bin_type=True)

        def run(number, method, arguments):
            try:
                answer = (1, number, None, self.methods[method](*arguments))
            except Exception as error:
                answer = (1, number, str(error), None)
            sock.sendall(packer.pack(answer))

        while data := sock.recv(65536):
            unpacker.feed(data)
            for message in unpacker:
                gevent.spawn(run, message[1], message[2], message[3])


class Client:
    def __init__(self, address):
        self.sock = socket.create_connection(address)
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.packer = msgpack.Packer(use_bin_type=True)
        self.waiting = {}
        self.last = 0
        gevent.spawn(self.read)

    def read(self):
        unpacker = msgpack.Unpacker(raw=False, strict_map_key=False)
        while data := self.sock.recv(65536):
            unpacker.feed(data)
            for _, number, error, result in unpacker:
                waiting = self.waiting.pop(number, None)
                if waiting is None:
                    continue
                if error is None:
                    waiting.set(result)
                else:
                    waiting.set_exception(RuntimeError(error))

    def call(self, method, *arguments, timeout=30):
        self.last = number = self.last + 1
        waiting = self.waiting[number] = AsyncResult()
        self.sock.sendall(self.packer.pack((0, number, method, arguments)))
        return waiting.get(timeout=timeout)


if __name__ == "__main__":
    port = int(sys.argv[2])
    if sys.argv[1] == "serve":
        server = Server({"echo": lambda value: value})
        StreamServer(("127.0.0.1", port), server, backlog=4096).serve_forever()
    else:
        from callers import run_greenlets

        client = Client(("127.0.0.1", port))
        run_greenlets(lambda body: client.call("echo", body), *sys.argv[3:])
