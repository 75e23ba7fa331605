"""A push on its way: encoded once for each codec that somebody reads, however many sessions get it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import msgspec

from firefly_core.kernel.handlers.marks import Policy, Push
from firefly_core.wire.codec import Codec

__all__ = ["Parcel"]

TRAVELS_AS = "msgpack"
"""How a parcel's value is written between servers when it goes to sessions of unknown codecs."""


class Parcel:
    """What is pushed: `value` under a push's id, with a delivery policy."""

    __slots__ = ("_bodies", "_value", "command", "key", "name", "policy")

    def __init__(
        self, push: Push | int, value: Any, policy: Policy | None, key: Hashable, pushes: Mapping[int, Push]
    ) -> None:
        if not isinstance(push, Push):
            push = pushes.get(push) or Push(push, name=f"push_{push}")
        self.command = push.id
        self.name = push.name
        self.policy: Policy = policy or push.policy
        self.key = key if key is not None else push.id
        self._value = value
        self._bodies: dict[str, bytes] = {}

    @classmethod
    def from_wire(cls, fields: list[Any]) -> Parcel:
        """Give the parcel that `to_wire` wrote."""
        command, name, policy, key, codec, body = fields
        parcel = cls(Push(command, name=name, policy=policy), msgspec.UNSET, None, key, {})
        parcel._bodies[codec] = body
        return parcel

    def to_wire(self, codec: Codec | None = None) -> list[Any]:
        """Give the parcel as plain values, its body written by `codec` if all its readers have that one."""
        if codec is not None:
            return [self.command, self.name, self.policy, self.key, codec.name, self.body(codec)]
        body = self._bodies.get(TRAVELS_AS)
        if body is None:
            body = self._bodies[TRAVELS_AS] = msgspec.msgpack.encode(self._value)
        return [self.command, self.name, self.policy, self.key, TRAVELS_AS, body]

    def body(self, codec: Codec) -> bytes:
        """Give the body in `codec`; written at the first call."""
        body = self._bodies.get(codec.name)
        if body is None:
            if self._value is msgspec.UNSET:
                self._value = msgspec.msgpack.decode(self._bodies[TRAVELS_AS])
            body = self._bodies[codec.name] = codec.encode(self._value)
        return body
