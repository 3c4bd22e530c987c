"""PromQL over our metrics, named by their families: a name with a typing error does not import.

What nobody knows must stay visible as unknown, so nothing is made 0 unless something that is known says so.
"""

from __future__ import annotations

from monitoring.families import Family


def series(family: Family, *matchers: str, part: str = "") -> str:
    """Return the selector of *family*: of the chosen accounts, where it has accounts."""
    mine = ('account=~"$account"',) if "account" in family.labels else ()
    inside = ", ".join((*mine, *matchers))
    return f"{family.name}{part}{{{inside}}}" if inside else f"{family.name}{part}"


def rate(family: Family, *matchers: str, by: str = "") -> str:
    """How often a second, by the labels of *by*."""
    return f"sum{_by(by)} (rate({series(family, *matchers)}[$__rate_interval]))"


def quantile(q: str, family: Family, *, by: str = "") -> str:
    """The *q* quantile of a histogram, by the labels of *by*; nothing when nothing happened."""
    buckets = f"rate({series(family, part='_bucket')}[$__rate_interval])"
    return f"histogram_quantile({q}, sum{_by(f'le, {by}' if by else 'le')} ({buckets}))"


def quantiles(family: Family) -> dict[str, str]:
    """The three quantiles that a graph of latencies shows."""
    return {name: quantile(q, family) for name, q in (("p50", "0.5"), ("p95", "0.95"), ("p99", "0.99"))}


def none_if(known: str, expr: str) -> str:
    """*expr*, and 0 where it has no series although *known* has one."""
    return f"{expr} or 0 * {known}"


def _by(labels: str) -> str:
    return f" by ({labels})" if labels else ""
