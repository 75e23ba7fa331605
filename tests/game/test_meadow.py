import math
from random import Random

import pytest

from example_game.heroes import Hero
from example_game.meadow import (
    FULL_INTERVAL,
    HEIGHT,
    REACH,
    SWARM,
    WALK_SPEED,
    WIDTH,
    Change,
    Firefly,
    Meadow,
    Player,
)


@pytest.fixture
def meadow() -> Meadow:
    return Meadow(Random(7))


def enter(meadow: Meadow, name: str, session: int = 1) -> Player:
    hero = meadow.heroes.named(name)
    assert hero is not None
    return meadow.enter(hero, session)


def near(meadow: Meadow, player: Player, distance: float) -> Firefly:
    firefly = next(iter(meadow.fireflies.values()))
    firefly.x, firefly.y = player.x + distance, player.y
    return firefly


def test_the_meadow_begins_with_a_swarm_inside_its_rim(meadow: Meadow) -> None:
    assert len(meadow.fireflies) == SWARM
    assert all(0 < fly.x < WIDTH and 0 < fly.y < HEIGHT for fly in meadow.fireflies.values())


def test_the_same_chance_makes_the_same_meadow() -> None:
    one, other = Meadow(Random(3)), Meadow(Random(3))
    for _ in range(50):
        one.tick(0.1)
        other.tick(0.1)
    assert one.fireflies == other.fireflies
    assert one.season == other.season


def test_a_newcomer_is_told_to_the_others_in_the_next_change(meadow: Meadow) -> None:
    player = enter(meadow, "Ann")
    assert meadow.tick(0.1).players == [player]
    assert meadow.tick(0.1).players == []


def test_a_player_walks_to_his_goal_and_stops_exactly_there(meadow: Meadow) -> None:
    player = enter(meadow, "Ann")
    meadow.head_for(player, 300.0, 400.0)
    for _ in range(200):
        meadow.tick(0.1)
    assert (player.x, player.y) == (300.0, 400.0)
    meadow.head_for(player, 300.0, 400.0)
    assert player.walk(0.1) is False


def test_nobody_walks_faster_than_the_speed_limit_however_far_his_goal_is(meadow: Meadow) -> None:
    player = enter(meadow, "Ann")
    player.x, player.y = 100.0, 100.0
    for goal in [(WIDTH, HEIGHT), (0.0, 0.0), (1e9, -1e9), (WIDTH, 50.0)] * 5:
        before = (player.x, player.y)
        meadow.head_for(player, *goal)
        meadow.tick(0.1)
        assert math.dist(before, (player.x, player.y)) <= WALK_SPEED * 0.1 + 1e-6


@pytest.mark.parametrize("x", [-5.0, 1e300, math.inf, -math.inf, math.nan])
def test_a_goal_outside_is_taken_as_a_place_inside(meadow: Meadow, x: float) -> None:
    player = enter(meadow, "Ann")
    meadow.head_for(player, x, x)
    for _ in range(200):
        meadow.tick(0.1)
    assert 0 <= player.x <= WIDTH
    assert 0 <= player.y <= HEIGHT


def test_fireflies_drift_for_minutes_and_stay_inside(meadow: Meadow) -> None:
    start = {fly.id: (fly.x, fly.y) for fly in meadow.fireflies.values()}
    for _ in range(3000):
        meadow.tick(0.1)
    assert all(0 <= fly.x <= WIDTH and 0 <= fly.y <= HEIGHT for fly in meadow.fireflies.values())
    assert all((fly.x, fly.y) != start[fly.id] for fly in meadow.fireflies.values())


def test_a_glowing_firefly_hangs_still_is_not_told_again_and_is_worth_twice(meadow: Meadow) -> None:
    firefly = Firefly(1, 1, 100.0, 100.0, heading=0.0)
    assert firefly.worth == 2
    assert firefly.drift(0.1, Random(1)) is True
    assert (firefly.glow, firefly.worth) == (1.0, 4)
    assert firefly.drift(0.1, Random(1)) is False
    assert (firefly.x, firefly.y) == (100.0, 100.0)


