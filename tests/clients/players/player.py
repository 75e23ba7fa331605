"""A player driven by lines of JSON: `player.py threads|gevent|asyncio URL NAME PROTOCOL`.

In: `{"n", "do", "args"}`. Out: `{"n", "result"}` or `{"n", "error": {"kind", "code", "message", ...}}`, and
`{"event": "push" | "state" | "resync" | "login", ...}` for what happens unasked.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading

KIND, URL, NAME, PROTOCOL = sys.argv[1:5]
OPTIONS = json.loads(sys.argv[5])

if KIND == "gevent":
    from gevent import monkey

    monkey.patch_all()

from firefly_client import AsyncClient, Client, FireflyError, Limits  # noqa: E402

writing = threading.Lock()
limits = Limits(**OPTIONS.pop("limits", {}))


def say(**message):
    with writing:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()


def told(error):
    details = {name: getattr(error, name) for name in ("code", "message", "sent", "reason") if hasattr(error, name)}
    return {"kind": type(error).__name__, **details} if isinstance(error, FireflyError) else {"kind": repr(error)}


def listen(client):
    client.on_push(lambda push: say(event="push", id=push.id, name=push.name, body=push.body))
    client.on("news", lambda body: say(event="news", body=body))
    client.on(2001, lambda body: say(event="2001", body=body))
    client.on_state(lambda state, reason: say(event="state", state=state, reason=reason))
    client.on_resync(lambda: say(event="resync"))


def lines():
    """Read the commands without gevent's or asyncio's help: in a real thread."""
    for line in sys.stdin:
        message = json.loads(line)
        yield message["n"], message["do"], message["args"]


def play_blocking():
    def login(line):
        welcome = line.request(1, NAME)
        say(event="login", result=welcome)
        return welcome

    client = Client(URL, login=login, protocol=PROTOCOL, limits=limits, **OPTIONS)
    listen(client)

    def do(number, name, arguments):
        try:
            say(n=number, result=getattr(client, name)(*arguments))
        except Exception as error:
            say(n=number, error=told(error))

    def main():
        for command in lines():
            if command[1] in ("request", "connect"):
                threading.Thread(target=do, args=command, daemon=True).start()
            else:
                do(*command)

    if KIND == "gevent":
        import gevent
        from gevent.fileobject import FileObjectThread

        sys.stdin = FileObjectThread(sys.stdin.buffer.raw, "rt")
        gevent.spawn(main).get()
    else:
        main()


async def play_asyncio():
    async def login(line):
        welcome = await line.request(1, NAME)
        say(event="login", result=welcome)
        return welcome

    client = AsyncClient(URL, login=login, protocol=PROTOCOL, limits=limits, **OPTIONS)
    listen(client)
    tasks = set()

    async def do(number, name, arguments):
        try:
            result = getattr(client, name)(*arguments)
            say(n=number, result=await result if asyncio.iscoroutine(result) else result)
        except Exception as error:
            say(n=number, error=told(error))

    commands = lines()
    while (command := await asyncio.to_thread(next, commands, None)) is not None:
        task = asyncio.create_task(do(*command))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        if command[1] not in ("request", "connect"):
            await task


if KIND == "asyncio":
    asyncio.run(play_asyncio())
else:
    play_blocking()
