"""The plugin `protocols`: the client wire formats and codecs that come with Firefly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from firefly_core.kernel.hookspecs import hookimpl

if TYPE_CHECKING:
    from firefly_core.wire.codec import Codec
    from firefly_core.wire.protocol import Protocol

FIREFLY_API = 1


@hookimpl
def firefly_protocols() -> Iterable[type[Protocol]]:
    """Offer the formats."""
    from firefly_protocols.datapack import Datapack
    from firefly_protocols.json_text import JsonText
    from firefly_protocols.msgpack_frames import MsgpackFrames
    from firefly_protocols.pomelo import Pomelo

    return (Datapack, JsonText, MsgpackFrames, Pomelo)


@hookimpl
def firefly_codecs() -> Iterable[Codec]:
    """Offer the codecs."""
    from firefly_protocols.json_codec import JsonCodec
    from firefly_protocols.msgpack_codec import MsgpackCodec
    from firefly_protocols.raw import RawCodec

    return (RawCodec(), JsonCodec(), MsgpackCodec())
