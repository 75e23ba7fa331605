"""A small plugin for tests of the configuration: three services, a protocol and two codecs; nothing of it runs."""

from __future__ import annotations

from typing import ClassVar

from firefly_core.kernel.config.config import (
    boolean,
    choice,
    config,
    duration,
    key,
    list_of,
    listeners,
    map_of,
    number,
    optional,
    path,
    rate,
    secret,
    server,
    size,
    text,
    url,
)
from firefly_core.kernel.hookspecs import hookimpl
from firefly_core.kernel.service import Phase, Service
from firefly_core.wire.codec import Codec
from firefly_core.wire.protocol import Protocol

FIREFLY_API = 1


@config
class EachListener:
    origins: tuple = key(list_of(text()), "who may connect", default=())
    password: str | None = key(optional(secret()), "for nobody", default=None)


class Door(Service):
    name = "door"
    phase = Phase.DOOR

    @config
    class Config:
        listen: tuple = key(listeners("tcp", "ws", own=EachListener, protocol="line"), "where players connect")
        allowed: object = key(rate(), "messages a session may send", default="30/s")
        max_frame: int = key(size(1024, 2**24), "largest frame", default=65536)
        login_timeout: float = key(duration(0.1, 3600), "time to log in", default=15.0)
        open: bool = key(boolean(), "whether it is open", default=False)
        share: float = key(number(0, 1), "a share", default=0.5)

    def start(self):
        return None

    def stop(self):
        return None


class Mesh(Door):
    name = "mesh"
    phase = Phase.MESH

    @config
    class Config:
        listen: tuple | None = key(optional(listeners("tcp", spread=True)), "where peers connect", default=None)
        roots: tuple = key(list_of(server()), "servers to dial", default=())

    @classmethod
    def check(cls, server, config, cluster):
        if server in config.roots:
            yield "roots", f"{server} cannot dial itself"
        for root in config.roots:
            if root in cluster.servers and "mesh" not in cluster.servers[root].services:
                yield "roots", f"{root} has no mesh"


class Store(Door):
    name = "store"
    phase = Phase.STORAGE
    single = True

    @config
    class Config:
        database: object = key(url("sqlite", "postgresql", files=["sqlite"]), "the database")
        cache: object = key(url("memory", "memcached", many=True), "the cache", default="memory://")
        durability: str = key(
            choice("cache", "async", "journal", "fsync", "through"), "when it is safe", default="journal"
        )
        journal: object = key(path(), "its folder", default="var/journal")
        token: str | None = key(optional(secret()), "a secret", default=None)
        labels: dict = key(map_of(text()), "any texts", default={})


class Line(Protocol):
    name = "line"
    default_codec = "json"
    codecs: ClassVar = frozenset({"json"})

    @config
    class Config:
        header: tuple = key(list_of(size(0, 255)), "header values", default=(0, 0))

    def receive(self, data):
        return []

    def encode_reply(self, request, body):
        return body

    def encode_error(self, request, code, message, body):
        return body

    def encode_push(self, command, name, body):
        return body


class Json(Codec):
    name = "json"

    def decoder(self, type):
        return bytes

    def encode(self, value):
        return b""


class Raw(Json):
    name = "raw"


@hookimpl
def firefly_services():
    return [Door, Mesh, Store]


@hookimpl
def firefly_protocols():
    return [Line]


@hookimpl
def firefly_codecs():
    return [Json(), Raw()]
