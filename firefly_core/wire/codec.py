"""The contract of a codec: it turns a body into a value and back.

Ours are `raw` (the body's bytes as they are), `json` (RFC 8259) and `msgpack` (MessagePack without extension types).
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Any, ClassVar

__all__ = ["Codec"]


class Codec(abc.ABC):
    """Stateless; one object a kernel. Bodies come from clients: nothing in them is trusted.

    In every codec `bytes` are the body itself: a handler that declares `bytes` gets it untouched, and one that returns
    `bytes` has made its body. An empty body stands for None.
    """

    name: ClassVar[str]
    passes_bytes: ClassVar[bool] = False
    """Whether `encode` gives bytes back as they are, so that nobody needs to call it for them."""

    @abc.abstractmethod
    def decoder(self, type: Any) -> Callable[[bytes], Any]:
        """Prepare a function from a body to a value of `type` (`Any`: plain dicts, lists, numbers, strings).

        The function raises PayloadError, with the path to the first fault, for a body that is not of that type, is
        nested deeper than 32, or has an array over 1,024 or a map over 512 entries. Unknown fields are ignored.
        Called once a handler when the server starts. Raises TypeError for a type that the codec cannot make.
        """

    @abc.abstractmethod
    def encode(self, value: Any) -> bytes:
        """Give the body of `value`: an attrs object, a plain value, or None. Raises TypeError for what has no form."""
