"""TOML files: read by the standard library, written by `toml`, and never saved unless both agree on the text.

`toml` misreads some valid files and writes some values wrongly; therefore it never reads, and what it wrote is
read back by tomllib and compared before anybody sees it.
"""

from __future__ import annotations

import datetime
import json
import math
import os
import re
import stat
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import toml

from firefly_core.errors import ConfigurationError

__all__ = ["MAX_FILE", "dumps", "key_text", "parse", "read_text", "same", "save", "value_text"]

MAX_FILE = 256 * 1024
"""The largest firefly.toml, in bytes; tomllib reads about 1 MB a second, and a check must end within one."""
MAX_DEPTH = 32
"""How deep tables and lists may stand in one another."""
PLACE = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")


def read_text(path: Path) -> str:
    """Read a file as UTF-8, with or without a byte order mark; raises ConfigurationError that says what is wrong."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except ValueError:
        raise ConfigurationError([f"{str(path)!r}: is no path"]) from None
    except OSError as error:
        raise ConfigurationError([f"{path}: {_why(error)}"]) from None
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            kind = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
            raise ConfigurationError([f"{path}: is {kind}; needs a TOML file"])
        data = b""
        while len(data) <= MAX_FILE and (piece := os.read(descriptor, MAX_FILE + 1)):
            data += piece
    except OSError as error:
        raise ConfigurationError([f"{path}: {_why(error)}"]) from None
    finally:
        os.close(descriptor)
    if len(data) > MAX_FILE:
        raise ConfigurationError([f"{path}: is larger than {MAX_FILE} bytes"])
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            [f"{path}:{line}: byte 0x{data[error.start]:02x} is not UTF-8; save the file as UTF-8"]
        ) from None


def _why(error: OSError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "cannot be read: permission denied"
    return f"cannot be read: {error.strerror or error}"


def parse(text: str, name: str) -> dict[str, Any]:
    """Parse TOML; raises ConfigurationError with the file's `name`, and line and column where they are known."""
    try:
        return _read(text)
    except tomllib.TOMLDecodeError as error:
        match = PLACE.search(str(error))
        said = PLACE.sub("", str(error))
        if match and match[1]:
            raise ConfigurationError([f"{name}:{match[1]}:{match[2]}: {said}"]) from None
        last = text.count("\n") + 1
        raise ConfigurationError([f"{name}:{last}: {said} at the end of the file"]) from None
    except RecursionError:
        raise ConfigurationError([f"{name}:{_line_of(text, RecursionError)}: is nested too deeply"]) from None
    except ValueError as error:
        # integers of more than 4,300 digits, and dates such as 2024-13-01, raise it bare
        said = "a number has too many digits" if "int" in str(error) and "digits" in str(error) else str(error)
        raise ConfigurationError([f"{name}:{_line_of(text, ValueError)}: {said}"]) from None


def _read(text: str) -> dict[str, Any]:
    document = tomllib.loads(text)
    if deeper(document, MAX_DEPTH):
        raise RecursionError
    return document


def _line_of(text: str, kind: type[Exception]) -> int:
    """Give the first line up to which reading raises `kind`, for errors that do not say where they are."""
    lines = text.splitlines(keepends=True)
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        try:
            _read("".join(lines[:middle]))
        except tomllib.TOMLDecodeError:  # such as an array that goes on
            low = middle + 1
        except kind:
            high = middle
        else:
            low = middle + 1
    return low


def deeper(value: Any, depth: int) -> bool:
    """Whether tables and lists stand in one another more than `depth` times."""
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return depth < 0 or any(deeper(item, depth - 1) for item in inner)


class _Encoder(toml.TomlEncoder):  # type: ignore[type-arg]
    """`toml`'s encoder, with the forms that it writes wrongly: texts with escapes, tables inside lists, nan and inf."""

    def __init__(self) -> None:
        super().__init__(dict)
        self.dump_funcs.update({str: _text, dict: self._inline, float: _float, datetime.time: str})

    def _inline(self, table: Mapping[str, Any]) -> str:
        inner = ", ".join(f"{key_text(name)} = {self.dump_value(value)}" for name, value in table.items())
        return "{ " + inner + " }" if inner else "{}"

    def dump_list(self, v: Any) -> str:
        return "[" + ", ".join(str(self.dump_value(item)) for item in v) + "]"

    def dump_sections(self, o: Any, sup: str) -> Any:  # noqa: ARG002
        """Write one table; lists of tables stay in line, so that a list may hold texts beside tables."""
        lines = ""
        tables = {}
        for name, value in o.items():
            if isinstance(value, dict):
                tables[key_text(name)] = value
            else:
                lines += f"{key_text(name)} = {self.dump_value(value)}\n"
        return lines, tables


def _text(value: str) -> str:
    value.encode()  # half a surrogate pair has no UTF-8
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def key_text(name: str) -> str:
    """Write one part of a dotted key, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _float(value: float) -> str:
    if math.isnan(value):
        return "nan"
    return repr(value) if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def same(one: Any, other: Any) -> bool:
    """Whether two parsed values are equal in value and in type; nan equals nan, 1 does not equal 1.0 or true."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[name]) for name, value in one.items())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and math.isnan(one):
        return math.isnan(other)
    return bool(one == other)


def dumps(document: Mapping[str, Any]) -> str:
    """Write a document as TOML; raises ConfigurationError when tomllib does not read the very same values back."""
    try:
        written = toml.dumps(document, encoder=_Encoder())
        again = tomllib.loads(written)
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError([f"the configuration cannot be written as TOML: {error}"]) from None
    if not same(again, document):
        raise ConfigurationError(["the configuration cannot be written as TOML: it would not read back as it is"])
    return written


def value_text(value: Any) -> str:
    """Write one value as it stands after `key = `; raises ConfigurationError as `dumps` does."""
    try:
        written = str(_Encoder().dump_value(value))
        again = tomllib.loads(f"value = {written}\n")
    except (ValueError, TypeError, AttributeError, RecursionError) as error:
        raise ConfigurationError([f"the value cannot be written as TOML: {error}"]) from None
    if not same(again, {"value": value}):
        raise ConfigurationError(["the value cannot be written as TOML: it would not read back as it is"])
    return written


def save(path: Path, text: str) -> None:
    """Replace a file's text in one step, keeping its mode; raises ConfigurationError when that is not possible."""
    target = path.resolve()
    temporary = ""
    try:
        mode = stat.S_IMODE(target.stat().st_mode)
        descriptor, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode())
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except OSError as error:
        if temporary and os.path.exists(temporary):
            os.unlink(temporary)
        raise ConfigurationError([f"{path}: cannot be written: {error.strerror or error}"]) from None
