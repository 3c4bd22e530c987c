"""Dead letters as rows: what could not be handled, with its reason, and what that means for its account."""

from __future__ import annotations

import json
from collections.abc import Callable

from actors import trading_state
from actors.desk import Desk
from db import accounts, dead_letters
from domain.ids import AccountName
from streams.hooks import DeadLetter
from streams.names import Stream


def burial(desk: Desk) -> Callable[[DeadLetter], None]:
    """Return what writes the row of a dead letter; a dead fill or order also stops entries of its account."""

    def bury(letter: DeadLetter) -> None:
        body = letter.fields.get(b"body", b"").decode(errors="backslashreplace")
        account = _account_in(body)
        with desk.engine.begin() as tx:
            known = account if account in accounts.names(tx) else None
            dead_letters.record(
                tx,
                stream=letter.stream,
                actor=letter.actor,
                entry_id=letter.entry_id,
                fact_type=letter.fields.get(b"type", b"").decode(errors="backslashreplace"),
                body=body,
                account=known,
                reason=letter.reason,
                attempts=letter.attempts,
                origin=desk.origin,
                now=desk.clock(),
            )
            if known and letter.stream.partition(".")[0] in (Stream.FILLS, Stream.ENTRIES, Stream.EXITS):
                reason = f"dead letter {letter.entry_id} on {letter.stream}: {letter.reason}"[:500]
                trading_state.restrict(desk, tx, known, reason, letter.actor)

    return bury


def _account_in(body: str) -> AccountName | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    account = found.get("account") if isinstance(found, dict) else None
    return AccountName(account) if isinstance(account, str) else None


def bury_frame(desk: Desk, source: str, raw: bytes, error: str) -> None:
    """Keep a frame of a socket that could not be read; *source* is ``trade_updates:<account>`` or a price feed."""
    with desk.engine.begin() as tx:
        dead_letters.record(
            tx,
            stream=f"socket:{source}",
            actor="feeds",
            entry_id=f"{desk.wall():%Y%m%dT%H%M%S.%f}",
            fact_type="frame",
            body=raw.decode(errors="backslashreplace"),
            account=source.partition(":")[2] or None,
            reason=error,
            attempts=1,
            origin=desk.origin,
            now=desk.clock(),
        )
