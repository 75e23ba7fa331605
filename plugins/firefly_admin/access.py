"""Access: who may look and act. A token is shown as `Authorization: Bearer TOKEN`, and compared in constant time."""

from __future__ import annotations

import contextlib
import hmac
import ipaddress
import os
import secrets
import stat
from collections import OrderedDict, deque
from pathlib import Path

from firefly_core.channel.clock import Clock

__all__ = ["TOKEN_FILE", "Access", "Denied", "keep_token", "kept_token"]

TOKEN_FILE = "admin.token"  # noqa: S105  a file's name
LEAST = 32
WINDOW = 60.0
ADDRESSES = 4096
SCHEME = "bearer "


class Denied(Exception):
    """A request that shows no token, a wrong one, or too many wrong ones; `status` is the HTTP status."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


class Access:
    """Lets in who shows the token; an address that shows `most` wrong ones within a minute must wait."""

    def __init__(self, token: str, clock: Clock, most: int) -> None:
        self._token = token.encode()
        self._clock = clock
        self._most = most
        self._wrong: OrderedDict[str, deque[float]] = OrderedDict()
        self.refused = 0

    def check(self, header: str | None, address: str) -> None:
        """Raise Denied unless `header`, the request's Authorization, shows the token."""
        if header is None:
            raise Denied(401, "unauthorized", "show the token: Authorization: Bearer TOKEN")
        who = _network(address)
        now = self._clock.monotonic()
        wrong = self._wrong.get(who)
        while wrong and now - wrong[0] >= WINDOW:
            wrong.popleft()
        if wrong is not None and len(wrong) >= self._most:
            self.refused += 1
            raise Denied(429, "too_many_attempts", "too many wrong tokens, wait a minute")
        # Bytes: a str that is not ASCII would make compare_digest raise.
        shown = header[len(SCHEME) :].strip() if header.lower().startswith(SCHEME) else ""
        if hmac.compare_digest(shown.encode("utf-8", "surrogateescape"), self._token):
            self._wrong.pop(who, None)
            return
        self.refused += 1
        self._note(who, now)
        raise Denied(401, "unauthorized", "that is not the token")

    def _note(self, who: str, now: float) -> None:
        self._wrong.setdefault(who, deque(maxlen=self._most)).append(now)
        self._wrong.move_to_end(who)
        while len(self._wrong) > ADDRESSES:
            self._wrong.popitem(last=False)


def keep_token(folder: Path) -> tuple[str, Path]:
    """Give the token in `admin.token`, which only its owner may read, and the file; makes one where there is none.

    A file that others may read, or that holds no good token, is replaced. Raises OSError.
    """
    path = folder / TOKEN_FILE
    kept = kept_token(path)
    if kept is not None:
        return kept, path
    token = secrets.token_urlsafe(LEAST)
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{TOKEN_FILE}.{os.getpid()}"
    with contextlib.suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(token + "\n")
    draft.replace(path)
    return token, path


def kept_token(path: Path) -> str | None:
    """Give the token in a file; None: it has none, or others than its owner may read it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        about = os.fstat(descriptor)
        if not stat.S_ISREG(about.st_mode) or about.st_mode & 0o077 or about.st_uid != os.geteuid():
            return None
        text = file.read(2048).decode("ascii", "replace").strip()
    return text if len(text) >= LEAST and text.isascii() and text.isprintable() else None


def _network(address: str) -> str:
    """Give what counts as one address: an IPv6 client has a whole /64."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((int(parsed), 64), strict=False))
    return address
