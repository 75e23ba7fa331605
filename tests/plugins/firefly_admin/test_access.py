import os
import stat

import pytest
from firefly_admin.access import TOKEN_FILE, Access, Denied, keep_token, kept_token

TOKEN = "the token of this test, long enough to be one"


class Clock:
    now = 1000.0

    def monotonic(self):
        return self.now

    def time(self):
        return self.now


@pytest.fixture
def access():
    return Access(TOKEN, Clock(), 5)


def status_of(access, shown, address="10.0.0.1"):
    try:
        access.check(shown, address)
    except Denied as denied:
        return denied.status
    return 200


def test_who_shows_the_token_is_let_in_whatever_the_scheme_looks_like(access):
    assert status_of(access, f"Bearer {TOKEN}") == 200
    assert status_of(access, f"bearer   {TOKEN} ") == 200


@pytest.mark.parametrize(
    "shown", ["", "Bearer", f"Basic {TOKEN}", TOKEN, f"Bearer {TOKEN[:-1]}", "Bearer é\u200b\udcff", "Bearer \0"]
)
def test_everything_else_is_refused(access, shown):
    assert status_of(access, shown) == 401


def test_five_wrong_tokens_close_the_door_for_a_minute_to_that_address_only(access):
    assert [status_of(access, "Bearer wrong") for _ in range(7)] == [401] * 5 + [429] * 2
    assert status_of(access, f"Bearer {TOKEN}") == 429
    assert status_of(access, f"Bearer {TOKEN}", "10.0.0.2") == 200
    Clock.now += 59.9
    assert status_of(access, f"Bearer {TOKEN}") == 429
    Clock.now += 0.2
    assert status_of(access, f"Bearer {TOKEN}") == 200
    assert access.refused == 9


def test_the_right_token_forgives_the_wrong_ones_before_it(access):
    for _ in range(3):
        assert [status_of(access, "Bearer wrong") for _ in range(4)] == [401] * 4
        assert status_of(access, f"Bearer {TOKEN}") == 200


def test_no_token_is_told_and_not_counted(access):
    for _ in range(50):
        with pytest.raises(Denied) as denied:
            access.check(None, "10.0.0.1")
        assert denied.value.status == 401
    assert status_of(access, f"Bearer {TOKEN}") == 200


def test_a_client_with_a_network_of_addresses_is_one_client(access):
    for number in range(5):
        assert status_of(access, "Bearer wrong", f"2001:db8:1:2::{number:x}") == 401
    assert status_of(access, "Bearer wrong", "2001:db8:1:2:ffff::1") == 429
    assert status_of(access, "Bearer wrong", "2001:db8:1:3::1") == 401


def test_what_is_remembered_of_addresses_is_bounded(access):
    for number in range(5000):
        status_of(access, "Bearer wrong", f"10.{number // 256}.{number % 256}.1")
    assert len(access._wrong) <= 4096


def test_a_token_is_made_for_its_owner_only_and_kept(tmp_path):
    token, path = keep_token(tmp_path / "var")
    assert path == tmp_path / "var" / TOKEN_FILE
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(token) >= 32
    assert path.read_text() == token + "\n"
    assert keep_token(tmp_path / "var") == (token, path)
    assert keep_token(tmp_path / "other")[0] != token
    assert list((tmp_path / "var").iterdir()) == [path]


@pytest.mark.parametrize("spoil", ["open", "short", "empty", "binary", "link", "folder_in_the_way"])
def test_a_token_that_others_may_know_is_replaced(tmp_path, spoil):
    token, path = keep_token(tmp_path)
    if spoil == "open":
        path.chmod(0o644)
    elif spoil == "short":
        path.write_text("short\n")
    elif spoil == "empty":
        path.write_text("")
    elif spoil == "binary":
        path.write_bytes(os.urandom(64))
    elif spoil == "link":
        path.rename(tmp_path / "elsewhere")
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.unlink()
        path.mkdir()
        with pytest.raises(OSError, match="directory"):
            keep_token(tmp_path)
        return
    assert kept_token(path) is None
    fresh, _ = keep_token(tmp_path)
    assert fresh != token
    assert stat.S_IMODE(path.lstat().st_mode) == 0o600
    assert not path.is_symlink()
