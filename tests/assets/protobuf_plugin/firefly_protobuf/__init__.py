"""A plugin of somebody else's: the codec `protobuf`."""

from firefly_core import hookimpl
from firefly_protobuf.codec import ProtobufCodec

FIREFLY_API = 1


@hookimpl
def firefly_codecs():
    return [ProtobufCodec()]
