"""The rate limit: a bucket of requests per account that refills with this server's clock."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil

from paper import times


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a request passes, and what the X-RateLimit headers say about it."""

    allowed: bool
    limit: int
    remaining: int
    reset: int

    def headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": str(self.limit),
            "X-RateLimit-Remaining": str(self.remaining),
            "X-RateLimit-Reset": str(self.reset),
        }


class Bucket:
    """*limit* requests at most at once, refilled evenly over so many seconds of clock time."""

    def __init__(self, limit: int, now: datetime, seconds: int = 60) -> None:
        self._limit = limit
        self._seconds = seconds
        self._tokens = float(limit)
        self._at = now

    def take(self, now: datetime) -> Verdict:
        """Count one request."""
        elapsed = (now - self._at).total_seconds()
        self._at = now
        self._tokens = min(float(self._limit), self._tokens + elapsed * self._limit / self._seconds)
        allowed = self._tokens >= 1
        if allowed:
            self._tokens -= 1
        return Verdict(allowed, self._limit, int(self._tokens), self._full_at(now))

    def _full_at(self, now: datetime) -> int:
        """Epoch second at which the bucket is full again."""
        missing = timedelta(seconds=(self._limit - self._tokens) * self._seconds / self._limit)
        return ceil(times.epoch_ns(now + missing) / 1_000_000_000)


class Limits:
    """The buckets of all accounts, one for each API family; *per_second* limits bursts too, 0 does not."""

    def __init__(self, per_minute: int, per_second: int = 0) -> None:
        self._per_minute = per_minute
        self._per_second = per_second
        self._bursts: dict[tuple[str, str], Bucket] = {}
        self._buckets: dict[tuple[str, str], Bucket] = {}

    def take(self, account: str, family: str, now: datetime) -> Verdict:
        """Count one request of an account to an API family (trading or data)."""
        bucket = self._buckets.get((account, family))
        if bucket is None:
            bucket = self._buckets[account, family] = Bucket(self._per_minute, now)
        verdict = bucket.take(now)
        return verdict if self._burst_passes(account, family, now) else replace(verdict, allowed=False)

    def _burst_passes(self, account: str, family: str, now: datetime) -> bool:
        if not self._per_second:
            return True
        burst = self._bursts.setdefault((account, family), Bucket(self._per_second, now, seconds=1))
        return burst.take(now).allowed
