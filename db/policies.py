"""Exit policies as JSON in their rows: decimals as text, spans in seconds; and which are in force for new positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB

from domain.exits import CloseStep, ExitPolicy, NearExpiry, Regime, Rung, Tier, Window
from domain.ids import AccountName

#: The tables within a policy, by the name of their field.
_TABLES: Final[Mapping[str, type[Tier] | type[Rung] | type[NearExpiry] | type[Window] | type[CloseStep]]] = {
    "trail_tiers": Tier,
    "ladder": Rung,
    "near_expiry": NearExpiry,
    "windows": Window,
    "close_steps": CloseStep,
}
_COUNTS: Final = frozenset({"days", "theta_days", "overnight_min_days", "earnings_within_sessions", "failed_criteria"})
_DECIMALS: Final = ("_pct", "_usd", "_confidence")


def to_json(policy: ExitPolicy) -> dict[str, Any]:
    return {name: _plain(value) for name, value in asdict(policy).items()}


def _plain(value: Any) -> Any:
    match value:
        case timedelta():
            return int(value.total_seconds())
        case Decimal():
            return str(value)
        case tuple():
            return [_plain(item) for item in value]
        case dict():
            return {name: _plain(item) for name, item in value.items()}
    return value


def from_json(row: Mapping[str, Any]) -> ExitPolicy:
    """Return the policy in *row*; a missing key is an error, not a default."""
    policy: ExitPolicy = _read(ExitPolicy, row)
    return policy


def _read(cls: Callable[..., Any], row: Mapping[str, Any]) -> Any:
    return cls(**{field.name: _typed(field.name, row[field.name]) for field in fields(cls)})  # type: ignore[arg-type]


def _typed(name: str, value: Any) -> Any:
    if name in _TABLES:
        return tuple(_read(_TABLES[name], item) for item in value)
    if value is None or name == "version" or name in _COUNTS:
        return value
    if name == "regime_at_least":
        return Regime(value)
    return Decimal(value) if name.endswith(_DECIMALS) else timedelta(seconds=value)


def in_force(tx: Connection, account: AccountName) -> dict[tuple[str, str], ExitPolicy]:
    """Return what new positions of *account* get, by strategy and kind (``option`` or ``stock``)."""
    rows = tx.execute(
        text(
            "SELECT DISTINCT ON (strategy, kind) strategy, kind, policy FROM exit_policies WHERE account = :account"
            " ORDER BY strategy, kind, change_id DESC"
        ),
        {"account": account},
    )
    return {(r.strategy, r.kind): from_json(r.policy) for r in rows}


def record(tx: Connection, account: AccountName, strategy: str, kind: str, policy: ExitPolicy, now: datetime) -> None:
    """Write that new positions get *policy* from *now* on."""
    statement = text(
        "INSERT INTO exit_policies (account, strategy, kind, version, policy, at)"
        " VALUES (:account, :strategy, :kind, :version, :policy, :now)"
    ).bindparams(bindparam("policy", type_=JSONB))
    tx.execute(
        statement,
        {
            "account": account,
            "strategy": strategy,
            "kind": kind,
            "version": policy.version,
            "policy": to_json(policy),
            "now": now,
        },
    )