def test_a_change_names_only_what_changed(meadow: Meadow) -> None:
    enter(meadow, "Ann")
    walker = enter(meadow, "Bob", 2)
    meadow.tick(0.1)
    meadow.head_for(walker, 0.0, 0.0)
    told = {fly.id: (fly.x, fly.y, fly.glow) for fly in meadow.fireflies.values()}
    change = meadow.tick(0.1)
    assert change.players == [walker]
    now = {fly.id: (fly.x, fly.y, fly.glow) for fly in meadow.fireflies.values()}
    assert {fly.id for fly in change.fireflies} == {key for key in now if now[key] != told[key]}
    assert 0 < len(change.fireflies) <= SWARM


def test_now_and_then_a_change_tells_everything(meadow: Meadow) -> None:
    enter(meadow, "Ann")
    ticks = round(FULL_INTERVAL / 0.1) + 1
    full = [change for change in (meadow.tick(0.1) for _ in range(ticks)) if change.full]
    assert len(full) == 1
    assert len(full[0].players) == 1
    assert len(full[0].fireflies) == SWARM


def test_an_empty_change_is_false_and_a_full_one_of_an_empty_meadow_is_not() -> None:
    assert not Change(False, [], [])
    assert Change(True, [], [])


def test_a_firefly_is_in_reach_up_to_the_very_end_of_the_net(meadow: Meadow) -> None:
    player = enter(meadow, "Ann")
    assert meadow.reaches(player, near(meadow, player, REACH))
    assert not meadow.reaches(player, near(meadow, player, REACH + 0.001))


def test_a_caught_firefly_is_gone_and_another_appears(meadow: Meadow) -> None:
    player = enter(meadow, "Ann")
    firefly = near(meadow, player, 10.0)
    worth = firefly.worth
    assert meadow.catch(firefly) == worth
    assert firefly.id not in meadow.fireflies
    assert len(meadow.fireflies) == SWARM
    assert max(meadow.fireflies) > firefly.id


def test_who_leaves_is_gone_and_keeps_his_score_for_his_return(meadow: Meadow) -> None:
    player = enter(meadow, "Ann")
    meadow.heroes.award(player.hero, meadow.catch(near(meadow, player, 10.0)))
    score = player.hero.score
    assert meadow.leave("ann", 1) is player
    assert meadow.players == {}
    assert meadow.tick(0.1).players == []
    assert enter(meadow, "ann", 2).hero.score == score


def test_the_end_of_an_old_session_does_not_take_out_who_came_back_by_a_new_one(meadow: Meadow) -> None:
    enter(meadow, "Ann", 1)
    player = enter(meadow, "Ann", 2)
    assert meadow.leave("ann", 1) is None
    assert meadow.players == {"ann": player}
    assert meadow.leave("ann", 2) is player


def test_who_comes_back_by_a_new_session_stands_where_he_stood(meadow: Meadow) -> None:
    player = enter(meadow, "Ann", 1)
    player.x, player.y = 12.0, 34.0
    again = enter(meadow, "ANN", 2)
    assert (again.x, again.y, again.session) == (12.0, 34.0, 2)


def test_a_session_that_never_logged_in_leaves_nothing(meadow: Meadow) -> None:
    assert meadow.leave(None, 1) is None
    assert meadow.leave("nobody", 1) is None


def test_the_chat_keeps_its_last_lines_only(meadow: Meadow) -> None:
    for number in range(100):
        meadow.chat.append(("Ann", str(number)))
    assert len(meadow.chat) == 20
    assert meadow.chat[-1] == ("Ann", "99")


def test_a_hero_is_compared_by_key_not_by_object(meadow: Meadow) -> None:
    assert Hero("ann", "Ann") == Hero("ann", "Ann")
