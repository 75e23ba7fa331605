from __future__ import annotations

from random import Random

import msgspec
import pytest

from example_game import world
from example_game.meadow import HEIGHT, MAX_PLAYERS, REACH, SWARM, WALK_SPEED, WIDTH, Firefly, Meadow
from example_game.messages import (
    Catch,
    Caught,
    Gift,
    Give,
    Left,
    Login,
    Move,
    PlayerView,
    Purse,
    Rank,
    Said,
    Say,
    Top,
    Wander,
    World,
)
from firefly_core import Refuse
from firefly_core.kernel.handlers.handlers import collect
from firefly_core.testing.context import FakeContext


@pytest.fixture
def meadow() -> Meadow:
    return Meadow(Random(7), beyond=Meadow(Random(8), "grove"))


def enter(meadow: Meadow, name: str) -> FakeContext:
    """Log a player in, as his client would, and give the context of his next command."""
    ctx = FakeContext(state=meadow)
    world.login(ctx, Login(name))
    ctx.pushes.clear()
    return ctx


def firefly_beside(meadow: Meadow, ctx: FakeContext, distance: float) -> Firefly:
    player = meadow.players[ctx.uid]
    firefly = next(iter(meadow.fireflies.values()))
    firefly.x, firefly.y = player.x + distance, player.y
    return firefly


def refusal(call, *arguments) -> str:
    with pytest.raises(Refuse) as caught:
        call(*arguments)
    return caught.value.code


def test_every_command_push_and_remote_is_there_by_its_number_and_name() -> None:
    table = collect([world])
    assert {id: handler.name for id, handler in table.commands.items()} == {
        101: "login",
        102: "move",
        103: "catch",
        104: "say",
        105: "top",
        107: "give",
        108: "wander",
    }
    assert {id: push.name for id, push in table.pushes.items()} == {
        2001: "world",
        2002: "chat",
        2003: "caught",
        2004: "left",
        2005: "gift",
    }
    assert [id for id, handler in table.commands.items() if handler.public] == [101]
    assert table.remotes["ranking.top"].open
    assert [handler.seconds for handler in table.timers] == [0.1]


def test_the_server_starts_with_two_meadows() -> None:
    meadows = world.start(FakeContext()).all()
    assert [(meadow.name, len(meadow.fireflies)) for meadow in meadows] == [("meadow", SWARM), ("grove", SWARM)]
    assert len({meadow.season for meadow in meadows}) == 2


def test_login_binds_the_session_joins_the_meadow_and_answers_with_everything(meadow: Meadow) -> None:
    enter(meadow, "Bob")
    meadow.chat.append(("Bob", "hello"))
    ctx = FakeContext(state=meadow)
    welcome = world.login(ctx, Login("Ann"))
    assert ctx.uid == "ann"
    assert ctx.groups["meadow"] == [ctx.session]
    assert (welcome.you, welcome.width, welcome.height) == ("ann", WIDTH, HEIGHT)
    assert (welcome.speed, welcome.reach) == (WALK_SPEED, REACH)
    assert (welcome.meadow, welcome.meadows) == ("meadow", ["meadow", "grove"])
    assert [player.name for player in welcome.world.players] == ["Bob", "Ann"]
    assert (welcome.world.full, len(welcome.world.fireflies)) == (True, SWARM)
    assert welcome.chat == [Said("Bob", "hello")]
    assert msgspec.json.decode(msgspec.json.encode(welcome))["world"]["season"] == meadow.season


@pytest.mark.parametrize("body", [b'{"name":""}', b'{"name":"%s"}' % (b"x" * 17), b'{"name":7}', b"{}", b"[]", b"null"])
def test_a_name_that_is_no_name_does_not_fit_the_message(body: bytes) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(body, type=Login)


def test_a_name_that_nobody_can_read_is_refused_and_nobody_is_logged_in(meadow: Meadow) -> None:
    ctx = FakeContext(state=meadow)
    assert refusal(world.login, ctx, Login(" \u200b\x00 ")) == "bad_name"
    assert (ctx.uid, meadow.players) == (None, {})


def test_who_is_here_cannot_become_somebody_else_on_the_same_connection(meadow: Meadow) -> None:
    ctx = enter(meadow, "Ann")
    assert refusal(world.login, ctx, Login("Bob")) == "logged_in"
    assert list(meadow.players) == ["ann"]
    assert world.login(ctx, Login("ANN")).you == "ann"


def test_a_full_meadow_refuses_newcomers_but_not_who_is_here(meadow: Meadow) -> None:
    for number in range(MAX_PLAYERS):
        hero = meadow.heroes.named(f"p{number}")
        assert hero is not None
        meadow.enter(hero, number)
    assert refusal(world.login, FakeContext(state=meadow), Login("Ann")) == "full"
    assert world.login(FakeContext(state=meadow), Login("p7")).you == "p7"


