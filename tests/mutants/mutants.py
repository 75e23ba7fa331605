"""Bugs that were never there: each breaks a promise, and names the tests that must notice."""

from __future__ import annotations

import attrs

__all__ = ["MUTANTS", "Mutant"]


@attrs.frozen
class Mutant:
    """`old`, which stands in `file` once, becomes `new`; then some of `tests` must fail."""

    name: str
    breaks: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


CHANNEL = "firefly_core/channel"
WIRE = "firefly_core/wire"
GATE = "plugins/firefly_gate"
STORE = "plugins/firefly_dbcache"

MUTANTS = [
    Mutant(
        "no-jitter",
        "nodes that lost their root come back in step",
        f"{CHANNEL}/dialer.py",
        "return delay * self._random.uniform(1 - JITTER, 1 + JITTER)",
        "return delay",
        ("tests/channel/test_dialer.py",),
    ),
    Mutant(
        "hasty-reset",
        "the pause between tries begins anew with every connection, hello or not",
        f"{CHANNEL}/dialer.py",
        "        self._trying = channel\n",
        "        self._trying = channel\n        self._backoff.reset()\n",
        ("tests/channel/test_dialer.py",),
    ),
    Mutant(
        "reused-id",
        "a call takes the id of one that still waits, and its answer",
        f"{CHANNEL}/calls.py",
        "if identifier > MAX_ID or identifier in table:",
        "if identifier > MAX_ID:",
        ("tests/channel/test_calls.py",),
    ),
    Mutant(
        "answered-twice",
        "an answer that comes twice wakes its caller twice",
        f"{CHANNEL}/pending.py",
        "call = pop(message[1], None)",
        "call = self.table.get(message[1])",
        ("tests/channel/test_pending.py",),
    ),
    Mutant(
        "left-hanging",
        "calls that wait when the channel is lost wait on",
        f"{CHANNEL}/calls.py",
        "self._hub.loop.run_callback(self.pending.fail, reason, self._outbox.first)",
        "pass",
        ("tests/channel/test_calls.py", "tests/channel/test_rpc.py"),
    ),
    Mutant(
        "said-unsent",
        "a call that may have been executed is said to be certainly not",
        f"{CHANNEL}/pending.py",
        "sent = self.table[identifier][2] < first",
        "sent = False",
        ("tests/channel/test_pending.py",),
    ),
    Mutant(
        "silent-none",
        "an error of the other side is None for the caller",
        f"{CHANNEL}/calls.py",
        "            return result\n        raise error",
        "            return result\n        return None",
        ("tests/channel/test_calls.py", "tests/channel/test_rpc.py"),
    ),
    Mutant(
        "any-proof",
        "whoever says hello is believed",
        f"{WIRE}/hello.py",
        'if hmac.compare_digest(proof, _proof(secret, "dialer", nonces, cards)):',
        "if proof:",
        ("tests/wire/test_hello.py",),
    ),
    Mutant(
        "two-way-proof",
        "a proof holds in both directions, so an echo of it is believed",
        f"{WIRE}/hello.py",
        "words = [HELLO, VERSION, side, *nonces,",
        "words = [HELLO, VERSION, *nonces,",
        ("tests/wire/test_hello.py",),
    ),
    Mutant(
        "patient-hello",
        "a stranger may take as long as he likes for his hello",
        f"{CHANNEL}/greeting.py",
        'self._channel.close("hello_timeout")',
        "pass",
        ("tests/channel/test_greeting.py", "tests/channel/test_rpc.py"),
    ),
    Mutant(
        "late-start",
        "a request starts although its deadline has passed",
        f"{CHANNEL}/inbound.py",
        "return self.heard + milliseconds * 0.001 <= self._now()",
        "return False",
        ("tests/channel/test_inbound.py",),
    ),
    Mutant(
        "guest-unheard",
        "a session is not told that its command has parked",
        f"{CHANNEL}/inbound.py",
        "            guest.on_blocked(runner)",
        "            pass",
        ("tests/channel/test_later.py", "tests/plugins/firefly_node/test_session.py"),
    ),
    Mutant(
        "answer-overtaken-by-push",
        "what a peer sent behind an answer comes before it",
        f"{CHANNEL}/pending.py",
        "        elif call[3]:",
        "        elif True:",
        ("tests/channel/test_rpc.py",),
    ),
    Mutant(
        "calm-for-ever",
        "a session whose command has parked is served as if nothing were",
        f"{GATE}/connection.py",
        "        self.calm = False\n        Serial.on_blocked(self, runner)",
        "        Serial.on_blocked(self, runner)",
        ("tests/plugins/firefly_gate/test_client.py", "tests/plugins/firefly_gate/test_session.py"),
    ),
    Mutant(
        "endless-handler",
        "a handler runs on behind its deadline",
        f"{CHANNEL}/running.py",
        'request.cancel("the deadline has passed")',
        "pass",
        ("tests/channel/test_running.py",),
    ),
    Mutant(
        "unbounded-handlers",
        "a peer may have any number of handlers run",
        f"{CHANNEL}/inbound.py",
        "        if running.count >= self._limits.inflight and",
        "        if False and",
        ("tests/channel/test_inbound.py",),
    ),
    Mutant(
        "cancelled-is-gone",
        "a cancelled handler that still runs is not counted any more",
        f"{CHANNEL}/running.py",
        "self._run_callback(request.cancel, why)",
        "self._run_callback(request.cancel, why)\n            self.count -= 1",
        ("tests/channel/test_running.py", "tests/channel/test_inbound.py"),
    ),
    Mutant(
        "cancel-flood",
        "a peer may cancel as often as it likes",
        f"{CHANNEL}/cancels.py",
        "if self.count >= self._limit:",
        "if self.count < 0:",
        ("tests/channel/test_cancels.py",),
    ),
    Mutant(
        "unbounded-outbox",
        "what waits for a peer that reads nothing grows without end",
        f"{CHANNEL}/outbox.py",
        "self.full = count >= limits.outbox_frames or size >= limits.outbox_bytes",
        "self.full = count < 0",
        ("tests/channel/test_outbox.py",),
    ),
    Mutant(
        "deathless",
        "a peer that is gone without a word is never dead",
        f"{CHANNEL}/liveness.py",
        'self._channel.close("dead")',
        "self._arm(ask)",
        ("tests/channel/test_liveness.py",),
    ),
    Mutant(
        "overtaken-answer",
        "what is written later goes out before an answer that is held for a moment",
        f"{CHANNEL}/stream.py",
        "data, self._answer = self._answer + data, None",
        "data, self._answer = data + self._answer, None",
        ("tests/channel/test_stream.py",),
    ),
    Mutant(
        "lost-at-close",
        "an answer that is held for a moment is lost when its stream closes",
        f"{CHANNEL}/stream.py",
        'are lost. Closing twice is closing once."""\n        self.write(b"")\n',
        'are lost. Closing twice is closing once."""\n',
        ("tests/channel/test_stream.py",),
    ),
    Mutant(
        "deaf-while-parked",
        "what a client says it has is not heard while a command of its runs",
        f"{GATE}/client.py",
        "        if self.kept is not None:\n            self.kept.acknowledge(",
        "        if self.kept is not None and self.parked is None:\n            self.kept.acknowledge(",
        ("tests/plugins/firefly_gate/test_resume.py",),
    ),
    Mutant(
        "torn-push",
        "a newer state replaces one of which a part was sent already",
        f"{CHANNEL}/send_queue.py",
        "                self._forget(cell)\n",
        "                pass\n",
        ("tests/channel/test_send_queue.py",),
    ),
    Mutant(
        "no-depth-walk",
        "values nest as deep as they like",
        f"{WIRE}/bounds.py",
        "elif depth == 0:",
        "elif depth is None:",
        ("tests/wire/test_bounds.py",),
    ),
    Mutant(
        "long-lines",
        "a line without an end is kept however long it grows",
        "plugins/firefly_protocols/json_text.py",
        "def _check_length(self, line: bytes | bytearray) -> None:\n        if len(line) > self.limits.max_frame:",
        "def _check_length(self, line: bytes | bytearray) -> None:\n        if len(line) < 0:",
        ("tests/plugins/firefly_protocols/test_json_text.py",),
    ),
    Mutant(
        "two-at-once",
        "two commands of one session run side by side at their node",
        "plugins/firefly_node/session.py",
        "        self.queue.append(job)\n        if len(self.queue) == 1 and self.parked is None:\n",
        "        self.node.kernel.runners.run(job)\n        if self.queue:\n",
        ("tests/scenarios/test_order.py",),
    ),
    Mutant(
        "done-twice",
        "a command that may have been executed is sent to another node",
        f"{GATE}/forward.py",
        "if (error.sent and not self.command.idempotent) or self.attempt >= ATTEMPTS:",
        "if self.attempt >= ATTEMPTS:",
        ("tests/plugins/firefly_gate/test_forward.py",),
    ),
    Mutant(
        "token-for-ever",
        "a used token opens its session although the client has shown that it has the next one",
        f"{GATE}/client.py",
        "if data and self.kept is not None and self.kept.unproven:",
        "if data and self.kept is not None and self.kept.unproven and self.kept.adopted:",
        ("tests/plugins/firefly_gate/test_lost_answer.py",),
    ),
    Mutant(
        "takeover-untold",
        "a client whose answer was lost is not told that another gate took its session over, and sends again",
        f"{GATE}/resume.py",
        '"repeats": not kept.adopted}',
        '"repeats": True}',
        ("tests/plugins/firefly_gate/test_lost_answer.py",),
    ),
    Mutant(
        "again-on-resume",
        "a request that is still being executed is executed again after a resume",
        f"{GATE}/kept.py",
        "if identity in self.open:",
        "if identity is None:",
        ("tests/plugins/firefly_gate/test_resume.py",),
    ),
    Mutant(
        "bomb",
        "a compressed message is inflated whole before anybody looks at its length",
        f"{GATE}/deflate_layer.py",
        "inflater.decompress(data, min(PIECE, room + 1))",
        "inflater.decompress(data)",
        ("tests/plugins/firefly_gate/test_deflate_layer.py",),
    ),
    Mutant(
        "unmasked",
        "a client's frames need no mask",
        f"{GATE}/frames.py",
        "if not second & MASKED:",
        "if second < 0:",
        ("tests/plugins/firefly_gate/test_websocket.py",),
    ),
    Mutant(
        "endless-guesses",
        "an address may try passwords for ever",
        f"{GATE}/authentication.py",
        'session.kick("too_many_failures")',
        "pass",
        ("tests/plugins/firefly_gate/test_authentication.py",),
    ),
    Mutant(
        "unchecked-record",
        "a record of the journal whose body has changed is taken for good",
        f"{STORE}/journal/record.py",
        "if len(body) != length or check != check_of(body, salt):",
        "if len(body) != length:",
        ("tests/plugins/firefly_dbcache/journal/test_record.py",),
    ),
    Mutant(
        "older-wins",
        "an older version of a row is written over a newer one",
        f"{STORE}/database/sqlite_database.py",
        "update=update, where=peewee.EXCLUDED.ver > table.c.ver)",
        "update=update)",
        ("tests/plugins/firefly_dbcache/database/test_storage.py",),
    ),
    Mutant(
        "never-gives-up",
        "a server that dies at once is started for ever",
        "firefly_core/kernel/supervisor/backoff.py",
        "if policy.failures is not None and len(self._failures) >= policy.failures:",
        "if policy.failures is None:",
        ("tests/kernel/supervisor/test_backoff.py",),
    ),
]
