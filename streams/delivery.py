"""What a failure means, decided in one place.

*Transient*: the world failed (a database restarts, a rate limit). The entry stays first in
line and is tried for ever. *Unexpected*: perhaps a bug. Tried ``max_deliveries`` times,
then dead-lettered. *Hopeless*: it can never be handled. Dead-lettered at once.

A batch is handled as a whole. When that fails, its entries are handled one by one, in
order, so that one poison entry costs its neighbours nothing but time.

The rule for crashes. A process that dies leaves no exception, only pending entries, and a
restart by people looks the same. So being delivered again is no evidence by itself: it
only makes an entry a *suspect* from its third delivery on, which is then handled alone,
and each try is counted in Redis before it starts. A try that ends in an exception or in
silence stays counted; one that meets a transient failure is taken back. An entry under
which the process died alone ``max_deliveries`` times is dead-lettered before it is tried
again; entries that merely stood in the same batch are handled and cleared.

Nothing waits here: ``deliver`` says how long to wait, the reader waits, and the entry is
read again from the group's pending list. So a worker thread is never parked, a stop is
never delayed, and a lost lease is noticed between two tries.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from enum import Enum

import redis

from streams.consumer import Entry, StreamConsumer
from streams.hooks import DeadLetter

log = logging.getLogger(__name__)

#: Deliveries up to which an entry is still handled together with its neighbours: the first,
#: and one more after a restart or a lost reply.
TRUSTED_DELIVERIES = 2

#: The longest reason kept with a dead letter, in characters.
REASON_LENGTH = 2000

Handler = Callable[[Sequence[Entry]], None]


class Failure(Enum):
    """What to do about an error."""

    TRANSIENT = "transient"
    UNEXPECTED = "unexpected"
    HOPELESS = "hopeless"


Classify = Callable[[Exception], Failure]
OnDead = Callable[[DeadLetter], None]


class Delivery:
    """Hands batches of one subscription to its handler and settles each entry.

    *handler* gets entries in order and returns when their effects are durable. *on_dead*
    writes the row of a dead letter; it runs before the entry leaves the stream, perhaps
    more than once for the same letter, and its own failure is transient.
    """

    def __init__(self, consumer: StreamConsumer, handler: Handler, *, classify: Classify, on_dead: OnDead) -> None:
        self.consumer, self.handler, self.classify, self.on_dead = consumer, handler, classify, on_dead
        self.subscription, self.hooks = consumer.subscription, consumer.hooks
        self._failures = 0  # in a row, without progress
        self._condemned: DeadLetter | None = None  # decided, not yet buried

    def deliver(self, batch: Sequence[Entry]) -> float:
        """Handle *batch*; return the seconds to wait before reading on (0 after success).

        Whatever was not settled is still pending, and the consumer knows. Only errors that
        stand outside the promise of hooks and handlers go up.
        """
        try:
            return self._deliver(batch) or 0.0
        except redis.RedisError as e:
            log.warning("cannot settle entries of %s: %s", self.subscription.stream, e)
            return self._pause()

    # Below, None says "settled, go on" and a number "stop here and wait that many seconds", which may be 0.

    def _deliver(self, batch: Sequence[Entry]) -> float | None:
        if any(self._is_suspect(entry) for entry in batch):
            return self._one_by_one(batch)
        error = self._try(batch)
        if error is None:
            self._handled(batch)
            return None
        if len(batch) == 1:
            return self._judge(batch[0], error)
        if self._kind_of(error) is Failure.TRANSIENT:
            return self._retry(Failure.TRANSIENT, error)
        return self._one_by_one(batch)

    def _is_suspect(self, entry: Entry) -> bool:
        return entry.deliveries > TRUSTED_DELIVERIES or entry.attempts > 0

    def _one_by_one(self, batch: Sequence[Entry]) -> float | None:
        for entry in batch:
            if not self.consumer.is_allowed():
                self.consumer.doubt()
                return 0.0
            wait_s = self._alone(entry)
            if wait_s is not None:
                return wait_s
        return None

    def _alone(self, entry: Entry) -> float | None:
        if self._condemned is not None and self._condemned.entry_id == entry.id:
            return self._bury(entry, self._condemned.reason, self._condemned.attempts)
        attempt = self.consumer.attempts.add(entry.id)
        if attempt > self.subscription.max_deliveries:
            return self._bury(entry, died_reason(attempt - 1), attempt - 1)
        error = self._try([entry])
        if error is None:
            self._failures = 0
            self.consumer.settle(entry.id)
            return None
        return self._judge(entry, error, attempt)

    def _judge(self, entry: Entry, error: BaseException, attempt: int | None = None) -> float | None:
        """Decide about one failed entry; *attempt* is given when the try is already counted."""
        kind = self._kind_of(error)
        if kind is Failure.TRANSIENT:
            if attempt is not None:
                self.consumer.attempts.take_back(entry.id)
            return self._retry(kind, error)
        attempt = attempt or self.consumer.attempts.add(entry.id)
        if kind is Failure.HOPELESS or attempt >= self.subscription.max_deliveries:
            return self._bury(entry, _reason(error), attempt)
        return self._retry(kind, error)

    def _try(self, batch: Sequence[Entry]) -> BaseException | None:
        started = time.perf_counter()
        try:
            self.handler(batch)
        except BaseException as e:  # a SystemExit out of a handler must not end the subscription
            log.warning("%s failed on %d of %s: %r", self.subscription.group, len(batch), self.subscription.stream, e)
            log.debug("the failure in full", exc_info=e)
            return e
        self._told_handled(len(batch), time.perf_counter() - started)
        return None

    def _told_handled(self, entries: int, seconds: float) -> None:
        self.hooks.batch_handled(self.subscription.stream, self.subscription.group, entries, seconds)

    def _handled(self, batch: Sequence[Entry]) -> None:
        ids = [entry.id for entry in batch]
        if all(entry.deliveries == 1 for entry in batch):
            self.consumer.ack(ids)
        else:
            self.consumer.settle(*ids)
        self._failures = 0

    def _kind_of(self, error: BaseException) -> Failure:
        if not isinstance(error, Exception):
            return Failure.UNEXPECTED
        try:
            return self.classify(error)
        except Exception:
            log.exception("cannot classify %r", error)
            return Failure.UNEXPECTED

    def _retry(self, kind: Failure, error: BaseException) -> float:
        self.hooks.retried(self.subscription.stream, self.subscription.group, kind.value, error)
        return self._pause()

    def _pause(self) -> float:
        """Leave the rest pending and return how long to wait: longer with each failure in a row."""
        self.consumer.doubt()
        doubled = self.subscription.retry_ms * (1 << min(self._failures, 16))
        self._failures += 1
        return min(doubled, self.subscription.retry_max_ms) / 1000

    def _bury(self, entry: Entry, reason: str, attempts: int) -> float | None:
        letter = self.consumer.letter(entry, reason, attempts)
        self._condemned = letter
        try:
            self.on_dead(letter)
        except Exception as e:  # noqa: BLE001 - whatever fails there, the letter waits
            log.warning("cannot record the dead letter %s of %s: %r", entry.id, letter.stream, e)
            return self._retry(Failure.TRANSIENT, e)
        self.consumer.bury(entry, reason, attempts)
        self._condemned, self._failures = None, 0
        return None


def died_reason(tries: int) -> str:
    """Say why an entry is given up that left no error."""
    return f"{tries} tries without an end; the process died in the last one"


def _reason(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"[:REASON_LENGTH]
