"""The services of this house keep the contract, and services that do not are found out."""

import pytest

from firefly_core import command
from firefly_core.errors import ConfigurationError
from firefly_core.testing import ServiceContract

TOML = """
[firefly]
name = "meadow"
plugins = ["gate", "root", "node", "protocols"]

[servers.gate.gate]
listen = { url = "tcp://127.0.0.1:11010", protocol = "json" }

[servers.gate.root]
listen = "tcp://127.0.0.1:10000"

[servers.world.node]
roots = ["gate"]
"""


@command(101, public=True)
def login(ctx, name: str) -> str:
    ctx.session.bind(name)
    ctx.group("everybody").join(ctx.session)
    return name


class OurService(ServiceContract):
    declaration = TOML
    handlers = {"world": [login]}  # noqa: RUF012  as in the contract

    def use(self, cluster):
        for number in range(5):
            client = cluster.connect()
            assert client.request("login", f"player {number}") == f"player {number}"


class TestGate(OurService):
    service = "gate"


class TestRoot(OurService):
    service = "root"


class TestNode(OurService):
    service = "node"


GOOD = """
import gevent
from firefly_core import hookimpl
from firefly_core.kernel.config.config import config, integer, key
from firefly_core.kernel.service import Phase, Service

FIREFLY_API = 1


class Mail(Service):
    name = "mail"
    phase = Phase.DOOR

    @config
    class Config:
        port: int = key(integer(1, 65535), "where it listens", default=2525)

    listener = None
    worker = None
    count = 0

    def start(self):
        self.listener = self.kernel.network.listen("127.0.0.1", self.config.port, lambda transport: None)
        self.worker = gevent.spawn(self.run)

    def run(self):
        while True:
            gevent.sleep(1)
            self.count += 1

    def stop(self):
        if self.listener is not None:
            self.listener.close()
        if self.worker is not None:
            self.worker.kill()

    def statistics(self):
        return {"letters_total": self.count}


@hookimpl
def firefly_services():
    return [Mail]
"""
FAULTS = {
    "test_it_says_its_name_and_its_phase": ("phase = Phase.DOOR", "phase = 3"),
    "test_each_key_of_its_config_has_a_help_text_and_cannot_be_changed": ('"where it listens"', '" "'),
    "test_it_does_nothing_before_it_is_started": (
        "    listener = None",
        "    def __init__(self, kernel, config):\n        super().__init__(kernel, config)\n"
        "        gevent.spawn(gevent.sleep, 100)\n\n    listener = None",
    ),
    "test_a_service_that_was_never_started_can_be_stopped": ("if self.listener is not None:", "if True:"),
    "test_it_starts_works_stops_and_starts_again": ("self.listener.close()", "pass"),
    "test_nothing_is_left_of_it": ("self.worker.kill()", "pass"),
    "test_it_can_be_drained_and_stopped_while_it_works": (
        "    def stop(self):",
        "    def drain(self):\n        gevent.sleep(1000)\n\n    def stop(self):",
    ),
    "test_its_statistics_have_names_are_finite_and_its_counters_never_fall": ("self.count += 1", "self.count -= 1"),
    "test_two_of_it_live_side_by_side": (
        "def start(self):",
        "def start(self):\n        if Mail.count:\n            raise OSError('one at a time')\n        Mail.count = 1",
    ),
    "test_its_check_finds_nothing_wrong_with_a_right_declaration": (
        "    def stop(self):",
        "    @classmethod\n    def check(cls, server, config, cluster):\n"
        "        return [('port', 'taken')] if getattr(cluster, 'folder', None) else []\n\n    def stop(self):",
    ),
}


MAIL = '[firefly]\nname = "m"\nplugins = ["mail"]\n[servers.post.mail]\n'


@pytest.fixture
def mail(distribution, tmp_path):
    """Give a function that installs the plugin `mail` from a source and runs one test of its contract."""

    def check(source, test):
        distribution("mail", {"firefly_mail": source}, plugins={"mail": "firefly_mail"})

        class Mail(ServiceContract):
            service = "mail"
            declaration = MAIL

        contract = Mail()
        world = ServiceContract.world.__wrapped__(contract)
        try:
            inside = next(world)
            cluster = ServiceContract.cluster.__wrapped__(contract, inside)
            given = next(cluster)
            arguments = {"cluster": given, "world": inside}
            function = getattr(contract, test)
            names = function.__code__.co_varnames[1 : function.__code__.co_argcount]
            try:
                function(**{name: arguments[name] for name in names})
            finally:
                next(cluster, None)
        finally:
            next(world, None)

    return check


@pytest.mark.parametrize("test", list(FAULTS))
def test_a_good_service_passes(mail, test):
    mail(GOOD, test)


@pytest.mark.parametrize(("test", "fault"), list(FAULTS.items()))
def test_a_service_with_a_fault_is_found_out(mail, test, fault):
    right, wrong = fault
    assert right in GOOD
    with pytest.raises((AssertionError, OSError, AttributeError, ConfigurationError)):
        mail(GOOD.replace(right, wrong), test)
