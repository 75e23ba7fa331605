"""Signed tokens: what is good, and everything that is not."""

import base64
import hashlib
import hmac
import json

import pytest
from firefly_tokens import BadToken, sign, verify

SECRET = "a secret of the website"
NOW = 1_700_000_000.0


def check(token, *secrets, now=NOW, lifetime=3600.0):
    return verify(token, secrets or (SECRET,), now=now, lifetime=lifetime)


@pytest.mark.parametrize("uid", [7, -(2**63), "ada", "ü" * 255])
def test_it_says_who_until_its_time_is_over(uid):
    token = sign(uid, SECRET, expires=NOW + 60)
    assert check(token) == uid
    assert check(token, now=NOW + 59.9) == uid
    with pytest.raises(BadToken, match="expired"):
        check(token, now=NOW + 60)


def test_any_program_can_sign_one():
    body = base64.urlsafe_b64encode(json.dumps({"uid": "ada", "exp": NOW + 1}).encode()).rstrip(b"=")
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), body, hashlib.sha256)).rstrip(b"=")
    assert check(f"{body.decode()}.{signature.decode()}") == "ada"


def test_no_letter_of_it_can_be_changed_left_out_or_added():
    token = sign("ada", SECRET, expires=NOW + 60)
    for place in range(len(token)):
        for other in (token[:place] + token[place + 1 :], token[:place] + "Q" + token[place:], token[:place]):
            with pytest.raises(BadToken):
                check(other)
        changed = token[:place] + ("A" if token[place] != "A" else "B") + token[place + 1 :]
        with pytest.raises(BadToken):
            check(changed)
    for behind in ("=", "!", ".", ".x", "\n", "AAAA"):
        with pytest.raises(BadToken):
            check(token + behind)


def test_another_secret_is_none_and_several_are_good_while_one_takes_the_place_of_another():
    token = sign("ada", "the secret of last year", expires=NOW + 60)
    with pytest.raises(BadToken, match="not signed by us"):
        check(token)
    assert check(token, SECRET, "the secret of last year") == "ada"


def test_a_token_for_too_long_is_refused():
    with pytest.raises(BadToken, match="longer"):
        check(sign("ada", SECRET, expires=NOW + 3601))


@pytest.mark.parametrize("claims", [
    {"uid": "", "exp": NOW + 1}, {"uid": True, "exp": NOW + 1}, {"uid": 2**63, "exp": NOW + 1},
    {"uid": 1.5, "exp": NOW + 1}, {"uid": "ada"}, {"exp": NOW + 1}, {"uid": "ada", "exp": "soon"}, [], "ada", None,
])  # fmt: skip
def test_what_is_signed_and_says_nothing_is_refused(claims):
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).rstrip(b"=").decode()
    signature = base64.urlsafe_b64encode(hmac.digest(SECRET.encode(), body.encode(), hashlib.sha256)).rstrip(b"=")
    with pytest.raises(BadToken):
        check(f"{body}.{signature.decode()}")


@pytest.mark.parametrize("token", ["", ".", "..", "ü.ü", "a" * 3000, "\ud800.x"])
def test_garbage_is_refused(token):
    with pytest.raises(BadToken):
        check(token)


@pytest.mark.parametrize(("uid", "expires"), [("", NOW), (True, NOW), (1, float("nan")), (1, float("inf"))])
def test_no_token_is_made_for_nobody_or_for_ever(uid, expires):
    with pytest.raises(ValueError, match=r"a uid is|expires at a time"):
        sign(uid, SECRET, expires=expires)
