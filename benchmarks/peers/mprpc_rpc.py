"""A peer: mprpc (Cython, MessagePack-RPC, gevent). Its client is not multiplexed: one connection a caller.

mprpc_rpc.py serve PORT
mprpc_rpc.py call PORT IN_FLIGHT SECONDS WATCHED_PID
"""

from gevent import monkey

monkey.patch_all()

import sys  # noqa: E402

from gevent.server import StreamServer  # noqa: E402
from mprpc import RPCClient, RPCServer  # noqa: E402


class Methods(RPCServer):
    def echo(self, value):
        return value


if __name__ == "__main__":
    port = int(sys.argv[2])
    if sys.argv[1] == "serve":
        StreamServer(("127.0.0.1", port), Methods(), backlog=4096).serve_forever()
    else:
        from callers import run_greenlets

        idle = [RPCClient("127.0.0.1", port) for _ in range(int(sys.argv[3]))]

        def call(body):
            client = idle.pop()
            try:
                return client.call("echo", body)
            finally:
                idle.append(client)

        run_greenlets(call, *sys.argv[3:])
