"""What systemd is told."""

import os
import socket
import time

import pytest

from firefly_core.kernel.supervisor.notifier import Notifier


@pytest.fixture(params=["file", "abstract"])
def systemd(request, tmp_path):
    address = str(tmp_path / "notify") if request.param == "file" else f"\0firefly-{os.getpid()}-{time.monotonic_ns()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        listener.bind(address)
        listener.settimeout(5)
        yield listener, address.replace("\0", "@")


def test_it_says_what_holds_and_says_it_once(systemd):
    listener, address = systemd
    environ = {"NOTIFY_SOCKET": address, "OTHER": "1"}
    notifier = Notifier(environ)
    assert environ == {"OTHER": "1"}, "no server may speak in the supervisor's name"
    for _ in range(3):
        notifier.say("READY=1")
    notifier.reloading()
    notifier.say("READY=1")
    notifier.say("STOPPING=1")
    told = [listener.recv(1000).decode() for _ in range(4)]
    assert told[0] == told[2] == "READY=1"
    assert told[1].startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert told[3] == "STOPPING=1"


def test_it_gives_a_sign_of_life_when_one_is_wanted(systemd):
    listener, address = systemd
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())})
    notifier.beat()
    notifier.beat()
    assert listener.recv(1000) == b"WATCHDOG=1"
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(1000)


@pytest.mark.parametrize("wanted", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"}])
def test_without_a_watchdog_there_is_no_sign_of_life(systemd, wanted):
    listener, address = systemd
    Notifier({"NOTIFY_SOCKET": address, **wanted}).beat()
    listener.setblocking(False)
    with pytest.raises(BlockingIOError):
        listener.recv(1000)


@pytest.mark.parametrize("environ", [{}, {"NOTIFY_SOCKET": "/nowhere/at/all"}, {"NOTIFY_SOCKET": "x" * 200}])
def test_where_nobody_listens_nothing_happens(environ):
    notifier = Notifier(dict(environ))
    notifier.say("READY=1")
    notifier.beat()
