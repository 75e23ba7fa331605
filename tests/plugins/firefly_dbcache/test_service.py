import gevent
import pytest

from firefly_core.errors import ConfigurationError, Conflict, Disconnected, NotFound
from firefly_core.kernel.handlers.context import HandlerContext
from firefly_core.testing.cluster import InProcessCluster
from tests.promises import lab
from tests.promises.models import Account, Everything, Hero, Item

CLUSTER = """
[firefly]
name = "test"
plugins = ["root", "node", "db-cache"]

[servers.db.root]
listen = "tcp://127.0.0.1:10101"
[servers.db.db-cache]
database = "sqlite:///game.db"
models = ["tests.promises.models"]
slack = 65536
flush_interval = 0.01

[servers.world]
replicas = 2
[servers.world.node]
roots = ["db"]
[servers.world.db-cache]
owner = "db"
models = ["tests.promises.models"]
"""


@pytest.fixture
def cluster(tmp_path):
    with InProcessCluster(CLUSTER, folder=tmp_path) as made:
        made.start()
        yield made


def handle(cluster, name):
    """Give what `ctx.db` is in a handler of that server."""
    kernel = cluster.kernels[name]
    marker = type("Handler", (), {"name": "test"})()
    return HandlerContext(kernel, marker, None, None, None).db


def test_rows_are_the_same_on_the_owner_and_on_every_other_server(cluster):
    owner, one, two = (handle(cluster, name) for name in ("db-1", "world-1", "world-2"))
    made = one.create(Hero, name="Ada", owner=7)
    assert two.get(Hero, made.id).name == "Ada"
    mine = two.get(Hero, made.id)
    mine.gold = 5
    two.save(mine)
    assert owner.get(Hero, made.id).gold == one.get(Hero, made.id).gold == 5
    assert [hero.id for hero in one.where(Hero, owner=7)] == [made.id]
    assert one.add(Hero, made.id, gold=2).gold == 7
    with pytest.raises(Conflict, match="was read at version"):
        one.save(made)
    one.delete(one.get(Hero, made.id))
    with pytest.raises(NotFound):
        owner.get(Hero, made.id)


def test_units_and_updates_of_several_servers_lose_nothing(cluster):
    handles = [handle(cluster, name) for name in ("db-1", "world-1", "world-2")]
    handles[0].create(Hero, name="Ada")
    handles[0].create(Hero, name="Bob")

    def change(hero):
        hero.gold += 1

    def unit(unit):
        unit.add(Hero, 1, gold=-1)
        bob = unit.get(Hero, 2)
        bob.gold += 1
        unit.save(bob)

    def work(db):
        for _ in range(15):
            db.update(Hero, 1, change)
            db.transact(unit)

    gevent.joinall([gevent.spawn(work, db) for db in handles], timeout=30, raise_error=True)
    assert [hero.gold for hero in handles[1].many(Hero, [1, 2])] == [0, 45]


def test_many_who_update_one_row_all_come_to_their_turn(cluster):
    handles = [handle(cluster, name) for name in ("db-1", "world-1", "world-2")]
    handles[0].create(Hero, name="Ada")

    def change(hero):
        hero.gold += 1
        gevent.sleep(0.001)  # everybody else gets between reading and storing

    def work(db):
        for _ in range(5):
            db.update(Hero, 1, change)

    gevent.joinall([gevent.spawn(work, db) for db in handles * 10], timeout=50, raise_error=True)
    assert handles[0].get(Hero, 1).gold == 150


@pytest.mark.parametrize(
    ("fields", "error"), [({"admin": 1}, TypeError), ({"name": "x" * 41}, ValueError), ({"name": 1}, TypeError)]
)
def test_errors_are_the_same_on_other_servers(cluster, fields, error):
    db = handle(cluster, "world-1")
    with pytest.raises(error):
        db.create(Hero, **fields)
    with pytest.raises(TypeError, match="index"):
        db.where(Hero, gold=1)
    with pytest.raises(NotFound):
        db.add(Hero, 404, gold=1)