def test_a_move_is_walked_by_the_server_step_by_step(meadow: Meadow) -> None:
    ctx = enter(meadow, "Ann")
    player = meadow.players["ann"]
    player.x, player.y = 100.0, 100.0
    assert world.move(ctx, Move(x=900.0, y=100.0)) == PlayerView("ann", "Ann", 100.0, 100.0)
    world.tick(FakeContext(session=None, state=meadow))
    assert (player.x, player.y) == (100.0 + WALK_SPEED * world.TICK, 100.0)


@pytest.mark.parametrize("body", [b'{"x":1e308,"y":0}', b'{"x":"1","y":0}', b'{"x":1}', b'{"x":NaN,"y":0}'])
def test_a_move_to_nowhere_does_not_fit_the_message(body: bytes) -> None:
    with pytest.raises((msgspec.ValidationError, msgspec.DecodeError)):
        msgspec.json.decode(body, type=Move)


def test_a_firefly_in_reach_is_caught_and_everybody_is_told(meadow: Meadow) -> None:
    ctx = enter(meadow, "Ann")
    firefly = firefly_beside(meadow, ctx, REACH - 1)
    result = world.catch(ctx, Catch(firefly.id))
    assert result == Caught(firefly.id, "ann", "Ann", result.points, result.points, result.points)
    assert ctx.pushed(world.caught) == [result]
    assert [pushed.to for pushed in ctx.pushes] == ["group:meadow"]


def test_a_firefly_out_of_reach_is_refused_and_stays(meadow: Meadow) -> None:
    ctx = enter(meadow, "Ann")
    firefly = firefly_beside(meadow, ctx, REACH + 1)
    assert refusal(world.catch, ctx, Catch(firefly.id)) == "too_far"
    assert firefly.id in meadow.fireflies
    assert ctx.pushes == []


def test_a_firefly_is_caught_by_one_player_only(meadow: Meadow) -> None:
    ann, bob = enter(meadow, "Ann"), enter(meadow, "Bob")
    meadow.players["bob"].x, meadow.players["bob"].y = meadow.players["ann"].x, meadow.players["ann"].y
    firefly = firefly_beside(meadow, ann, 10)
    world.catch(ann, Catch(firefly.id))
    assert refusal(world.catch, bob, Catch(firefly.id)) == "gone"
    assert meadow.players["bob"].hero.score == 0


def test_gold_changes_hands_and_nobody_gives_what_he_has_not(meadow: Meadow) -> None:
    ann, bob = enter(meadow, "Ann"), enter(meadow, "Bob")
    firefly = firefly_beside(meadow, ann, 10)
    earned = world.catch(ann, Catch(firefly.id)).gold
    assert world.give(ann, Give("bob", earned)) == Purse(0)
    assert ann.pushed(world.gift) == [Gift("Ann", earned, earned)]
    assert refusal(world.give, ann, Give("bob", 1)) == "poor"
    assert refusal(world.give, bob, Give("bob", 1)) == "nobody"
    assert refusal(world.give, bob, Give("zoe", 1)) == "nobody"
    assert meadow.players["bob"].hero.gold == earned


def test_what_is_said_reaches_everybody_clean_and_is_kept_for_newcomers(meadow: Meadow) -> None:
    ctx = enter(meadow, "Ann")
    assert world.say(ctx, Say("  hello\x1b[31m\n all ")) is None
    assert ctx.pushed(world.chat) == [Said("Ann", "hello [31m all")]
    assert list(meadow.chat) == [("Ann", "hello [31m all")]
    assert refusal(world.say, ctx, Say("\x00\u200b ")) == "empty"


def test_the_ranking_is_the_same_for_players_and_for_other_servers(meadow: Meadow) -> None:
    ctx = enter(meadow, "Ann")
    meadow.players["ann"].hero.score = 5
    assert world.top(ctx, Top()) == [Rank("Ann", 5)]
    other = FakeContext(session=None, state=meadow)
    assert world.ranking(other) == world.ranking(other, 1) == world.ranking(other, 10**9) == [Rank("Ann", 5)]
    assert world.ranking(other, -5) == [Rank("Ann", 5)]


def test_who_wanders_leaves_one_group_for_another_and_both_meadows_see_it(meadow: Meadow) -> None:
    ann, grove = enter(meadow, "Ann"), meadow.beyond
    assert grove is not None
    welcome = world.wander(ann, Wander("grove"))
    assert (welcome.meadow, welcome.world.season, [player.id for player in welcome.world.players]) == (
        "grove",
        grove.season,
        ["ann"],
    )
    assert ann.groups == {"grove": [ann.session]}
    assert [(pushed.to, pushed.value) for pushed in ann.pushes] == [("group:meadow", Left("ann"))]
    assert (list(meadow.players), list(grove.players)) == ([], ["ann"])


