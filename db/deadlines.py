"""When the next rule of time falls due: a recorded day steps there, so nothing happens later than it would live."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, text


def after(tx: Connection, now: datetime, entry_ttl: timedelta) -> datetime | None:
    """Return the first moment after *now* at which an order or a position has something to do by itself."""
    moment: datetime | None = tx.execute(
        text(
            "SELECT min(at) FROM ("
            " SELECT approved_at + :ttl AS at FROM orders WHERE ended_at IS NULL AND opening AND NOT external"
            " UNION ALL"
            " SELECT awaited_until FROM orders WHERE ended_at IS NULL AND awaited_until IS NOT NULL"
            " UNION ALL"
            " SELECT unnest(ARRAY[retry_at, opened_at + (policy ->> 'min_hold')::int * interval '1 s',"
            "                     opened_at + (policy ->> 'max_hold')::int * interval '1 s',"
            "                     opened_at + (policy ->> 'progress_after')::int * interval '1 s'])"
            "   FROM positions JOIN exit_plans USING (position_id) WHERE closed_at IS NULL"
            " UNION ALL"
            " SELECT unnest(ARRAY[close - (policy ->> 'flatten_before_close')::int * interval '1 s',"
            "                     close - (policy ->> 'flatten_before_half_day_close')::int * interval '1 s',"
            "                     close - (policy ->> 'close_before_expiry')::int * interval '1 s',"
            "                     CASE WHEN policy -> 'near_expiry' <> '[]' THEN open END])"
            "   FROM positions JOIN exit_plans USING (position_id), sessions"
            "  WHERE closed_at IS NULL AND close > :now"
            " UNION ALL"
            " SELECT close - (w ->> 'before_close')::int * interval '1 s'"
            "   FROM positions JOIN exit_plans USING (position_id), sessions,"
            "        jsonb_array_elements(policy -> 'windows') AS w"
            "  WHERE closed_at IS NULL AND close > :now) AS due WHERE at > :now"
        ),
        {"now": now, "ttl": entry_ttl},
    ).scalar_one()
    return moment
