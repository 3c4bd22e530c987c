"""Every metric by name: what it means, its labels, and who offers it. ``docs/metrics.md`` is made from this list.

Names end in their unit; ages are in seconds of the stack's clock (a recorded day has its own), heartbeats and
latencies in seconds of the wall. Labels are bounded: ``symbol`` stands for open positions only, ``code`` and
``status`` come from closed lists. A value that nobody knows has no series.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

Kind = Literal["gauge", "counter", "histogram"]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. *name* is as it is queried; a histogram also has ``_bucket``, ``_sum`` and ``_count``."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()


_ACCOUNT: Final = ("account",)
_HELD: Final = ("account", "symbol")
_READER: Final = ("stream", "group")

# ---------------------------------------------------------------- every process

BUILD_INFO: Final = Family(
    "gapless_build_info", "gauge", "1, with the code and the configuration that run", ("version", "code", "config")
)

# ---------------------------------------------------------------- actors

STREAM_EVENTS: Final = Family(
    "gapless_stream_events_total",
    "counter",
    "Entries handled (ok), retried_transient, retried_unexpected, dead, lost_by_trim, and groups lost",
    (*_READER, "result"),
)
BATCH_SECONDS: Final = Family("gapless_batch_seconds", "histogram", "Time that a batch of a stream took", _READER)
DECISIONS: Final = Family(
    "gapless_decisions_total", "counter", "Decisions of the gate: approved or refused", (*_ACCOUNT, "outcome")
)
REFUSALS: Final = Family(
    "gapless_gate_refusals_total",
    "counter",
    "Checks that failed; a refused recommendation counts once for each, by the gate's name",
    (*_ACCOUNT, "gate"),
)
BLIND: Final = Family(
    "gapless_gate_blind_total",
    "counter",
    "Checks that failed because what they look at was unknown",
    (*_ACCOUNT, "gate"),
)
ORDER_RESULTS: Final = Family(
    "gapless_order_results_total",
    "counter",
    "Orders that were accepted, rejected, canceled or expired, or never sent (expired_unsent); why, as a code",
    (*_ACCOUNT, "action", "result", "code"),
)
FILLS: Final = Family(
    "gapless_fills_total", "counter", "Executions applied, by where they were read first", (*_ACCOUNT, "source")
)
EXITS: Final = Family("gapless_exit_triggers_total", "counter", "Closes asked for by an exit rule", (*_ACCOUNT, "rule"))
BROKER_REQUESTS: Final = Family(
    "gapless_broker_requests_total",
    "counter",
    "Requests to the brokerage by status class; 429 stands alone, none is no answer",
    (*_ACCOUNT, "endpoint", "status"),
)
BROKER_SECONDS: Final = Family(
    "gapless_broker_request_seconds", "histogram", "Time until the brokerage answered, or did not", ("endpoint",)
)
RECONNECTS: Final = Family(
    "gapless_feed_reconnects_total", "counter", "Connections of a feed after its first", ("feed",)
)
FRAMES: Final = Family("gapless_feed_frames_total", "counter", "Frames with data that a feed has read", ("feed",))
CONNECTED: Final = Family("gapless_feed_connected", "gauge", "1 while a feed is connected and listening", ("feed",))
FILL_TO_POSITION: Final = Family(
    "gapless_fill_to_position_seconds", "histogram", "From the frame that told of a fill to its position", _ACCOUNT
)
RECOMMENDATION_TO_DECISION: Final = Family(
    "gapless_recommendation_to_decision_seconds",
    "histogram",
    "From a recommendation's entry into its stream to its decision",
    _ACCOUNT,
)
DECISION_TO_ORDER: Final = Family(
    "gapless_decision_to_order_seconds",
    "histogram",
    "From an approved order to the brokerage's acceptance, on the stack's clock",
    ("action",),
)
TICK_TO_DECISION: Final = Family(
    "gapless_tick_to_decision_seconds", "histogram", "From a tick's entry into its stream to what exit made of it"
)
MISSED_BY_LIVE: Final = Family(
    "gapless_quotes_missed_by_live_feed_total",
    "counter",
    "Quotes of held symbols that REST had and the live feed had not brought 5 s later",
)

ACTOR_FAMILIES: Final = (
    BUILD_INFO,
    STREAM_EVENTS,
    BATCH_SECONDS,
    DECISIONS,
    REFUSALS,
    BLIND,
    ORDER_RESULTS,
    FILLS,
    EXITS,
    BROKER_REQUESTS,
    BROKER_SECONDS,
    RECONNECTS,
    FRAMES,
    CONNECTED,
    FILL_TO_POSITION,
    RECOMMENDATION_TO_DECISION,
    DECISION_TO_ORDER,
    TICK_TO_DECISION,
    MISSED_BY_LIVE,
)

# ---------------------------------------------------------------- the exporter: about itself

SOURCE_UP: Final = Family(
    "gapless_source_up",
    "gauge",
    "1 if the source could be read for this scrape; its state is absent if not",
    ("source",),
)
SOURCE_SECONDS: Final = Family(
    "gapless_source_read_seconds", "gauge", "How long reading the source took for this scrape", ("source",)
)

# ---------------------------------------------------------------- the exporter: accounts

STATE: Final = Family(
    "gapless_account_state", "gauge", "1 for the trading state that the account is in, else 0", (*_ACCOUNT, "state")
)
LOSS_LATCHED: Final = Family(
    "gapless_account_loss_latched", "gauge", "1 while the daily loss limit lets nothing open in this session", _ACCOUNT
)
OPEN_POSITIONS: Final = Family("gapless_account_open_positions", "gauge", "Positions that are held", _ACCOUNT)
COMMITTED: Final = Family(
    "gapless_account_committed_positions", "gauge", "Positions that are held or reserved by an opening order", _ACCOUNT
)
EXPOSURE: Final = Family(
    "gapless_account_exposure_usd", "gauge", "Dollars bound at entry prices, held and reserved", _ACCOUNT
)
RESERVATIONS: Final = Family(
    "gapless_account_reservations",
    "gauge",
    "Opening orders that can still fill: each reserves its unfilled part",
    _ACCOUNT,
)
RESERVED: Final = Family("gapless_account_reserved_usd", "gauge", "Dollars that reservations bind", _ACCOUNT)
MAX_POSITIONS: Final = Family(
    "gapless_account_max_positions", "gauge", "The limit of held and reserved positions", _ACCOUNT
)
MAX_EXPOSURE: Final = Family("gapless_account_max_exposure_usd", "gauge", "The limit of exposure", _ACCOUNT)
MAX_LOSS: Final = Family("gapless_account_max_daily_loss_usd", "gauge", "The limit of the daily loss", _ACCOUNT)
MAX_CONTRACTS: Final = Family(
    "gapless_account_max_contracts_per_order", "gauge", "The limit of contracts in one order", _ACCOUNT
)
REALIZED: Final = Family(
    "gapless_account_realized_pnl_usd",
    "gauge",
    "Dollars realised since the ledger began; absent once a position left without a known price",
    _ACCOUNT,
)
BREACHES: Final = Family(
    "gapless_limit_breaches_total",
    "counter",
    "Openings that were let in beyond a limit in force (never, we promise)",
    _ACCOUNT,
)
UNAPPLIED: Final = Family(
    "gapless_unapplied_fills", "gauge", "Ended orders that filled more at the brokerage than we have read", _ACCOUNT
)
UNAPPLIED_AGE: Final = Family(
    "gapless_unapplied_fill_age_seconds", "gauge", "Age of the oldest such order's end; 0 when there is none", _ACCOUNT
)
RECONCILE_AGE: Final = Family(
    "gapless_reconcile_age_seconds", "gauge", "Since the account was last compared; absent if it never was", _ACCOUNT
)
MISMATCHES: Final = Family(
    "gapless_reconcile_mismatches",
    "gauge",
    "Positions in which two readings of the brokerage's book differ from our rows in the same way",
    (*_ACCOUNT, "kind"),
)
UNHANDLED: Final = Family(
    "gapless_unhandled_activities",
    "gauge",
    "What the brokerage booked without an order and no rule of ours turned into a fill; absent where there is none",
    (*_ACCOUNT, "word"),
)
REJECTED: Final = Family(
    "gapless_recent_rejections",
    "gauge",
    "Orders that were rejected within the last 5 minutes",
    (*_ACCOUNT, "action", "code"),
)
RECENT_BLIND: Final = Family(
    "gapless_recent_blind_checks",
    "gauge",
    "Checks of the last 5 minutes that failed because what they look at was unknown",
    (*_ACCOUNT, "gate"),
)

UNDECIDED: Final = Family(
    "gapless_undecided_recommendations", "gauge", "Recommendations that were read and have no outcome yet", _ACCOUNT
)
UNDECIDED_AGE: Final = Family(
    "gapless_undecided_recommendation_age_seconds",
    "gauge",
    "Since the oldest of them entered its stream, on the wall clock; 0 when there is none",
    _ACCOUNT,
)

# ---------------------------------------------------------------- the exporter: positions

QUANTITY: Final = Family(
    "gapless_position_quantity",
    "gauge",
    "Units held, signed: as our rows say, and as the brokerage said when it was last compared",
    (*_HELD, "source"),
)
POSITION_AGE: Final = Family("gapless_position_age_seconds", "gauge", "Since the position was opened", _HELD)
TICK_AGE: Final = Family(
    "gapless_position_tick_age_seconds",
    "gauge",
    "Age of the last quote that feeds put on the stream; absent if there is none",
    _HELD,
)
OVERDUE: Final = Family(
    "gapless_position_overdue_seconds",
    "gauge",
    "Since the position should have been evaluated again; 0 while it is in time",
    _HELD,
)
PRICE_AGE: Final = Family(
    "gapless_position_price_age_seconds",
    "gauge",
    "Since exit saw a price at the side that the position leaves at, or the opening if later; absent if it never did",
    _HELD,
)
DISPUTED: Final = Family(
    "gapless_position_price_disputed",
    "gauge",
    "1 while two sources of prices contradict each other about the position, else 0",
    _HELD,
)
FAILED_CLOSES: Final = Family(
    "gapless_position_failed_closes",
    "gauge",
    "Closes of an open position that ended without closing what they were for",
    _HELD,
)

# ---------------------------------------------------------------- the exporter: the stack

CLOSES_WAITING: Final = Family(
    "gapless_account_closes_waiting_for_open",
    "gauge",
    "Positions that are to be left and cannot be, because the market is closed",
    ("account",),
)
MARKET_OPEN: Final = Family(
    "gapless_market_open", "gauge", "1 within a session, 0 outside; absent when the calendar is unknown"
)
INSTANCES: Final = Family(
    "gapless_actor_instances", "gauge", "Copies of an actor with a heartbeat within the last 30 s", ("actor",)
)
HEARTBEAT_AGE: Final = Family(
    "gapless_heartbeat_age_seconds",
    "gauge",
    "Since any copy of an actor last proved itself; absent if none ever did",
    ("actor",),
)
ACTOR_INFO: Final = Family(
    "gapless_actor_info",
    "gauge",
    "1 for each living copy of an actor, with the code and the configuration that it runs",
    ("actor", "instance", "version", "code", "config"),
)
DEAD_LETTERS: Final = Family("gapless_dead_letters", "gauge", "Dead letters that nobody has decided about", _READER)
OUTBOX: Final = Family("gapless_outbox_waiting", "gauge", "Facts that are decided and not yet published")
STREAM_LENGTH: Final = Family("gapless_stream_length", "gauge", "Entries on a stream", ("stream",))
STREAM_PENDING: Final = Family(
    "gapless_stream_pending", "gauge", "Entries that were delivered to a group and are not handled", _READER
)
STREAM_AGE: Final = Family(
    "gapless_stream_oldest_unprocessed_age_seconds",
    "gauge",
    "Age of the oldest entry that a group has not handled, on the server's clock; 0 when there is none",
    _READER,
)

ROW_FAMILIES: Final = (
    STATE,
    LOSS_LATCHED,
    OPEN_POSITIONS,
    COMMITTED,
    EXPOSURE,
    RESERVATIONS,
    RESERVED,
    MAX_POSITIONS,
    MAX_EXPOSURE,
    MAX_LOSS,
    MAX_CONTRACTS,
    REALIZED,
    BREACHES,
    UNAPPLIED,
    UNAPPLIED_AGE,
    RECONCILE_AGE,
    MISMATCHES,
    UNHANDLED,
    REJECTED,
    RECENT_BLIND,
    UNDECIDED,
    UNDECIDED_AGE,
    QUANTITY,
    POSITION_AGE,
    OVERDUE,
    FAILED_CLOSES,
    PRICE_AGE,
    DISPUTED,
    CLOSES_WAITING,
    MARKET_OPEN,
    INSTANCES,
    HEARTBEAT_AGE,
    ACTOR_INFO,
    DEAD_LETTERS,
    OUTBOX,
)
STREAM_FAMILIES: Final = (TICK_AGE, STREAM_LENGTH, STREAM_PENDING, STREAM_AGE)
EXPORTER_FAMILIES: Final = (BUILD_INFO, SOURCE_UP, SOURCE_SECONDS, *ROW_FAMILIES, *STREAM_FAMILIES)

#: Every metric once, actors first.
ALL: Final = tuple(dict.fromkeys((*ACTOR_FAMILIES, *EXPORTER_FAMILIES)))