def test_what_happens_in_one_meadow_stays_there(meadow: Meadow) -> None:
    ann, grove = enter(meadow, "Ann"), meadow.beyond
    assert grove is not None
    world.wander(ann, Wander("grove"))
    ann.pushes.clear()
    world.say(ann, Say("hello"))
    player = grove.players["ann"]
    firefly = next(iter(grove.fireflies.values()))
    firefly.x, firefly.y = player.x, player.y
    world.catch(ann, Catch(firefly.id))
    world.move(ann, Move(player.x + 500, player.y))
    world.tick(ann)
    assert {pushed.to for pushed in ann.pushes} == {"group:grove"}
    assert (list(meadow.chat), list(grove.chat)) == ([], [("Ann", "hello")])
    world.gone(ann)
    assert ann.pushes[-1].to == "group:grove"
    assert grove.players == {}


def test_one_wanders_to_meadows_that_are_there_and_not_full(meadow: Meadow) -> None:
    ann, grove = enter(meadow, "Ann"), meadow.beyond
    assert grove is not None
    assert refusal(world.wander, ann, Wander("moor")) == "no_meadow"
    for number in range(MAX_PLAYERS):
        hero = meadow.heroes.named(f"p{number}")
        assert hero is not None
        grove.enter(hero, number)
    assert refusal(world.wander, ann, Wander("grove")) == "full"
    assert world.wander(ann, Wander("meadow")).meadow == "meadow"
    assert ann.pushes == []


def test_who_comes_back_is_where_he_was(meadow: Meadow) -> None:
    world.wander(enter(meadow, "Ann"), Wander("grove"))
    again = FakeContext(state=meadow)
    assert world.login(again, Login("Ann")).meadow == "grove"
    assert again.pushes[0].to == "group:grove"
    world.gone(again)
    assert world.login(FakeContext(state=meadow), Login("Ann", "grove")).meadow == "grove"
    assert world.login(FakeContext(state=meadow), Login("Bob", "moor")).meadow == "meadow"


def test_a_tick_tells_the_meadow_what_changed_as_droppable(meadow: Meadow) -> None:
    enter(meadow, "Ann")
    ctx = FakeContext(session=None, state=meadow)
    world.tick(ctx)
    (pushed,) = ctx.pushes
    assert (pushed.to, pushed.command, pushed.policy) == ("group:meadow", 2001, "droppable")
    assert isinstance(pushed.value, World)
    assert [player.id for player in pushed.value.players] == ["ann"]


def test_an_empty_meadow_lives_and_is_told_whole_now_and_then_for_those_of_before_a_restart(meadow: Meadow) -> None:
    ctx = FakeContext(session=None, state=meadow)
    before = {firefly.id: (firefly.x, firefly.y) for firefly in meadow.fireflies.values()}
    for _ in range(30):
        world.tick(ctx)
    told = ctx.pushed(world.world)
    assert [(each.full, each.season) for each in told] == [(True, each.season) for each in meadow.all()]
    assert before != {firefly.id: (firefly.x, firefly.y) for firefly in meadow.fireflies.values()}


def test_who_loses_his_connection_is_gone_and_the_others_are_told(meadow: Meadow) -> None:
    ctx = enter(meadow, "Ann")
    world.gone(ctx)
    assert meadow.players == {}
    assert ctx.pushed(world.left) == [Left("ann")]
    world.gone(FakeContext(state=meadow))


def test_the_older_connection_of_who_comes_again_hears_that_he_has_left_before_it_is_ended(meadow: Meadow) -> None:
    old = enter(meadow, "Ann")
    new = FakeContext(state=meadow)
    world.login(new, Login("Ann"))
    assert new.pushed(world.left) == [Left("ann")]
    assert meadow.players["ann"].session == new.session.id
    world.login(new, Login("Ann"))
    assert new.pushed(world.left) == [Left("ann")]
    assert old.pushes == []


def test_the_end_of_a_session_that_was_replaced_says_nothing(meadow: Meadow) -> None:
    old, new = enter(meadow, "Ann"), enter(meadow, "Ann")
    world.gone(old)
    assert "ann" in meadow.players
    assert old.pushes == []
    world.gone(new)
    assert meadow.players == {}


@pytest.mark.parametrize(
    ("handler", "request_"),
    [(world.move, Move(1, 1)), (world.catch, Catch(1)), (world.say, Say("x"))],
    ids=["move", "catch", "say"],
)
def test_after_a_restart_of_the_world_a_player_is_asked_to_log_in_again(handler, request_) -> None:
    ctx = FakeContext(uid="ann", state=Meadow(Random(1)))
    assert refusal(handler, ctx, request_) == "not_here"
