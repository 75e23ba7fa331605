"""Commands and pushes as TypeScript declarations, judged by the TypeScript compiler."""

from __future__ import annotations

import datetime
import decimal
import enum
import subprocess
import types
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar

import attrs
import msgspec
import pytest
from msgspec import Meta

from firefly_core import command, push
from firefly_core.cli.typescript import declare
from firefly_core.kernel.handlers.handlers import collect

ROOT = Path(__file__).parents[2]
COMPILER = "typescript@5.6.3"
OPTIONS = ["--strict", "--noEmit", "--target", "es2022", "--module", "nodenext", "--moduleResolution", "nodenext"]
Item = TypeVar("Item")


class Colour(enum.Enum):
    AMBER = "amber"
    GREEN = "green"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


@attrs.frozen
class Place:
    """Where something is.

    In meadow units */ from the corner.
    """

    x: Annotated[float, Meta(ge=0, le=100)]
    y: float = 0.0


@attrs.frozen
class Tree:
    """A tree of places, which is made of trees."""

    place: Place
    parts: list[Tree] = attrs.Factory(list)


@attrs.frozen
class Page(Generic[Item]):
    items: list[Item]
    next: int | None = None


class Pair(NamedTuple):
    first: int
    second: str


class Loose(TypedDict):
    kind: str
    note: NotRequired[str]


class Packed(msgspec.Struct, array_like=True):
    a: int
    b: bool


@attrs.frozen
class Everything:
    flag: bool
    whole: Annotated[int, Meta(ge=1, multiple_of=2)]
    text: Annotated[str, Meta(min_length=1, max_length=16, pattern="^[a-z]+$")]
    nothing: None
    anything: Any
    maybe: Place | None
    either: int | str | list[int]
    many: Annotated[list[int | None], Meta(max_length=4)]
    bag: set[str]
    row: tuple[int, str]
    rows: tuple[int, ...]
    some: Sequence[float]
    table: dict[str, list[Place]]
    numbered: dict[int, str]
    word: Literal["up", "down", 3, None]
    colour: Colour
    level: Level
    pair: Pair
    loose: Loose
    packed: Packed
    page: Page[Place]
    when: datetime.datetime
    price: decimal.Decimal
    key: uuid.UUID
    data: bytes


@command(1, public=True)
def login(ctx, name: str) -> Everything: ...


@command(2)
def plant(ctx, tree: Tree) -> Tree:
    """Plant a tree.

    It grows at once.
    """


@command(3)
def raw(ctx, body: bytes) -> bytes: ...


@command(4, name="odd.name")
def odd(ctx, change: Everything) -> None: ...


@command(5)
def untyped(ctx, body): ...


@command(6)
def bare(ctx) -> int: ...


grown = push(2001, Tree, name="grown")
anything = push(2002, name="anything")


def module_of(**values):
    module = types.ModuleType("game")
    vars(module).update(values)
    return module


@pytest.fixture(scope="module")
def text():
    commands = {"login": login, "plant": plant, "raw": raw, "odd": odd, "untyped": untyped, "bare": bare}
    return declare("wood", [collect([module_of(**commands, grown=grown, anything=anything)])])


@pytest.fixture
def compiles(npm, tmp_path):
    """Compile files together with the client's own declarations, and give what the compiler has to say."""

    def compile_files(**files):
        (tmp_path / "package.json").write_text('{"type": "module"}')
        for source in ("firefly-client.js", "firefly-client.d.ts"):
            (tmp_path / source).write_text((ROOT / "clients" / "javascript" / source).read_text())
        for name, text in files.items():
            (tmp_path / f"{name}.ts").write_text(text)
        compiler = npm(COMPILER) / "typescript" / "bin" / "tsc"
        names = [f"{name}.ts" for name in files]
        ran = subprocess.run(
            ["node", str(compiler), *OPTIONS, *names], cwd=tmp_path, capture_output=True, text=True, timeout=50
        )
        return ran.stdout

    return compile_files


