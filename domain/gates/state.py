"""May this account open anything now: its trading state, the stack behind it and the loss of the day."""

from __future__ import annotations

from domain.account import TradingState
from domain.checks import Check, Code, seconds
from domain.gates.proposal import Proposal
from domain.gates.verdict import check, judged, unknown
from domain.known import Unknown
from domain.money import usd


def account_is_active(p: Proposal) -> Check:
    """Nothing opens while the account is reducing or halted."""
    state = p.book.state
    observed = state if state is TradingState.ACTIVE else f"{state} ({p.book.state_reason})"
    code = Code.HALTED if state is TradingState.HALTED else Code.REDUCING
    return check(account_is_active, state is TradingState.ACTIVE, observed, TradingState.ACTIVE, "account", code)


def stack_is_alive(p: Proposal) -> Check:
    """Whoever tracks, watches and closes a position has shown life lately: what nobody would leave is not entered.

    Set by ``max_silence_s``.
    """
    allowed = f"each within {seconds(p.rules.max_silence)}"
    if isinstance(p.pulse, Unknown):
        return unknown(stack_is_alive, p.pulse, allowed)
    silent = {actor: span for actor, span in p.pulse.value.items() if span > p.rules.max_silence}
    answering = ", ".join(sorted(p.pulse.value)) + " answer"
    observed = ", ".join(f"{actor} silent for {seconds(span)}" for actor, span in sorted(silent.items())) or answering
    return judged(stack_is_alive, p, p.pulse, not silent, observed, allowed)


def daily_loss_is_within_limit(p: Proposal) -> Check:
    """Realised and unrealised since the session's open stay above the limit, which latches once it is reached.

    Set by ``max_daily_loss_usd``.
    """
    floor = -p.book.limits.max_daily_loss_usd
    pnl = p.book.daily_pnl_usd
    if p.book.loss_latched:
        return check(
            daily_loss_is_within_limit, False, "latched for this session", f"> {floor}", "account", Code.LATCHED
        )
    if isinstance(pnl, Unknown):
        return unknown(daily_loss_is_within_limit, pnl, f"> {floor}")
    return judged(daily_loss_is_within_limit, p, pnl, pnl.value > floor, usd(pnl.value), f"> {floor}")
