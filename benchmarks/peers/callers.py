"""A closed loop of callers: so many calls in flight for so many seconds, then one line of JSON."""

import glob
import json
import time

BODY = b"x" * 64
WARM_UP = 0.3


def cpu_of(pid):
    """Give the seconds that all threads of process `pid` have run."""
    total = 0
    for path in glob.glob(f"/proc/{pid}/task/*/schedstat"):
        try:
            with open(path) as file:
                total += int(file.read().split()[0])
        except OSError:
            continue
    return total / 1e9


class Window:
    """The part of a run that counts: from the end of the warm-up on, for `seconds`."""

    def __init__(self, seconds, watched):
        self.seconds = float(seconds)
        self.watched = watched
        self.calls = 0
        self.open = False
        self.over = False

    def begin(self):
        self.open = True
        self.began = time.monotonic()
        self.cpu = [cpu_of(self.watched), cpu_of("self")]
        self.calls = 0

    def end(self):
        self.took = time.monotonic() - self.began
        self.cpu = [cpu_of(self.watched) - self.cpu[0], cpu_of("self") - self.cpu[1]]
        self.counted = self.calls
        self.over = True

    def report(self):
        print(json.dumps({"answers": self.counted, "seconds": self.took, "cpu": self.cpu}), flush=True)


def run_greenlets(call, in_flight, seconds, watched):
    """Run `call(BODY)` in `in_flight` greenlets."""
    import gevent

    window = Window(seconds, watched)

    def loop():
        while not window.over:
            if call(BODY) != BODY:
                raise AssertionError("the echo is not what was sent")
            window.calls += 1

    greenlets = [gevent.spawn(loop) for _ in range(int(in_flight))]
    gevent.sleep(WARM_UP)
    window.begin()
    gevent.sleep(window.seconds)
    window.end()
    gevent.joinall(greenlets, timeout=10, raise_error=True)
    window.report()
