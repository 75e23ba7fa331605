"""A client for games on Firefly: it reconnects, resumes its session, and needs nothing but Python.

    from firefly_client import Client

    client = Client("tcp://127.0.0.1:11010", login=lambda line: line.request("login", {"name": "Ada"}))
    client.on("chat", print)
    welcome = client.connect()
    client.request("say", {"text": "hello"})

`AsyncClient` is the same for asyncio; `Connection` is both of them without a socket or a clock.
"""

from firefly_client.aio import AsyncClient, AsyncLogin
from firefly_client.blocking import Client, Login
from firefly_client.connection import Connection
from firefly_client.errors import (
    BadMessage,
    Disconnected,
    Ended,
    FireflyError,
    Overloaded,
    RequestTimeout,
    ServerError,
)
from firefly_client.events import State
from firefly_client.limits import Limits
from firefly_client.wire import Push

__all__ = [
    "AsyncClient",
    "AsyncLogin",
    "BadMessage",
    "Client",
    "Connection",
    "Disconnected",
    "Ended",
    "FireflyError",
    "Limits",
    "Login",
    "Overloaded",
    "Push",
    "RequestTimeout",
    "ServerError",
    "State",
]
