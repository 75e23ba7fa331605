"""Processes of tests that look for ports at the same time."""

import socket
import subprocess
import sys
from pathlib import Path

from tests.ports import BLOCK, free_port, free_ports

ROOT = Path(__file__).parents[1]


def test_no_port_is_given_again_before_the_others_were():
    ports = [free_port() for _ in range(BLOCK // 2)]
    assert len(set(ports)) == len(ports)


def test_a_port_that_somebody_has_is_left_out():
    taken = free_port() + 1
    with socket.create_server(("127.0.0.1", taken)):
        assert taken not in [port for _ in range(BLOCK) for port in free_ports(2)]


def test_ports_that_are_asked_for_together_stand_side_by_side():
    for _ in range(BLOCK):
        first, *others = free_ports(7)
        assert others == list(range(first + 1, first + 7))


def test_another_process_is_given_others():
    program = f"from tests.ports import BLOCK, free_port\nprint([free_port() for _ in range({BLOCK})])"
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    theirs = {int(port) for port in ran.stdout.strip("[]\n").split(",")}
    assert not theirs & {free_port() for _ in range(BLOCK)}
