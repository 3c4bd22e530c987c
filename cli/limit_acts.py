"""What a person does to limits and rules: written with name and reason, announced, and refused where it is absurd."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from typing import Any

from pydantic import ValidationError
from sqlalchemy import Connection

from actors import policies
from actors.desk import Desk
from cli.plain import plain
from cli.sections import AccountSettings
from cli.settings import BadConfiguration, Settings
from cli.starting import absurd
from db import accounts, configurations, limits
from domain.account import Limits
from domain.events import ConfigurationChanged, LimitChanged
from domain.ids import AccountName, fact_id
from domain.known import Known
from streams.names import Stream

Document = dict[str, Any]


class NothingToLift(LookupError):
    """No override of this limit is in force."""

    exit_code = 1


def set_limit(desk: Desk, name: AccountName, limit: str, value: Decimal | None, reason: str, by: str) -> Document:
    """Change *limit* in the account's row, under its lock; the next decision counts with it.

    Raises:
        BadConfiguration: the value is not one that this limit can have, or no reason is given.
    """
    _require_reason(reason)
    now = desk.clock()
    with desk.begin() as tx:
        before = _configured(tx, name)
        after = _with(tx, name, before, limit, value)
        changed = limits.change(tx, name, after, by, reason, now)
        told = _told(name, limit, getattr(before, limit), getattr(after, limit), None, changed)
        if changed:
            accounts.record_change(
                tx, name, now, by, f"limit {limit}", f"{told['before']} -> {told['after']}: {reason}"
            )
            _announce(desk, tx, told, by, reason)
    return _plain(told)


def override(
    desk: Desk, name: AccountName, limit: str, value: Decimal, *, until: datetime, reason: str, by: str
) -> Document:
    """Let *limit* be *value* until *until*, under the account's lock; an older override of it ends.

    Raises:
        BadConfiguration: the value is not one that this limit can have, or no reason is given.
    """
    _require_reason(reason)
    now = desk.clock()
    with desk.begin() as tx:
        _configured(tx, name)
        before = _in_force(tx, name, now)
        after = _with(tx, name, before, limit, value)
        limits.override(tx, name, limit, value, until=until, by=by, reason=reason, now=now)
        told = _told(name, limit, getattr(before, limit), getattr(after, limit), until, True)
        what = f"override {limit} until {until:%Y-%m-%dT%H:%M:%SZ}"
        accounts.record_change(tx, name, now, by, what, f"{told['before']} -> {told['after']}: {reason}")
        _announce(desk, tx, told, by, reason)
    return _plain(told)


def lift(desk: Desk, name: AccountName, limit: str, reason: str, by: str) -> Document:
    """End the override of *limit* now.

    Raises:
        NothingToLift: there is none.
    """
    _require_reason(reason)
    now = desk.clock()
    with desk.begin() as tx:
        _configured(tx, name)
        before = _in_force(tx, name, now)
        if not limits.lift(tx, name, limit, by, now):
            raise NothingToLift(f"{name}: nothing overrides {limit}")
        after = _in_force(tx, name, now)
        told = _told(name, limit, getattr(before, limit), getattr(after, limit), None, True)
        accounts.record_change(tx, name, now, by, f"override {limit} lifted", reason)
        _announce(desk, tx, told, by, reason)
    return _plain(told)


def apply_rules(desk: Desk, settings: Settings, reason: str, by: str) -> Document:
    """Bring the rules and limits of a file into force while actors run; each goes over at its next step.

    Raises:
        BadConfiguration: its rules contradict each other, it lacks an account that trades, or no reason is given.
    """
    _require_reason(reason)
    if found := settings.contradictions():
        raise BadConfiguration("; ".join(found))
    now = desk.clock()
    with desk.begin() as tx:
        if unknown := sorted(set(settings.account_names()) ^ accounts.names(tx)):
            raise BadConfiguration(f"accounts.{unknown[0]}: accounts come and go at a start, not while actors run")
        before = configurations.hash_in_force(tx)
        changed = configurations.put(tx, settings.hash(), settings.rules(), by, reason, now)
        of_accounts = [n for n in settings.account_names() if _apply_limits(tx, desk, settings, n, reason, by)]
        policies.take_notice_within(tx, desk, settings.policies())
        if changed:
            desk.announce(tx, Stream.DECISIONS, _configuration_changed(desk, settings.hash(), before, by, reason))
    return {"hash": settings.hash(), "before": before, "changed": changed, "limits_changed": of_accounts}


def _apply_limits(tx: Connection, desk: Desk, settings: Settings, name: AccountName, reason: str, by: str) -> bool:
    before, after = _configured(tx, name), settings.accounts[name].limits()
    _require_sane(tx, name, after)
    if not limits.change(tx, name, after, by, reason, desk.clock()):
        return False
    accounts.record_change(tx, name, desk.clock(), by, "limits", f"{after}: {reason}")
    for limit in limits.NAMES:
        was, becomes = getattr(before, limit), getattr(after, limit)
        if was != becomes:
            _announce(desk, tx, _told(name, limit, was, becomes, None, True), by, reason)
    return True


# ---------------------------------------------------------------- what is shown


def show(tx: Connection, settings: Settings, now: datetime, account: AccountName | None, *, history: bool) -> Document:
    """Return each limit of each account: in force, in the row, in this file, and its override."""
    names = sorted(accounts.names(tx)) if account is None else [account]
    return {"as_of": now, "items": [_account(tx, settings, now, name, history) for name in names]}


def _account(tx: Connection, settings: Settings, now: datetime, name: AccountName, history: bool) -> Document:
    in_force, row = asdict(_in_force(tx, name, now)), asdict(limits.configured(tx, name) or _in_force(tx, name, now))
    of_file = asdict(settings.accounts[name].limits()) if name in settings.accounts else {}
    overridden = {o.limit: o for o in limits.overrides(tx, name, now)}
    shown = [
        {
            "limit": limit,
            "in_force": in_force[limit],
            "configured": row[limit],
            "file": of_file.get(limit),
            "override": asdict(overridden[limit]) if limit in overridden else None,
        }
        for limit in limits.NAMES
    ]
    return _plain({"account": name, "limits": shown, "history": _changes(tx, name) if history else None})


def _changes(tx: Connection, name: AccountName) -> list[Document]:
    """Return every limit that ever changed: when, who, from what to what, why."""
    entries: Sequence[Document] = limits.history(tx, name)
    return [
        {key: after[key] for key in ("at", "by", "reason")}
        | {"limit": limit, "before": before.get(limit), "after": after[limit]}
        for before, after in pairwise([{}, *entries])
        for limit in limits.NAMES
        if before.get(limit) != after[limit]
    ]


# ---------------------------------------------------------------- the parts


def _require_reason(reason: str) -> None:
    if not reason.strip():
        raise BadConfiguration("--reason: say why, it is kept with the limit")


def _configured(tx: Connection, name: AccountName) -> Limits:
    accounts.lock(tx, name)
    found = limits.configured(tx, name)
    if found is None:
        raise accounts.UnknownAccount(f"account: {name!r} is not configured")
    return found


def _in_force(tx: Connection, name: AccountName, now: datetime) -> Limits:
    found = limits.in_force(tx, name, now)
    if found is None:
        raise accounts.UnknownAccount(f"account: {name!r} is not configured")
    return found


def _with(tx: Connection, name: AccountName, before: Limits, limit: str, value: Decimal | None) -> Limits:
    """Return *before* with *limit* changed, as the configuration file would have it; or refuse, naming the key."""
    asked = asdict(before) | {limit: value}
    typed = {key: int(v) if key in limits.WHOLE and v == int(v) else v for key, v in asked.items() if v is not None}
    try:
        after = AccountSettings.model_validate(typed).limits()
    except ValidationError as e:
        said = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in e.errors())
        raise BadConfiguration(f"accounts.{name}.{said}, was {value}") from e
    _require_sane(tx, name, after)
    return after


def _require_sane(tx: Connection, name: AccountName, after: Limits) -> None:
    equity = accounts.equity(tx, name)
    said = absurd(name, after, equity.value) if isinstance(equity, Known) else None
    if said:
        raise BadConfiguration(said)


def _told(name: AccountName, limit: str, before: Any, after: Any, until: datetime | None, changed: bool) -> Document:
    return {
        "account": name,
        "limit": limit,
        "before": _text(before),
        "after": _text(after),
        "until": until,
        "changed": changed,
    }


def _text(value: Any) -> str:
    return "off" if value is None else str(value)


def _announce(desk: Desk, tx: Connection, told: Document, by: str, reason: str) -> None:
    now = desk.clock()
    fact = LimitChanged(
        id=fact_id("limit", told["account"], told["limit"], now, told["after"], told["until"]),
        at=now,
        schema=1,
        cause=by,
        origin=desk.origin,
        account=told["account"],
        limit=told["limit"],
        before=told["before"],
        after=told["after"],
        until=told["until"],
        by=by,
        reason=reason,
    )
    desk.announce(tx, Stream.DECISIONS, fact)


def _configuration_changed(desk: Desk, after: str, before: str | None, by: str, reason: str) -> ConfigurationChanged:
    now = desk.clock()
    return ConfigurationChanged(
        id=fact_id("configuration", after, now),
        at=now,
        schema=1,
        cause=by,
        origin=desk.origin,
        before=before,
        after=after,
        by=by,
        reason=reason,
    )


def _plain(document: Document) -> Document:
    found: Document = plain(document)
    return found
