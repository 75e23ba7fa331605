"""The client for asyncio as its user meets it; with lines that break it plays in test_sessions.py."""

from __future__ import annotations

import asyncio

from firefly_client import AsyncClient


def make_client(server):
    async def login(line):
        return await line.request("login", "aio")

    return AsyncClient(f"tcp://127.0.0.1:{server.ports['json']}", login=login)


def test_who_closes_it_waits_for_the_handlers_of_what_came_before(server):
    seen = []

    async def play():
        client = make_client(server)

        @client.on_state
        async def state(now, reason):
            await asyncio.sleep(0.02)
            seen.append(now)

        await client.connect()
        await client.close()

    asyncio.run(play())
    assert seen[-2:] == ["open", "ended"]


def test_a_handler_may_close_it(server):
    seen = []

    async def play():
        client = make_client(server)
        ended = asyncio.Event()

        @client.on_state
        def state(now, reason):
            seen.append(now)
            if now == "ended":
                ended.set()

        @client.on("news")
        async def news(body):
            await client.close()

        await client.connect()
        client.notify("tell", "the end")
        await asyncio.wait_for(ended.wait(), 10)

    asyncio.run(play())
    assert seen[-2:] == ["open", "ended"]
