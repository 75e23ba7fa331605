"""`firefly-run commands --typescript`: the types of a game's commands and pushes, as TypeScript declarations.

1. `declare` gathers every command and push, and has their types written by a `Writer`, twice: the first time to see
   which classes go both ways
2. `msgspec.inspect` says what a type looks like on the wire: attrs classes, unions, constraints, defaults
3. a class becomes an interface; what a command may leave out is optional there, and always there in what it gets
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any

import attrs
from msgspec import inspect as shapes

from firefly_core.kernel.handlers.handlers import Handler, HandlerTable
from firefly_core.kernel.handlers.marks import Push

__all__ = ["declare"]

IDENTIFIER = re.compile(r"[A-Za-z_$][A-Za-z0-9_$]*")
TAKEN = frozenset({"Commands", "Pushes"})
CONSTRAINTS = {
    "ge": "at least {}",
    "gt": "more than {}",
    "le": "at most {}",
    "lt": "less than {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} long",
    "max_length": "at most {} long",
    "pattern": "matches {}",
}
PLAIN: dict[type[shapes.Type], str] = {
    shapes.AnyType: "unknown",
    shapes.NoneType: "null",
    shapes.BoolType: "boolean",
    shapes.IntType: "number",
    shapes.FloatType: "number",
    shapes.StrType: "string",
}
"""What has no parts. Whatever else is not known here travels as text: times, decimals, bytes (base64)."""
ARRAYS = (shapes.ListType, shapes.SetType, shapes.FrozenSetType, shapes.VarTupleType, shapes.CollectionType)
DICTS = tuple(getattr(shapes, name) for name in ("DictType", "FrozenDictType") if hasattr(shapes, name))
CLASSES = (shapes.DataclassType, shapes.StructType, shapes.TypedDictType, shapes.NamedTupleType)


def declare(name: str, tables: Iterable[HandlerTable]) -> str:
    """Give the declarations of the game `name`, whose servers have those handlers."""
    commands: dict[int, Handler] = {}
    pushes: dict[int, Push] = {}
    for table in tables:
        commands |= table.commands
        pushes |= table.pushes
    draft = Writer()
    _lines(commands, pushes, draft)
    writer = Writer(draft.both_ways)
    told, sent = _lines(commands, pushes, writer)
    head = f"// The commands and pushes of the game {_quoted(name)}, by `firefly-run commands --typescript`."
    return "\n".join(
        [
            head,
            "",
            *(f"{text}\n" for text in writer.interfaces()),
            "/** What clients may send, by name and by id. */",
            "export interface Commands {",
            *told,
            "}",
            "",
            "/** What the server sends unasked, by name and by id. */",
            "export interface Pushes {",
            *sent,
            "}",
        ]
    )


def _lines(commands: dict[int, Handler], pushes: dict[int, Push], writer: Writer) -> tuple[list[str], list[str]]:
    """Give what stands in `Commands` and in `Pushes`."""
    told = [line for _, handler in sorted(commands.items()) for line in _command(handler, writer)]
    sent = [line for _, push in sorted(pushes.items()) for line in _push(push, writer)]
    return told, sent


def _command(handler: Handler, writer: Writer) -> Iterator[str]:
    """Give the lines of a command. `bytes` are the body as it is, whatever that may be."""
    taken = handler.parameters[0] if handler.parameters else None
    request = "unknown" if taken is bytes else writer.write(taken, given=True)
    answer = "unknown" if handler.result is bytes else writer.write(handler.result, given=False)
    yield from _comment(inspect.getdoc(handler.function), "  ")
    yield f"  {_key(handler.name)}: {{ request: {request}; answer: {answer} }};"
    yield f"  {handler.id}: Commands[{_quoted(handler.name)}];"


def _push(push: Push, writer: Writer) -> Iterator[str]:
    body = "unknown" if push.type in (None, bytes) else writer.write(push.type, given=False)
    yield f"  {_key(push.name)}: {body};"
    yield f"  {push.id}: Pushes[{_quoted(push.name)}];"


@attrs.define
class Interface:
    """One class in one direction."""

    shape: Any
    given: bool
    name: str = ""
    fields: list[tuple[Any, str]] = attrs.Factory(list)


class Writer:
    """Writes types. A class that looks different as a request and as an answer becomes two interfaces.

    It does where a field has a default: clients may leave it out, and always get it. `both_ways` are classes of that
    kind, as another writer has found them: of their two interfaces the answer has the plain name.
    """

    def __init__(self, both_ways: Collection[Any] = ()) -> None:
        self._both_ways = both_ways
        self._interfaces: dict[tuple[Any, bool], Interface] = {}
        self._names: dict[str, Any] = {}

    def write(self, type: Any, *, given: bool) -> str:
        """Give the TypeScript of a type; `given`: clients write it."""
        try:
            shape = shapes.type_info(type)
        except TypeError:
            return "unknown"
        return self._write(shape, given)

    @property
    def both_ways(self) -> set[Any]:
        """The classes that were written as a request and as an answer."""
        return {cls for cls, given in self._interfaces if given and (cls, False) in self._interfaces}

    def interfaces(self) -> Iterator[str]:
        """Give the text of every interface that was needed, in the order of need."""
        for interface in self._interfaces.values():
            lines = [*_comment(_doc_of(interface.shape.cls), ""), f"export interface {interface.name} {{"]
            for field, text in interface.fields:
                lines += _comment(_constraints(field.type), "  ")
                optional = "?" if not field.required and (interface.given or _may_be_absent(interface.shape)) else ""
                lines.append(f"  {_key(field.encode_name)}{optional}: {text};")
            yield "\n".join([*lines, "}"])

    def _write(self, shape: Any, given: bool) -> str:
        kind = shape.__class__
        if kind in PLAIN:
            return PLAIN[kind]
        if isinstance(shape, shapes.Metadata):
            return self._write(shape.type, given)
        if isinstance(shape, CLASSES):
            return self._class(shape, given)
        if isinstance(shape, shapes.UnionType):
            return " | ".join(dict.fromkeys(self._write(each, given) for each in shape.types))
        if isinstance(shape, shapes.LiteralType):
            return " | ".join(json.dumps(value) for value in shape.values)
        if isinstance(shape, shapes.EnumType):
            return " | ".join(json.dumps(member.value) for member in shape.cls)
        if isinstance(shape, ARRAYS):
            item = self._write(shape.item_type, given)
            return f"({item})[]" if " | " in item else f"{item}[]"
        if isinstance(shape, shapes.TupleType):
            return f"[{', '.join(self._write(each, given) for each in shape.item_types)}]"
        if isinstance(shape, DICTS):
            keys = "number" if isinstance(shape.key_type, (shapes.IntType, shapes.FloatType)) else "string"
            return f"{{ [key: {keys}]: {self._write(shape.value_type, given)} }}"
        return "unknown" if isinstance(shape, (shapes.CustomType, shapes.RawType, shapes.ExtType)) else "string"

    def _class(self, shape: Any, given: bool) -> str:
        """Give the name of a class's interface, which is written the first time it is needed."""
        if isinstance(shape, shapes.NamedTupleType) or getattr(shape, "array_like", False):
            return f"[{', '.join(self._write(field.type, given) for field in shape.fields)}]"
        given = given and _differs(shape, set())
        interface = self._interfaces.get((shape.cls, given))
        if interface is None:
            interface = self._interfaces[shape.cls, given] = Interface(shape, given)
            interface.name = self._name(shape.cls, given)
            interface.fields = [(field, self._write(field.type, given)) for field in shape.fields]
        return interface.name

    def _name(self, cls: Any, given: bool) -> str:
        """Give a name that no other interface has: the class's, if need be with its module and a number."""
        plain = re.sub(r"\W", "", getattr(cls, "__name__", None) or str(cls).rpartition(".")[2])
        module = "".join(part.title() for part in cls.__module__.rpartition(".")[2].split("_"))
        if given and cls in self._both_ways:
            plain = f"{plain}Request"
        wishes = [plain, f"{module}{plain}"]
        wishes += [f"{module}{plain}{number}" for number in range(2, 100)]
        name = next(wish for wish in wishes if wish not in self._names and wish not in TAKEN)
        self._names[name] = cls
        return name


