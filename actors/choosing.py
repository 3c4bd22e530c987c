"""Which contract a recommendation without a symbol means, asked of the market that will decide about it.

Nothing is remembered: a recommendation that was decided is not decided again, and until then the market of the moment
chooses. What could not be asked chooses nothing, and says why.
"""

from __future__ import annotations

from actors.market import Market
from domain.candidates import SelectionRules, Wanted
from domain.events import RecommendationIssued
from domain.instrument import Kind
from domain.known import Unknown
from domain.selection import Selection, nothing, select


def choose(market: Market, rec: RecommendationIssued, rules: SelectionRules | None) -> Selection | None:
    """Return the selection for *rec*, or None where it names its symbol, is about a share, or *rules* are not set."""
    if rec.symbol is not None or rec.instrument is Kind.STOCK or rules is None:
        return None
    price, session = market.price(rec.underlying, rules.max_quote_age), market.session()
    if isinstance(price, Unknown):
        return nothing(f"no price of {rec.underlying}: {price.reason}")
    if isinstance(session, Unknown):
        return nothing(f"no session to count days from: {session.reason}")
    wanted = Wanted(
        underlying=rec.underlying,
        kind=rec.instrument,
        price=price.value,
        today=session.value.day,
        now=market.clock(),
        rules=rules,
    )
    chain = market.chain(wanted.part_of_chain())
    if isinstance(chain, Unknown):
        return nothing(f"no chain of {rec.underlying}: {chain.reason}")
    return select(chain.value, wanted)
