"""A fake server: says what it is told in FOLDER/behaviour.json, a list of steps by process name; `*` is everybody's.

Every process appends what happens to it to FOLDER/events, one JSON object a line.
"""

import ctypes
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time

folder, name = sys.argv[1], sys.argv[2]
descriptor, parent = map(int, os.environ.pop("FIREFLY_CONTROL").split())
ctypes.CDLL(None).prctl(1, signal.SIGKILL)
if os.getppid() != parent:
    os._exit(1)
control = socket.socket(fileno=descriptor)
reader = control.makefile("rb")


def note(what, **more):
    line = json.dumps({"name": name, "pid": os.getpid(), "at": time.monotonic(), "what": what, **more})
    events = os.open(os.path.join(folder, "events"), os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(events, line.encode() + b"\n")
    os.close(events)


def say(**message):
    control.sendall(json.dumps(message).encode() + b"\n")


begin = json.loads(reader.readline())
wake, rope = socket.socketpair()
rope.setblocking(False)
signal.set_wakeup_fd(rope.fileno())
for number in (signal.SIGTERM, signal.SIGQUIT, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda *_: None)

with open(os.path.join(folder, "behaviour.json")) as file:
    table = json.load(file)
behaviour = table.get(name, table.get("*", {}))
note("begin", **{key: begin[key] for key in ("epoch", "secret", "source", "listeners")})

if behaviour.get("once_fails") and begin["epoch"] in behaviour["once_fails"]:
    sys.exit(1)
if "prints" in behaviour:
    sys.stdout.write(behaviour["prints"])
    sys.stdout.flush()
if "grandchild" in behaviour:
    child = subprocess.Popen([sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    note("grandchild", child=child.pid)
if "segfaults" in behaviour:
    os.kill(os.getpid(), signal.SIGSEGV)
if "exits" in behaviour:
    sys.exit(behaviour["exits"])
time.sleep(behaviour.get("ready_after", 0))
if behaviour.get("ready", True):
    note("ready")
    say(say="ready", code=behaviour.get("code"))
for question in behaviour.get("asks", ()):
    say(**question)
    note("answer", answer=json.loads(reader.readline()))
if "dies_after" in behaviour:
    time.sleep(behaviour["dies_after"])
    sys.exit(behaviour.get("dies_with", 1))

listeners = [socket.socket(fileno=fd) for fd in begin["listeners"].values()]
flood = behaviour.get("flood")
noise = b"x" * 99 + b"\n"
while True:
    ready, _, _ = select.select([wake, control, *listeners], [], [], 0 if flood else None)
    for listener in set(ready) & set(listeners):
        client, _ = listener.accept()
        client.sendall(f"{name} {os.getpid()}".encode())
        client.close()
    if control in ready:
        line = reader.readline()
        if not line:
            os._exit(1)
        order = json.loads(line)
        if order.get("do") == "reload":
            note("reload", dry_run=order["dry_run"], force=order["force"])
            if behaviour.get("dies_of_reload"):
                sys.exit(1)
            report = behaviour.get("report", {"problems": [], "taken": not order["dry_run"]})
            say(say="reloaded", number=order["number"], report=report, code={"hash": "new"})
    if wake in ready:
        for number in wake.recv(100):
            note("signal", signal=signal.Signals(number).name)
            if number == signal.SIGTERM and not behaviour.get("ignores_term"):
                time.sleep(behaviour.get("works", 0))
                note("end")
                sys.exit(0)
            if number == signal.SIGQUIT and not behaviour.get("ignores_quit"):
                note("end")
                sys.exit(0)
    if flood:
        began = time.monotonic()
        os.write(1, noise * 600)
        note_slow = time.monotonic() - began
        if note_slow > 5:  # for want of a reader; that another process had the core takes less
            note("blocked", seconds=note_slow)
