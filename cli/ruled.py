"""What follows the rules in force while it runs: the gate, and the exit policies of new positions."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from actors import policies
from actors.desk import Desk
from actors.gate import Gate
from actors.market import Market
from actors.pulse import Pulse
from cli.origin import origin
from cli.rulebook import Rulebook
from cli.settings import Settings
from domain.ids import AccountName


@dataclass(slots=True)
class RuledGate:
    """The gate under the rules in force: made anew when they change, so that each decision names those it used."""

    desk: Desk
    rules: Rulebook
    markets: Mapping[AccountName, Market]
    pulse_of: Callable[[Settings], Pulse]
    _made: tuple[str, Gate] | None = field(default=None, init=False)

    def known(self) -> Gate:
        """Return the gate under the rules that were in force at the last look: for a glance, not for a decision."""
        return self._made[1] if self._made else self.gate()

    def gate(self) -> Gate:
        settings = self.rules.refresh()
        in_force = self.rules.hash
        if self._made is None or self._made[0] != in_force:
            desk = replace(self.desk, origin=origin(settings))
            pulse = self.pulse_of(settings)
            made = Gate(desk, self.markets, settings.rule_book(), pulse, settings.losses.rules())
            self._made = (in_force, made)
        return self._made[1]


@dataclass(slots=True)
class RuledPolicies:
    """The exit policies of new positions under the rules in force: written down once for each rules there are."""

    desk: Desk
    rules: Rulebook
    _noticed: Settings | None = field(default=None, init=False)
    _turn: threading.Lock = field(default_factory=threading.Lock, init=False)

    def follow(self) -> None:
        with self._turn:
            settings = self.rules.refresh()
            if settings is not self._noticed:
                policies.take_notice(self.desk, settings.policies())
                self._noticed = settings
