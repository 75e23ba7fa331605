"""Heroes in the db-cache answer as those in memory do, outlive a restart, and share gold without losing any."""

import contextlib

import gevent
import pytest

from example_game.heroes import Hero, Heroes, Poor
from example_game.stored_heroes import StoredHeroes
from firefly_core import remote
from firefly_core.testing import InProcessCluster

TOML = """
[firefly]
plugins = ["root", "db-cache"]
[servers.world.root]
listen = "tcp://127.0.0.1:10000"
[servers.world.db-cache]
database = "sqlite:///meadow.db"
models = ["example_game.models"]
"""


@remote("use")
def use(ctx):
    return StoredHeroes(ctx.db)


class World:
    """A server with a db-cache, and its heroes."""

    def __init__(self, folder):
        self._cluster = InProcessCluster(TOML, handlers={"world": [use]}, folder=folder)
        self._cluster.__enter__()
        self._cluster.start()
        kernel = self._cluster.kernel("world")
        self.heroes = StoredHeroes(kernel.services["db-cache"].handle(None))

    def stop(self):
        self._cluster.__exit__(None, None, None)


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.stop()


@pytest.fixture(params=["memory", "stored"])
def heroes(request):
    return Heroes() if request.param == "memory" else request.getfixturevalue("world").heroes


def test_a_name_is_the_same_hero_however_it_is_written(heroes):
    ann = heroes.named("Ann")
    assert (ann.key, ann.name, ann.score, ann.gold) == ("ann", "Ann", 0, 0)
    assert heroes.named(" ANN ").name == "Ann"
    assert heroes.named("\x00") is None


def test_points_are_gold_and_a_place_in_the_ranking(heroes):
    for name, points in (("Ann", 3), ("Bob", 5), ("Zoe", 1), ("Ann", 4)):
        heroes.award(heroes.named(name), points)
    heroes.named("Tom")
    assert [(hero.name, hero.score) for hero in heroes.top(10)] == [("Ann", 7), ("Bob", 5), ("Zoe", 1)]
    assert [hero.name for hero in heroes.top(2)] == ["Ann", "Bob"]
    assert heroes.named("Ann").gold == 7


def test_gold_changes_hands_or_nothing_happens(heroes):
    ann, bob = heroes.named("Ann"), heroes.named("Bob")
    heroes.award(ann, 5)
    heroes.give(ann, bob, 3)
    assert (ann.gold, bob.gold) == (2, 3)
    with pytest.raises(Poor):
        heroes.give(ann, bob, 3)
    assert (heroes.named("Ann").gold, heroes.named("Bob").gold) == (2, 3)


def test_heroes_outlive_their_server(tmp_path):
    world = World(tmp_path)
    world.heroes.award(world.heroes.named("Ann"), 5)
    world.stop()
    world = World(tmp_path)
    assert world.heroes.named("Ann") == Hero("ann", "Ann", 5, 5)
    assert [hero.name for hero in world.heroes.top(1)] == ["Ann"]
    world.stop()


def test_many_gifts_at_once_neither_make_nor_lose_gold(world):
    heroes = [world.heroes.named(name) for name in ("a", "b", "c", "d")]
    for hero in heroes:
        world.heroes.award(hero, 25)

    def trade(number):
        giver, taker = world.heroes.named("abcd"[number % 4]), world.heroes.named("abcd"[(number + 1 + number % 3) % 4])
        with contextlib.suppress(Poor):
            world.heroes.give(giver, taker, 1 + number % 20)

    gevent.joinall([gevent.spawn(trade, number) for number in range(80)], raise_error=True)
    purses = [world.heroes.named(name).gold for name in "abcd"]
    assert sum(purses) == 100
    assert min(purses) >= 0
