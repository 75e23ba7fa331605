"""A peer: zerorpc (ZeroMQ, MessagePack, gevent), one client, many callers.

zerorpc_rpc.py serve PORT
zerorpc_rpc.py call PORT IN_FLIGHT SECONDS WATCHED_PID
"""

import sys

import zerorpc


class Methods:
    def echo(self, value):
        return value


if __name__ == "__main__":
    address = f"tcp://127.0.0.1:{sys.argv[2]}"
    if sys.argv[1] == "serve":
        server = zerorpc.Server(Methods(), heartbeat=None, pool_size=1000)
        server.bind(address)
        server.run()
    else:
        from callers import run_greenlets

        client = zerorpc.Client(address, timeout=30, heartbeat=None)
        run_greenlets(client.echo, *sys.argv[3:])
