"""Handlers are plain functions: a fake context is all that they need."""

import game
import pytest
from firefly_core import Refuse
from firefly_core.testing import FakeContext


@pytest.fixture
def world():
    return game.World()


def test_who_logs_in_is_told_who_is_here(world):
    world.names.add("grace")
    ctx = FakeContext(state=world)
    assert game.login(ctx, game.Login("ada")) == ["ada", "grace"]
    assert ctx.uid == "ada"


def test_a_name_that_is_taken_is_refused(world):
    world.names.add("ada")
    with pytest.raises(Refuse, match="taken"):
        game.login(FakeContext(state=world), game.Login("ada"))


def test_everybody_hears_what_is_said(world):
    ctx = FakeContext(state=world, uid="ada")
    game.say(ctx, game.Say("hello"))
    assert ctx.pushed(game.said) == [game.Said("ada", "hello")]


def test_a_name_is_free_again_when_its_player_has_left(world):
    game.login(ctx := FakeContext(state=world), game.Login("ada"))
    game.leave(ctx)
    assert world.names == set()
