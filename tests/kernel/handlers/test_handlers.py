"""What collect reads from the marks of handler modules, and every problem that it reports, with file and line."""

import sys
from types import ModuleType
from typing import Annotated

import attrs
import msgspec
import pytest

from firefly_core import command, cron, every, on_start, push, remote
from firefly_core.errors import ConfigurationError
from firefly_core.kernel.handlers.handlers import collect


@attrs.define
class Login:
    name: Annotated[str, msgspec.Meta(max_length=16)]


@attrs.define
class Converted:
    age: int = attrs.field(converter=int)


def module(*members, name="game"):
    made = ModuleType(name)
    made.__file__ = f"/somewhere/{name}.py"
    for number, member in enumerate(members):
        setattr(made, f"member_{number}", member)
    return made


def problems(*members):
    with pytest.raises(ConfigurationError) as caught:
        collect([module(*members)])
    return caught.value.problems


def test_commands_are_found_by_id_and_by_name():
    @command(101, public=True, rate="5/s", timeout=2)
    def login(ctx, request: Login) -> str: ...

    table = collect([module(login)])
    handler = table.commands[101]
    assert handler is table.names["login"]
    assert (handler.public, handler.timeout, handler.parameters, handler.result) == (True, 2.0, (Login,), str)
    assert handler.rate is not None
    assert handler.rate.per_second == 5
    assert handler.source.startswith(__file__)


def test_the_decorated_function_stays_a_plain_function():
    @command(1)
    def double(ctx, value: int) -> int:
        return value * 2

    assert double(None, 4) == 8


def test_remotes_timers_moments_and_pushes_are_found():
    @remote("ranking.top", timeout=2.0, idempotent=True, open=True)
    def top(ctx, count: int = 10): ...

    @every(0.1)
    def tick(ctx): ...

    @cron("0 4 * * *")
    def nightly(ctx): ...

    @on_start
    def start(ctx): ...

    table = collect([module(top, tick, nightly, start, push(2001, Login, name="world", policy="latest"))])
    assert (table.remotes["ranking.top"].required, table.remotes["ranking.top"].open) == (0, True)
    assert [(timer.kind, timer.seconds, timer.cron) for timer in table.timers] == [
        ("every", 0.1, ""),
        ("cron", 0.0, "0 4 * * *"),
    ]
    assert [handler.name for handler in table.on["start"]] == ["start"]
    assert table.pushes[2001].policy == "latest"


def test_a_function_that_two_modules_show_counts_once():
    @command(1)
    def one(ctx): ...

    assert len(collect([module(one, name="a"), module(one, name="b")]).commands) == 1


def test_a_function_may_carry_several_marks():
    @command(1)
    @remote("world.look")
    def look(ctx): ...

    table = collect([module(look)])
    assert table.commands[1].function is table.remotes["world.look"].function is look


def one(ctx): ...


async def waits(ctx): ...


def yields(ctx):
    yield


def without_context(): ...


def by_keyword(ctx, *, value): ...


def variadic(ctx, *values): ...


def too_many(ctx, a, b): ...


def unknown_type(ctx, a: "Nonsense"): ...  # noqa: F821


def undecodable(ctx, a: dict[str, list[ModuleType]]): ...


def two_lists(ctx, a: list[int] | set[int]): ...


def converted(ctx, a: list[Converted]): ...


def takes_more(ctx, value): ...


@pytest.mark.parametrize(
    ("marked", "said"),
    [
        (command(1)(waits), "async def"),
        (command(1)(yields), "generator"),
        (command(1)(without_context), "first parameter must be `ctx`"),
        (command(1)(by_keyword), "plain positional parameters"),
        (command(1)(variadic), "plain positional parameters"),
        (command(1)(too_many), "ctx and at most one request"),
        (command(1)(unknown_type), "annotations cannot be read"),
        (command(1)(undecodable), "module is no class that a body can become"),
        (command(1)(two_lists), "cannot be decoded"),
        (command(1)(converted), "Converted.age has a converter"),
        (every(1)(takes_more), "ctx only"),
    ],
)
def test_a_wrong_function_is_named_with_file_and_line(marked, said):
    [problem] = problems(marked)
    assert said in problem
    assert problem.startswith(f"{__file__}:")


@pytest.mark.parametrize(
    ("mark", "said"),
    [
        (command(-1), "integer from 0"),
        (command(2**32), "integer from 0"),
        (command(True), "integer from 0"),
        (command("7"), "integer from 0"),
        (command(1, name="a b"), "name 'a b'"),
        (command(1, name="firefly.ping"), "reserved"),
        (command(1, rate="often"), "needs a rate"),
        (command(1, timeout=0), "positive number of seconds"),
        (command(1, timeout=float("nan")), "positive number of seconds"),
        (command(1, timeout=True), "positive number of seconds"),
        (remote("x" * 200), "name"),
        (every(0), "positive number of seconds"),
        (every(float("inf")), "positive number of seconds"),
        (cron("every day"), "five cron fields"),
        (cron(None), "five cron fields"),
    ],
)
def test_a_wrong_mark_is_named(mark, said):
    def marked(ctx): ...

    [problem] = problems(mark(marked))
    assert said in problem


def test_a_mark_with_an_empty_name_takes_the_functions():
    def marked(ctx): ...

    assert collect([module(command(1, name="")(marked))]).commands[1].name == "marked"


def test_an_id_or_name_twice_names_both_places():
    @command(1)
    def first(ctx): ...

    @command(1)
    def second(ctx): ...

    @command(2, name="first")
    def third(ctx): ...

    by_id, by_name = problems(first, second, third)
    assert "command id 1 is taken by first at " in by_id
    assert "command name 'first' is taken by first at " in by_name


@pytest.mark.parametrize(
    ("pushes", "said"),
    [
        ([push(2001, name="a"), push(2001, name="b")], "both 'a' and 'b'"),
        ([push(-1, name="a")], "not an integer"),
        ([push(1, name="a", policy="sometimes")], "no policy 'sometimes'"),
    ],
)
def test_a_wrong_push_is_named(pushes, said):
    [problem] = problems(*pushes)
    assert said in problem


def test_a_module_without_handlers_is_a_problem():
    [problem] = problems()
    assert "game: no handlers in it" in problem


def test_all_problems_come_together():
    async def later(ctx): ...

    def bad(ctx, a, b): ...

    assert len(problems(command(1)(later), command(2)(bad), cron("x")(one), push(-1))) == 4


def test_nothing_is_registered_by_the_import_of_a_module():
    before = set(sys.modules)
    command(1)(lambda ctx: None)
    assert set(sys.modules) == before
