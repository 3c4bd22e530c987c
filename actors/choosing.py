"""Which contract a recommendation without a symbol means, asked of the market that will decide about it.

Nothing is remembered: a recommendation that was decided is not decided again, and until then the market of the moment
chooses. What could not be asked chooses nothing, and says why.
"""

from __future__ import annotations

from actors.market import Market
from domain.candidates import Wanted
from domain.events import RecommendationIssued
from domain.gates import EntryRules
from domain.instrument import Kind
from domain.known import Unknown
from domain.selection import Selection, nothing, select


def choose(market: Market, rec: RecommendationIssued, entry: EntryRules) -> Selection | None:
    """Return the selection for *rec*, or None where a symbol is named, a share is meant or nothing may be chosen."""
    rules = entry.selection
    if rec.symbol is not None or rec.instrument is Kind.STOCK or rules is None:
        return None
    if market.clock() - rec.at > entry.max_recommendation_age:
        return nothing("the recommendation is too old to choose for")
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
