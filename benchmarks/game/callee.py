"""What is called over a channel."""

from firefly_core import on_start, remote


class Count:
    notices = 0


@on_start
def start(ctx) -> Count:
    return Count()


@remote("echo")
def echo(ctx, value: bytes) -> bytes:
    return value


@remote("notice")
def notice(ctx, value: bytes) -> None:
    ctx.state.notices += 1


@remote("noticed")
def noticed(ctx) -> int:
    return ctx.state.notices