def test_what_a_server_sends_is_checked_again_by_the_owner(cluster):
    peer = cluster.kernels["world-1"].mesh.peers["db-1"]
    shape = handle(cluster, "db-1")._tables[Hero].shape
    for method, params in [
        ("save", ["hero", shape, [1, 0, "x", 2**40, 0]]),
        ("save", ["hero", shape, [1, 0, "x", 0]]),
        ("save", ["hero", "0" * 12, [1, 0, "x", 0, 0]]),
        ("save", ["nobody", shape, []]),
        ("commit", [[["hero", shape, 1, 0, [2, 0, "x", 0, 0]]], []]),
        ("add", ["hero", shape, 1, {"name": "x"}]),
        ("add", ["hero", shape, 1, {"gold; DROP TABLE hero": 1}]),
        ("find", ["hero", shape, {"owner = owner": 1}]),
        ("read", ["hero", shape, ["1 OR 1=1"]]),
    ]:
        kind, text = peer.call(f"firefly.db.{method}", *params)
        assert kind in ("TypeError", "ValueError"), (method, params, text)


def test_answers_that_would_be_too_large_come_in_parts(cluster):
    owner, db = handle(cluster, "db-1"), handle(cluster, "world-1")
    for number in range(8):
        owner.create(Everything, long="x" * 300_000, small=number, friend=None)
    assert [row.small for row in db.many(Everything, range(1, 9))] == list(range(8))
    for number in range(2, 9):
        owner.update(Everything, number, lambda row: setattr(row, "friend", 1))
    assert [row.small for row in db.where(Everything, friend=1)] == list(range(1, 8))


def test_unit_keys_from_other_servers_are_never_given_twice(cluster):
    handles = [handle(cluster, name) for name in ("db-1", "world-1", "world-2")]
    made = []

    def work(db):
        made.extend(db.transact(lambda unit: unit.create(Item, hero=1).id) for _ in range(20))

    gevent.joinall([gevent.spawn(work, db) for db in handles], timeout=30, raise_error=True)
    assert len(set(made)) == 60


def test_a_lost_owner_fails_fast_and_is_used_again_when_it_is_back(cluster):
    db = handle(cluster, "world-1")
    db.create(Hero, name="Ada", gold=3)
    cluster.stop("db")
    lab.wait_until(lambda: not cluster.kernels["world-1"].mesh.peers["db-1"].connected)
    with pytest.raises(Disconnected) as told:
        db.get(Hero, 1)
    assert not told.value.sent
    cluster.start("db")
    lab.wait_until(lambda: cluster.kernels["world-1"].mesh.peers["db-1"].connected)
    assert db.get(Hero, 1).gold == 3


def test_a_row_made_on_another_server_survives_the_owners_restart(cluster):
    handle(cluster, "world-1").create(Account, login="ada", coins=5)
    cluster.restart("db")
    assert handle(cluster, "world-2").get(Account, "ada").coins == 5


def test_statistics_tell_what_the_owner_does(cluster):
    db = handle(cluster, "db-1")
    db.create(Hero, name="Ada")
    db.get(Hero, 1)
    figures = cluster.kernels["db-1"].statistics()["db-cache"]
    assert figures["commits_total"] == 1
    assert figures["hit_rate"] == 1.0
    assert figures["refusing"] == 0.0
    handle(cluster, "world-1").get(Hero, 1)
    assert cluster.kernels["world-1"].statistics()["db-cache"]["calls_total"] == 1


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ('owner = "db"', "", "either `database`"),
        ('owner = "db"', 'owner = "world"', "a server that owns a database"),
        ('owner = "db"', 'database = "sqlite:///game.db"', "without replicas"),
        ('[servers.db.root]\nlisten = "tcp://127.0.0.1:10101"', "[servers.db]", "with a root"),
        ('owner = "db"\nmodels = ["tests.promises.models"]', 'owner = "db"', "at least one module"),
        ('"db"\nmodels = ["tests.promises.models"]', '"db"\nmodels = ["tests.nothing"]', "there is no such module"),
        ('database = "sqlite:///game.db"', 'database = "oracle://x/y"', "sqlite://"),
        ("slack", 'durability = "fync"\nslack', "fsync"),
        ("slack", 'cache = "redis://127.0.0.1:6379"\nslack', "memory://"),
    ],
)
def test_a_declaration_that_cannot_work_is_refused(tmp_path, old, new, told):
    with pytest.raises(ConfigurationError, match=told):
        InProcessCluster(CLUSTER.replace(old, new, 1), folder=tmp_path)
