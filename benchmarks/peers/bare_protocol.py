"""A peer: an asyncio Protocol that echoes datapack frames, with no framework at all.

    bare_protocol.py PORT [uvloop] [batch]

It does what any server of the format must: read the header, hand the body to the command's function, frame the
answer. One write a message, as such programs are written; `batch` joins the answers of what arrived together.
"""

import asyncio
import sys
from struct import Struct

HEADER = Struct("!9sII")
MAGIC = bytes(9)
HANDLERS = {1: lambda body: body, 2: lambda body: body}


class Echo(asyncio.Protocol):
    everyone: "set[asyncio.Transport]" = set()  # noqa: RUF012 - one program, one server

    def connection_made(self, transport):
        self.transport = transport
        self.tail = b""
        self.everyone.add(transport)

    def connection_lost(self, exc):  # noqa: ARG002
        self.everyone.discard(self.transport)

    def data_received(self, data):
        if self.tail:
            data = self.tail + data
            self.tail = b""
        at, size = 0, len(data)
        while size - at >= 17:
            _, length, command = HEADER.unpack_from(data, at)
            end = at + 13 + length
            if end > size:
                break
            body = HANDLERS[command](data[at + 17 : end])
            frame = HEADER.pack(MAGIC, len(body) + 4, command) + body
            if command == 2:
                for transport in self.everyone:
                    transport.write(frame)
            self.transport.write(frame)
            at = end
        if at < size:
            self.tail = data[at:]


class BatchEcho(Echo):
    def data_received(self, data):
        if self.tail:
            data = self.tail + data
            self.tail = b""
        at, size = 0, len(data)
        answers = []
        while size - at >= 17:
            _, length, command = HEADER.unpack_from(data, at)
            end = at + 13 + length
            if end > size:
                break
            body = HANDLERS[command](data[at + 17 : end])
            answers.append(HEADER.pack(MAGIC, len(body) + 4, command))
            answers.append(body)
            at = end
        if answers:
            self.transport.write(b"".join(answers))
        if at < size:
            self.tail = data[at:]


async def serve(port: int, protocol: type) -> None:
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


if __name__ == "__main__":
    main = serve(int(sys.argv[1]), BatchEcho if "batch" in sys.argv else Echo)
    if "uvloop" in sys.argv:
        import uvloop

        uvloop.run(main)
    else:
        asyncio.run(main)
