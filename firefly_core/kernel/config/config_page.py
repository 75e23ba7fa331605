"""Config page: docs/config.md, made from what the sections, services and protocols declare.

`python -m firefly_core.kernel.config.config_page docs/config.md` writes it anew.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from firefly_core.kernel.config.config import Key, keys
from firefly_core.kernel.config.effective import plain
from firefly_core.kernel.config.listen import Listeners
from firefly_core.kernel.config.nesting import inner_rule
from firefly_core.kernel.config.sections import FireflyConfig, ServerConfig
from firefly_core.kernel.config.table import Table
from firefly_core.kernel.config.toml_file import value_text
from firefly_core.kernel.hookspecs import ENTRY_POINTS
from firefly_core.kernel.plugins.entry_points import claims
from firefly_core.kernel.plugins.plugins import Plugins, load_plugins

__all__ = ["page", "plugins_of"]

OPENING = """\
# firefly.toml

<!-- Made by `make docs` from the declarations in the code: change those, not this page. -->

One file declares every process of a game. `firefly-run check` reads it as `firefly-run` does, prints every problem at
once (file, line, key, what was got, what is needed, the nearest name) and starts nothing; the exit status is 78 then.

- **Sections.** `[firefly]` is what all servers share. `[servers.NAME]` declares a server, which runs as the processes
  `NAME-1` to `NAME-N`. A table `[servers.NAME.SERVICE]` starts that service in it.
- **Precedence.** Flags stand above the environment, the environment above the file, the file above the defaults:
  `firefly-run --set KEY=VALUE`, then `FIREFLY_<KEY>` for a key of `[firefly]` (`FIREFLY_SECRET`) and `FIREFLY_SET` for
  any key (one `KEY=VALUE` a line, `servers.gate.gate.rate=60/s`), then the file. A VALUE is TOML where it reads as TOML
  (`15`, `true`, `"15"`, `["a"]`) and a text otherwise.
- **Environment.** `${NAME}` in any text takes an environment variable; one that is not set, is empty, or begins or ends
  with a blank or a line break is a problem. `$$` is a dollar.
- **Secrets** come from the environment or from a file of mode 0600. No output shows them; one that stands in the file
  is warned about. `firefly-run config` prints `***` for a secret, and `${NAME}` as it was written.
- **Paths** are relative to the folder of firefly.toml, which is also where handlers are imported from.
- **Durations** are seconds, **sizes** are bytes, **rates** are texts such as `"30/s"`, `"100/min"`, `"5/10s"`, `"off"`.
- **listen** takes a URL, a table with `url` and more keys, or a list of either. Where a client protocol is spoken the
  table takes `protocol`, `codec` and the protocol's own keys.
- **Limits.** The file has at most 256 KiB, 256 servers and 1,024 processes.

`firefly-run config` prints the configuration that counts, defaults included. `firefly-run config set KEY VALUE` changes
one key and leaves every other character of the file as it is; a change that makes a new problem is refused.

The file is read by Python's own tomllib. The package `toml` writes what these two commands write; each text is read
back by tomllib and compared first, because `toml` misreads some valid files and writes some values wrongly.
"""


def page(plugins: Plugins) -> str:
    """Give the page for the core's sections and for everything that `plugins` offer."""
    parts = [
        OPENING,
        *_section("`[firefly]`", FireflyConfig),
        *_tables("firefly", FireflyConfig),
        *_section("`[servers.NAME]`", ServerConfig),
    ]
    for name, service in plugins.services.items():
        parts += _section(f"`[servers.NAME.{name}]`", service.Config, _sentence(service))
        if service.single:
            parts.append("A server with this service has one process: `replicas` must be 1.\n")
        parts += _listeners(service.Config)
    if plugins.protocols:
        parts.append("## Protocols\n")
    for name, protocol in plugins.protocols.items():
        codecs = sorted(plugins.codecs if protocol.codecs is None else protocol.codecs)
        spoken = f"Codecs: {', '.join(f'`{codec}`' for codec in codecs)}; by default `{protocol.default_codec}`.\n"
        parts += _section(f'`protocol = "{name}"`', protocol.Config, f"{_sentence(protocol)}\n\n{spoken}", level=3)
    return "\n".join(parts).rstrip() + "\n"


def plugins_of(distribution: str) -> list[str]:
    """Give the plugins that a distribution brings, sorted."""
    return [
        name
        for name, found in claims(ENTRY_POINTS).items()
        if any(claim.distribution.split()[0] == distribution for claim in found)
    ]


def _sentence(documented: Any) -> str:
    text = inspect.getdoc(documented) or ""
    return " ".join(text.partition("\n\n")[0].split())


def _section(title: str, cls: type, opening: str = "", *, level: int = 2) -> Iterator[str]:
    yield f"{'#' * level} {title}\n"
    if opening.strip():
        yield f"{opening.strip()}\n"
    yield from _table(cls)


def _table(cls: type) -> Iterator[str]:
    known = keys(cls)
    if not known:
        yield "No keys.\n"
        return
    yield "| key | needs | default | what it is |\n|---|---|---|---|"
    for entry in known.values():
        yield f"| `{entry.name}` | {_cell(entry.rule.needs)} | {_cell(_default(entry))} | {_cell(entry.help)} |"
    yield ""


def _tables(path: str, cls: type) -> Iterator[str]:
    """Give the tables inside of a table."""
    for entry in keys(cls).values():
        rule = inner_rule(entry.rule)
        if isinstance(rule, Table):
            yield from _section(f"`[{path}.{entry.name}]`", rule.cls, _sentence(rule.cls))


def _listeners(cls: type) -> Iterator[str]:
    """Give the keys that a service takes for each of its listeners."""
    for entry in keys(cls).values():
        rule = inner_rule(entry.rule)
        if isinstance(rule, Listeners) and rule.own is not None and keys(rule.own):
            yield f"In a table of `{entry.name}`, beside `url`:\n"
            yield from _table(rule.own)


def _default(entry: Key) -> str:
    if entry.required:
        return "required"
    if isinstance(inner_rule(entry.rule), Table):
        return ""
    return "" if entry.default is None else f"`{value_text(plain(entry.default))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(path: str, distribution: str = "firefly-core") -> None:
    """Write the page of a distribution's plugins."""
    Path(path).write_text(page(load_plugins(plugins_of(distribution))))


if __name__ == "__main__":
    main(*sys.argv[1:])