def _differs(shape: Any, seen: set[int]) -> bool:
    """Tell whether a client may leave out something of what he gets, here or further in."""
    if id(shape) in seen:
        return False
    seen.add(id(shape))
    if isinstance(shape, CLASSES):
        absent = _may_be_absent(shape)
        return any((not field.required and not absent) or _differs(field.type, seen) for field in shape.fields)
    parts = [getattr(shape, name, None) for name in ("type", "item_type", "key_type", "value_type")]
    parts += [*getattr(shape, "types", ()), *getattr(shape, "item_types", ())]
    return any(_differs(part, seen) for part in parts if part is not None)


def _may_be_absent(shape: Any) -> bool:
    """Tell whether fields without a value are left out in answers too."""
    return isinstance(shape, shapes.TypedDictType)


def _doc_of(cls: Any) -> str | None:
    """Give a class's own docstring; dataclasses make one up that is its signature."""
    text: str | None = getattr(cls, "__doc__", None)
    return None if text is None or text.startswith(f"{getattr(cls, '__name__', '')}(") else inspect.cleandoc(text)


def _constraints(shape: Any) -> str | None:
    if isinstance(shape, shapes.Metadata):
        return _constraints(shape.type)
    told = [
        text.format(value) for name, text in CONSTRAINTS.items() if (value := getattr(shape, name, None)) is not None
    ]
    return ", ".join(told) or None


def _comment(text: str | None, indent: str) -> list[str]:
    """Give a comment; nothing in it can end it."""
    if not text:
        return []
    lines = text.replace("*/", "* /").splitlines()
    if len(lines) == 1:
        return [f"{indent}/** {lines[0]} */"]
    return [f"{indent}/**", *(f"{indent} * {line}".rstrip() for line in lines), f"{indent} */"]


def _key(name: str) -> str:
    return name if IDENTIFIER.fullmatch(name) else _quoted(name)


def _quoted(text: str) -> str:
    return json.dumps(text)
