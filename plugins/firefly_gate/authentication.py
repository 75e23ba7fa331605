"""Authentication: the gate's own login command, decided by the plugins, and what becomes of those who keep failing.

A game may log its players in by a handler instead (`ctx.session.bind`); a handler that refuses with the code
`login_failed` is counted in the same way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from firefly_core.errors import Refuse
from firefly_core.kernel.handlers.context import Context
from firefly_core.kernel.lockout import Lockout
from firefly_gate.admission import address_key

if TYPE_CHECKING:
    from firefly_gate.gate import Gate
    from firefly_gate.session import GateSession

__all__ = ["FAILED", "LOGIN", "Authentication"]

LOGIN = "firefly.login"
FAILED = "login_failed"
ACCOUNT_KEYS = ("account", "user", "name")
"""Where credentials may say whose they are; by that the failures of one account are counted."""


class Authentication:
    """The logins of one gate: five failures lock an account for a minute, ten lock an address for ten minutes."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        config, clock = gate.config, gate.kernel.clock
        self._accounts = Lockout(clock, config.account_failures, 60.0)
        self._addresses = Lockout(clock, config.address_failures, 600.0)
        self.failures = 0

    def on_login(self, context: Context, body: bytes) -> bytes:
        """Ask the plugins who this is, and log him in; raises Refuse, PayloadError, Unavailable."""
        session: Any = context.session
        credentials = session.codec.decoder(Any)(body)
        account = _account(credentials)
        if account is not None and self._accounts.locked(account):
            raise Refuse("locked", "too many failures; try again in a minute")
        try:
            kernel = self._gate.kernel
            uid = kernel.plugins.hook.firefly_authenticate(kernel=kernel, session=session, credentials=credentials)
            if uid is None:
                raise Refuse(FAILED, "nobody knows these credentials")
        except Refuse:
            if account is not None:
                self._accounts.failed(account)
            raise
        if account is not None:
            self._accounts.succeeded(account)
        session.bind(uid)
        return bytes(session.codec.encode({"uid": uid}))

    def refused(self, session: GateSession, code: str) -> None:
        """Count a login that failed; an address that keeps failing is turned away."""
        if code != FAILED or session.uid is not None:
            return
        self.failures += 1
        if self._gate.admission.is_exempt(session.address):
            return
        key = address_key(session.address)
        self._addresses.failed(key)
        if self._addresses.locked(key):
            session.kick("too_many_failures")

    def locked(self, address: str) -> bool:
        """Whether an address is turned away for now."""
        return self._addresses.locked(address_key(address))


def _account(credentials: Any) -> str | None:
    if isinstance(credentials, dict):
        for key in ACCOUNT_KEYS:
            if isinstance(credentials.get(key), str):
                return str(credentials[key])[:256]
    return None
