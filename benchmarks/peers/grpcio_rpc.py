"""A peer: grpcio with its thread pool, bytes in and out (no protobuf), one channel, calls as futures.

    grpcio_rpc.py serve PORT
    grpcio_rpc.py call PORT IN_FLIGHT SECONDS WATCHED_PID

Measured beside it, grpcio's asyncio front makes two thirds of these calls, and a thread a caller as many.
"""

import os
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
from callers import BODY, WARM_UP, Window


def serve(address):
    server = grpc.server(ThreadPoolExecutor(8))
    methods = {"echo": grpc.unary_unary_rpc_method_handler(lambda request, _context: request)}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("bench.Echo", methods),))
    server.add_insecure_port(address)
    server.start()
    server.wait_for_termination()


def call(address, in_flight, seconds, watched):
    window = Window(seconds, watched)
    method = grpc.insecure_channel(address).unary_unary("/bench.Echo/echo")

    def loop():
        while not window.over:
            method(BODY)
            window.calls += 1

    def again(future):
        future.result()
        window.calls += 1
        if not window.over:
            method.future(BODY).add_done_callback(again)

    if in_flight == 1:
        threading.Thread(target=loop).start()
    else:
        for _ in range(in_flight):
            method.future(BODY).add_done_callback(again)
    time.sleep(WARM_UP)
    window.begin()
    time.sleep(window.seconds)
    window.end()
    window.report()
    os._exit(0)  # the channel's threads would wait for the open calls


if __name__ == "__main__":
    address = f"127.0.0.1:{sys.argv[2]}"
    if sys.argv[1] == "serve":
        serve(address)
    else:
        call(address, int(sys.argv[3]), float(sys.argv[4]), int(sys.argv[5]))
