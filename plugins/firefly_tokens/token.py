"""A token: who somebody is and until when, signed, so that whoever knows the secret can say so to a gate.

    BODY "." SIGNATURE, both base64url without padding
    BODY: a JSON object, {"uid": an integer or a text, "exp": seconds since 1970}
    SIGNATURE: HMAC-SHA256 of BODY as it stands in the token, keyed with the secret

It says nothing secret, and it is good for whoever has it until its time is over, as often as he likes: make it short.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import math
from collections.abc import Iterable

import msgspec

from firefly_core.kernel.session import Uid, check_uid

__all__ = ["BadToken", "sign", "verify"]

MAX_TOKEN = 2048


class BadToken(Exception):
    """A token that opens nothing; the text may be told to whoever bears it."""


class Claims(msgspec.Struct):
    """What a token says."""

    uid: int | str
    exp: float


def sign(uid: Uid, secret: str, *, expires: float) -> str:
    """Give a player's token, good until `expires`, in seconds since 1970; raises ValueError for a bad uid or time."""
    check_uid(uid)
    if not math.isfinite(expires):
        raise ValueError(f"a token expires at a time, not at {expires!r}")
    body = _encode(msgspec.json.encode(Claims(uid, expires)))
    return f"{body}.{_encode(_signature(body, secret))}"


def verify(token: str, secrets: Iterable[str], *, now: float, lifetime: float) -> Uid:
    """Give the uid of a token that one of `secrets` has signed and that ends within `lifetime`; raises BadToken."""
    body, _, signature = token.partition(".")
    if len(token) > MAX_TOKEN or not token.isascii():
        raise BadToken("this is no token")
    given = _decode(signature)
    if not any(hmac.compare_digest(given, _signature(body, secret)) for secret in secrets):
        raise BadToken("this token is not signed by us")
    try:
        claims = msgspec.json.decode(_decode(body), type=Claims)
        check_uid(claims.uid)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadToken("this token does not say who and until when") from error
    if not claims.exp > now:
        raise BadToken("this token has expired")
    if not claims.exp <= now + lifetime:
        raise BadToken("this token is good for longer than tokens may be here")
    return claims.uid


def _signature(body: str, secret: str) -> bytes:
    return hmac.digest(secret.encode(), body.encode(), hashlib.sha256)


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(text: str) -> bytes:
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise BadToken("this is no token") from error
    if _encode(data) != text:
        # Python's decoder takes no notice of letters that it does not know.
        raise BadToken("this is no token")
    return data
