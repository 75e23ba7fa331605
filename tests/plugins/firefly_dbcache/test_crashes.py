"""Real kill -9 of an owner, at random moments and at every named point of its path: nothing acknowledged is lost."""

import random

import pytest

from tests.promises.crash import POINTS, Nest


@pytest.fixture(scope="module")
def nest():
    made = Nest()
    yield made
    made.close()


def survive(nest, folder, lives):
    """Live and die again and again in one folder, then check a last time."""
    for how in lives:
        death = nest.life(folder, **how)
        assert death.wrong == []
        assert death.point == how.get("point")
    last = nest.life(folder, counter=lives[0].get("counter", "Hero"))
    assert last.checked
    assert last.wrong == []
    assert last.acknowledged > 0
    assert last.status == 0


@pytest.mark.parametrize("point", POINTS)
def test_a_kill_at_a_named_point_loses_nothing(nest, tmp_path, point):
    generator = random.Random(point)
    lives = [{"seed": 0, "lifetime": 0.1, "begin": "checked"}]
    for number in range(2):
        if point == "second_replay":
            lives.append({"seed": number, "lifetime": 0.05, "begin": "checked"})
            lives.append({"seed": number, "point": "replay"})
        hits = 1 if "replay" in point or point == "checkpoint_overtaken" else generator.randint(1, 8)
        keys = {"flush_interval": 0.5} if "checkpoint" in point else {}
        lives.append({"seed": number, "point": point, "hits": hits, "keys": keys})
        if "replay" in point:
            lives.append({"seed": number, "lifetime": 0.05, "begin": "checked"})
    survive(nest, tmp_path, lives)


@pytest.mark.parametrize(("durability", "counter"), [("journal", "Hero"), ("journal", "Account"), ("fsync", "Hero")])
def test_kills_at_random_moments_lose_nothing(nest, tmp_path, durability, counter):
    generator = random.Random(durability + counter)
    survive(
        nest,
        tmp_path,
        [
            {
                "seed": number,
                "lifetime": generator.uniform(0.0, 0.2),
                "begin": "checked",
                "durability": durability,
                "counter": counter,
            }
            for number in range(6)
        ],
    )
