"""The rules in force: those of the youngest row, so that every copy of an actor goes over to new ones by itself.

A process begins with the rules of its file. Before each step it asks for the hash in force, one small read, and when
that is another it takes the rules from the row. Servers, keys and accounts to trade in stay those of the start.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Final

from sqlalchemy import Engine

from cli.settings import Settings
from db import configurations
from domain.exits import ExitPolicy
from domain.ids import AccountName
from domain.instrument import Kind

log = logging.getLogger(__name__)

#: How old rules may be for whoever looks often and decides nothing by them alone, in seconds of the wall.
RULES_AGE_S: Final = 5.0


@dataclass(slots=True)
class Rulebook:
    """*settings* are those in force since the last :meth:`refresh`."""

    engine: Engine
    settings: Settings
    hash: str = field(init=False)
    _refused: str | None = field(default=None, init=False)
    _refreshed_at: float | None = field(default=None, init=False)  # monotonic seconds

    def __post_init__(self) -> None:
        self.hash = self.settings.hash()

    def refresh(self) -> Settings:
        """Return the settings with the rules in force.

        Rules that this code cannot read are said once and not taken: the last good ones stay (R12).
        """
        with self.engine.connect() as tx:
            in_force = configurations.hash_in_force(tx)
            if in_force in (None, self.hash, self._refused):
                return self.settings
            body = configurations.body_in_force(tx)
        try:
            self.settings = self.settings.with_rules(body or {})
        except ValueError:  # pydantic's own is one
            log.exception("the rules in force (%s) cannot be read, %s stay", in_force, self.hash)
            self._refused = in_force
            return self.settings
        self.hash = self.settings.hash()
        log.warning("rules %s are in force", self.hash)
        return self.settings

    def lately(self) -> Settings:
        """Return the settings with the rules that were in force RULES_AGE_S ago at most: for a look, not a decision."""
        if self._refreshed_at is None or time.monotonic() - self._refreshed_at >= RULES_AGE_S:
            self._refreshed_at = time.monotonic()
            self.refresh()
        return self.settings

    def policy_of(self, account: AccountName, strategy: str, kind: Kind) -> ExitPolicy:
        return self.settings.policy_of(account, strategy, kind)
