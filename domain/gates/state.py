"""May this account open anything now: its trading state, the stack behind it and what it has lost."""

from __future__ import annotations

from domain.account import LossKind, TradingState
from domain.checks import Check, Code, seconds
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, judged, not_looked_at, unknown
from domain.interlock import unwell
from domain.known import Unknown
from domain.loss import drawdown_floor_usd
from domain.money import usd


def account_is_active(p: Proposal) -> Check:
    """Nothing opens while the account, or every account, is reducing or halted."""
    state = p.book.state
    observed = state if state is TradingState.ACTIVE else f"{state} ({p.book.state_reason})"
    code = Code.HALTED if state is TradingState.HALTED else Code.REDUCING
    return check(account_is_active, state is TradingState.ACTIVE, observed, TradingState.ACTIVE, "account", code)


def stack_is_alive(p: Proposal) -> Check:
    """All that a position will need was well within its bound: what nobody would watch or leave is not entered.

    Set by ``max_silence_s`` and ``[interlock]``.
    """
    allowed = "each within its bound"
    if isinstance(p.pulse, Unknown):
        return unknown(stack_is_alive, p.pulse, allowed)
    silent = unwell(p.pulse.value)
    if not silent:
        well = ", ".join(sign.part for sign in p.pulse.value)
        return judged(stack_is_alive, p, p.pulse, bool(p.pulse.value), f"well: {well}", allowed)
    observed = ", ".join(str(sign) for sign in silent)
    bounds = ", ".join(f"{sign.part} within {seconds(sign.bound)}" for sign in silent)
    return judged(stack_is_alive, p, p.pulse, False, observed, bounds)


def daily_loss_is_within_limit(p: Proposal) -> Check:
    """Realised and unrealised since the session's open stay above the limit; a confirmed loss latches.

    Set by ``max_daily_loss_usd``.
    """
    floor = -p.book.limits.max_daily_loss_usd
    pnl = p.book.daily_pnl_usd
    if LossKind.DAILY_LOSS in p.book.latched:
        return check(daily_loss_is_within_limit, False, "latched", f"> {floor}", "account", Code.LATCHED)
    if isinstance(pnl, Unknown):
        return unknown(daily_loss_is_within_limit, pnl, f"> {floor}")
    return judged(daily_loss_is_within_limit, p, pnl, pnl.value > floor, usd(pnl.value), f"> {floor}")


def drawdown_is_within_limit(p: Proposal) -> Check:
    """The account's equity stays above its peak less the limit, where one is configured; a confirmed one latches.

    Set by ``max_drawdown_usd`` and ``max_drawdown_pct``.
    """
    limits, peak = p.book.limits, p.book.equity_peak_usd
    if not limits.has_drawdown:
        return not_looked_at(drawdown_is_within_limit)
    if LossKind.DRAWDOWN in p.book.latched:
        return check(drawdown_is_within_limit, False, "latched", "no latch", "account", Code.LATCHED)
    if isinstance(p.equity_usd, Unknown):
        return unknown(drawdown_is_within_limit, p.equity_usd, "a known equity")
    if peak is None:
        return unknown(drawdown_is_within_limit, Unknown("no peak yet", "account"), "a known peak")
    floor = drawdown_floor_usd(limits, peak)
    observed = f"{usd(p.equity_usd.value)} of a peak of {usd(peak)}"
    return judged(drawdown_is_within_limit, p, p.equity_usd, p.equity_usd.value > floor, observed, f"> {usd(floor)}")