USE = """
import { Client, FireflyError } from "./firefly-client.js";
import type { Commands, Everything, Place, PlaceRequest, Pushes, Tree, TreeRequest } from "./wood.js";

const client = new Client<Commands, Pushes, Everything>("ws://x/", {
  login: (line) => line.request("login", "ann"),
  limits: { timeout: 100 },
});
client.on("grown", (tree) => tree.parts[0].place.y.toFixed());
const off: () => void = client.on(2001, (tree) => tree.parts);
client.onState((state, reason) => state === "ended" && reason.length);

export async function play() {
  const all = await client.connect();
  const place: Place | undefined = all.table["a"]?.[0];
  const word: "up" | "down" | 3 | null = all.word;
  const colour: "amber" | "green" = all.colour;
  const level: 1 | 2 = all.level;
  const pair: [number, string] = all.pair;
  const packed: [number, boolean] = all.packed;
  const rows: number[] = all.rows;
  const row: [number, string] = all.row;
  const note: string | undefined = all.loose.note;
  const next: number | null = all.page.next;
  const texts: string[] = [all.when, all.price, all.key, all.data, ...all.bag];
  const either: number | string | number[] = all.either;
  const tree: Tree = await client.request("plant", { place: { x: 1 } }, { timeout: 5 });
  const y: number = tree.place.y + tree.parts.length;
  const count: number = await client.request("bare");
  const same: number = await client.request(6, null, {});
  const nothing: null = await client.request("odd.name", { ...all, maybe: null });
  client.notify("raw", [1, 2]);
  client.notify("bare");
  client.request("untyped", { whatever: true });
  // @ts-expect-error: there is no such command
  client.request("dance");
  // @ts-expect-error: a tree has a place
  client.request("plant", {});
  // @ts-expect-error: x is a number
  client.request("plant", { place: { x: "1" } });
  // @ts-expect-error: it takes a text
  client.request("login");
  // @ts-expect-error: there is no such push
  client.on("fallen", () => {});
  // @ts-expect-error: an answer has all of a place
  const half: Place = { x: 1 };
  const enough: PlaceRequest = { x: 1 };
  const request: TreeRequest = { place: enough, parts: [{ place: { x: 2, y: 1 } }] };
  // @ts-expect-error: what comes untyped must be looked at first
  (await client.request("untyped", 1)).length;
  return [place, word, colour, level, pair, packed, rows, row, note, next, texts, either, y, count, same, nothing, half,
    request, off];
}

export const code = (error: unknown) => (error instanceof FireflyError ? error.code : "");
"""


def test_the_compiler_takes_them_and_what_is_used_wrongly_is_refused(text, compiles):
    assert compiles(wood=text, use=USE) == ""


def test_without_types_anything_goes(compiles):
    use = 'new Client("ws://x/").request("any", 7).then((body) => body.x);'
    assert compiles(use=f'import {{ Client }} from "./firefly-client.js";\n{use}\n') == ""


def test_a_class_with_defaults_is_written_twice_where_it_goes_both_ways(text):
    assert "export interface Place {" in text
    assert "export interface PlaceRequest {" in text
    request = text.partition("export interface PlaceRequest {")[2].partition("}")[0]
    assert "y?: number;" in request
    answer = text.partition("export interface Place {")[2].partition("}")[0]
    assert "y: number;" in answer


def test_docstrings_and_constraints_become_comments_that_cannot_be_left(text):
    assert "/** at least 1 long, at most 16 long, matches ^[a-z]+$ */\n  text: string;" in text
    assert "/** at least 1, a multiple of 2 */\n  whole: number;" in text
    assert " * In meadow units * / from the corner." in text
    assert "  /**\n   * Plant a tree.\n   *\n   * It grows at once.\n   */\n  plant: " in text


def test_commands_and_pushes_have_their_name_and_their_id(text):
    assert '  "odd.name": { request: EverythingRequest; answer: null };\n  4: Commands["odd.name"];' in text
    assert '  grown: Tree;\n  2001: Pushes["grown"];' in text


def test_two_classes_of_one_name_stay_apart(compiles):
    one = attrs.make_class("Place", {"a": attrs.field(type=int)})
    other = attrs.make_class("Place", {"b": attrs.field(type=int)})
    one.__module__, other.__module__ = "game.left", "game.right_side"
    text = declare("two", [collect([module_of(one=push(1, one, name="one"), other=push(2, other, name="other"))])])
    assert "  one: Place;" in text
    assert "  other: RightSidePlace;" in text
    assert compiles(two=text) == ""


def test_the_same_handlers_on_two_servers_are_written_once():
    table = collect([module_of(login=login)])
    assert declare("two", [table, table]).count("login:") == 1


def test_the_running_game_is_written_by_the_command_line(small_game, compiles):
    ran = small_game.run("commands", "--typescript")
    assert ran.returncode == 0, ran.stderr
    assert "/** What clients may send, by name and by id. */\nexport interface Commands {\n" in ran.stdout
    assert "  pid: { request: null; answer: number };" in ran.stdout
    assert compiles(small=ran.stdout) == ""
