"""A wire format for people with a terminal: a request is a line `ID COMMAND BODY`, its answer `ID ok BODY`.

A command is an id, or a name with its odd characters written as in a URL.
"""

from urllib.parse import unquote

from firefly_core.errors import ProtocolError
from firefly_core.kernel.config.config import config, key, text
from firefly_core.wire.protocol import Protocol, Request


class Lines(Protocol):
    __slots__ = ()

    name = "lines"
    codecs = frozenset({"json"})
    text = True

    @config
    class Config:
        push: str = key(text(8), "the word that a push begins with", default="!")

    def receive(self, data):
        if self.failure is not None:
            raise self.failure
        requests = []
        *lines, rest = ((self.tail or b"") + data).split(b"\n")
        self.tail = bytearray(rest) or None
        try:
            for line in lines:
                request = self._read(bytes(line))
                requests.append(request)
            if len(rest) > self.limits.max_frame:
                raise ProtocolError("too_long")
            if rest and not self.stream:
                raise ProtocolError("truncated", "the message ends inside a line")
        except ProtocolError as error:
            return self._fail(requests, error)
        return requests

    def _read(self, line):
        if len(line) > self.limits.max_frame:
            raise ProtocolError("too_long")
        try:
            number, command, body = line.split(b" ", 2)
            return Request(_command(command.decode()), body, int(number))
        except ValueError:
            raise ProtocolError("bad_line", "a request is ID COMMAND BODY") from None

    def encode_reply(self, request, body):
        return b"%d ok %b\n" % (request.request_id, body)

    def encode_error(self, request, code, message, body):
        return b"%d error %b %b\n" % (request.request_id, code.encode(), message.encode())

    def encode_push(self, command, name, body):
        return b"%b %d %b %b\n" % (self.settings.push.encode(), command, name.encode(), body)


def _command(word):
    return int(word) if word.isdigit() else unquote(word, errors="strict")
