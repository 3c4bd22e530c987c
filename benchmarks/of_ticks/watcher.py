"""When closing orders are committed, and when the local Alpaca has taken them: told by PostgreSQL, a thread listens."""

from __future__ import annotations

import select
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from sqlalchemy import Engine, text

CHANNEL: Final = "closes"
_TRIGGERS: Final = f"""
CREATE FUNCTION say_close() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN PERFORM pg_notify('{CHANNEL}', TG_ARGV[0] || ' ' || NEW.symbol); RETURN NULL; END $$;
CREATE TRIGGER say_written AFTER INSERT ON orders FOR EACH ROW
    WHEN (NEW.intent = 'sell_to_close') EXECUTE FUNCTION say_close('written');
CREATE TRIGGER say_taken AFTER UPDATE ON orders FOR EACH ROW
    WHEN (NEW.intent = 'sell_to_close' AND OLD.broker_order_id IS NULL AND NEW.broker_order_id IS NOT NULL)
    EXECUTE FUNCTION say_close('taken');
"""
_PATIENCE_S: Final = 60.0


@dataclass
class Watcher:
    """Times are those of ``time.time``."""

    connection: Any
    told: dict[str, float] = field(default_factory=dict)
    changed: threading.Condition = field(default_factory=threading.Condition)
    is_over: threading.Event = field(default_factory=threading.Event)

    @classmethod
    def on(cls, engine: Engine) -> Watcher:
        with engine.begin() as tx:
            tx.execute(text(_TRIGGERS))
        borrowed = engine.raw_connection()
        connection: Any = borrowed.driver_connection
        borrowed.detach()  # it is the thread's own from here on: the pool must not lend it
        connection.autocommit = True
        connection.cursor().execute(f"LISTEN {CHANNEL}")
        watcher = cls(connection)
        threading.Thread(target=watcher.listen, daemon=True).start()
        return watcher

    def listen(self) -> None:
        while not self.is_over.is_set():
            if not select.select([self.connection], [], [], 0.5)[0]:
                continue
            self.connection.poll()
            now = time.time()
            with self.changed:
                for notice in self.connection.notifies:
                    self.told.setdefault(notice.payload, now)
                self.connection.notifies.clear()
                self.changed.notify_all()

    def until(self, what: str, contracts: Sequence[str]) -> dict[str, float]:
        """Return when *what* ("written" or "taken") happened to the first close of each of *contracts*."""
        names = [f"{what} {contract}" for contract in contracts]
        with self.changed:
            if not self.changed.wait_for(lambda: self.told.keys() >= set(names), _PATIENCE_S):
                raise TimeoutError(f"not within {_PATIENCE_S:.0f} s: {sorted(set(names) - self.told.keys())}")
            return {contract: self.told[name] for contract, name in zip(contracts, names, strict=True)}

    def stop(self) -> None:
        self.is_over.set()
