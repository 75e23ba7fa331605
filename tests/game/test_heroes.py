import pytest

from example_game.heroes import NAME_LENGTH, Heroes, clean


def test_a_name_in_other_letters_is_the_same_hero() -> None:
    heroes = Heroes()
    ann = heroes.named("Ann")
    assert ann is not None
    for name in ("ANN", "  ann ", "Ａｎｎ"):
        assert heroes.named(name) is ann
    assert (ann.key, ann.name) == ("ann", "Ann")


@pytest.mark.parametrize("name", ["", "   ", "\x00\x1b\n", "\u202e\u200b", "\u00a0\u2003"])
def test_a_name_that_nobody_can_read_is_no_name(name: str) -> None:
    assert Heroes().named(name) is None


def test_a_name_that_grows_when_cleaned_is_cut() -> None:
    hero = Heroes().named("\ufdfa" * 16)  # one letter that stands for eighteen
    assert hero is not None
    assert 0 < len(hero.name) <= NAME_LENGTH


def test_control_characters_and_line_breaks_become_blanks() -> None:
    assert clean("a\x1b[31mb\r\nc\u2028d\t e") == "a [31mb c d e"
    assert clean("  grüße 你好 ") == "grüße 你好"


def test_the_ranking_is_best_first_equals_by_name_and_only_of_those_who_caught_something() -> None:
    heroes = Heroes()
    for name, score in [("Bob", 3), ("Zoe", 9), ("Ann", 3), ("Eve", 0)]:
        hero = heroes.named(name)
        assert hero is not None
        hero.score = score
    assert [hero.name for hero in heroes.top(10)] == ["Zoe", "Ann", "Bob"]
    assert [hero.name for hero in heroes.top(1)] == ["Zoe"]


def test_heroes_are_bounded_and_the_weakest_is_forgotten_first() -> None:
    heroes = Heroes(limit=3)
    for number, name in enumerate(["one", "two", "three"]):
        hero = heroes.named(name)
        assert hero is not None
        hero.score = 10 - number
    heroes.named("four")
    assert len(heroes) == 3
    assert [hero.name for hero in heroes.top(3)] == ["one", "two"]
