"""A frame of the live view: a snapshot laid out on exactly the lines and columns that the terminal has.

Which panel has how many lines follows from the terminal's height and the number of accounts alone, never from what
has happened: nothing jumps while one reads. What does not fit is counted. Narrow terminals lose columns,
low ones panels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from cli.live_data import ROWS, Account, Held, Snapshot
from cli.live_words import LIMIT, LOSS, QUIET, bar, contract, gain, new_york, refusal, span

#: From this many columns on everything is shown.
WIDE: Final = 100
#: Columns of what stands first in a row: a moment, and a contract in trader's notation.
_TIME, _CONTRACT, _MAX_ACCOUNT = 8, 20, 10
#: The panels in the order in which lines are given to them: least and usual number of lines, the header included.
_LINES: Final[Mapping[str, tuple[int, int]]] = {
    "positions": (4, 7),
    "decisions": (4, 7),
    "closed": (3, 5),
    "orders": (2, 3),
}
#: In which order the panels stand.
_ORDER: Final = ("positions", "orders", "decisions", "closed")
_CLOCK_LINES, _FOOT_LINES = 1, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """The terminal: its size, and whether it can show more than ASCII."""

    width: int
    height: int
    ascii_only: bool

    @property
    def wide(self) -> bool:
        return self.width >= WIDE


def frame(snap: Snapshot, look: Look, notes: Sequence[Text] = ()) -> RenderableType:
    """Return the frame; *notes* stand in the last line, before what else is out of order."""
    shown = _accounts_shown(snap, look)
    lines = panel_lines(look.height - _CLOCK_LINES - _FOOT_LINES - shown - 1)
    makers = {"positions": _positions, "decisions": _decisions, "closed": _closed, "orders": _orders}
    return Group(
        _clock(snap),
        _accounts(snap, look, shown),
        *(makers[name](snap, look, lines[name]) for name in _ORDER if name in lines),
        *_foot(snap, notes),
    )


def panel_lines(lines: int) -> dict[str, int]:
    """Share *lines* out: first the least to each panel while it fits, then the usual, then the rest in turn."""
    given: dict[str, int] = {}
    for name, (least, _) in _LINES.items():
        if lines - sum(given.values()) < least:
            break
        given[name] = least
    spare = max(0, lines) - sum(given.values())
    for name in given:
        more = min(spare, _LINES[name][1] - given[name])
        given[name] += more
        spare -= more
    while spare and (growing := [name for name in given if given[name] <= ROWS]):
        for name in growing[:spare]:
            given[name] += 1
        spare -= min(spare, len(growing))
    return given


# ---------------------------------------------------------------- the parts


def _clock(snap: Snapshot) -> Table:
    at = f"New York {snap.session['new_york']}   UTC {snap.now:%H:%M:%S}   "
    line = Text(at, style="bold", no_wrap=True, overflow="ellipsis")
    line.append(session_words(snap), style="bold" if snap.session["state"] == "open" else "")
    grid = Table.grid(expand=True)
    grid.add_column(ratio=1)
    grid.add_column(justify="right", no_wrap=True)
    live = snap.mode == "alpaca-live"
    grid.add_row(line, Text("REAL MONEY" if live else snap.mode, style="bold red" if live else QUIET))
    return grid


def session_words(snap: Snapshot) -> str:
    """Say where the trading day stands: before the open, open, closed, or that nobody knows."""
    session = snap.session
    if session["closes_in_s"] is not None:
        return f"open, closes in {span(session['closes_in_s'])}"
    if session["next_open"] is not None:
        before = "" if session["state"] == "before the open" else f"{session['state']}, "
        return f"{before}opens in {span((session['next_open'] - snap.now).total_seconds())}"
    return "session unknown" if session["state"] == "unknown" else str(session["state"])


def _accounts_shown(snap: Snapshot, look: Look) -> int:
    """A third of the terminal at most."""
    return max(1, min(len(snap.accounts), look.height // 3))


def _accounts(snap: Snapshot, look: Look, rows: int) -> Table:
    table = _table("Accounts", _name_width(snap) + 9)
    _columns(table, "positions:15", "exposure USD:31" if look.wide else "exposure USD:26", ">today USD:11")
    if look.wide:
        _columns(table, ">realised:11", ">open:11")
    _columns(table, "")
    return _filled(table, rows, [_account(account, snap, look) for account in snap.accounts])


def _account(account: Account, snap: Snapshot, look: Look) -> list[Text]:
    name = Text(f"{_fit(account.name, _name_width(snap))} ")
    name.append(account.state, style="" if account.state == "active" else LIMIT)
    exposure = f" {account.exposure_usd:,.0f} of {account.max_exposure_usd:,.0f}"
    bars = [
        bar(account.positions, account.max_positions, 8, ascii_only=look.ascii_only).append(
            f" {account.positions} of {account.max_positions}"
        ),
        bar(account.exposure_usd, account.max_exposure_usd, 14 if look.wide else 9, ascii_only=look.ascii_only).append(
            exposure
        ),
    ]
    split = [gain(account.realized_usd), gain(account.open_usd)] if look.wide else []
    return [name, *bars, gain(account.today_usd), *split]


def _positions(snap: Snapshot, look: Look, lines: int) -> Table:
    table = _table(f"Open positions {len(snap.positions)}", _name_width(snap) + 1 + _CONTRACT)
    _columns(table, ">qty:5", *([">entry:8"] if look.wide else []), ">mark:8", *([">quoted:7"] if look.wide else []))
    _columns(table, ">USD:10", ">%:7", ">held:7", "rule")
    return _filled(table, lines - 1, [_position(held, snap, look) for held in snap.positions])


def _position(held: Held, snap: Snapshot, look: Look) -> list[Text]:
    mark = Text(held.no_price, style=QUIET) if held.price is None else Text(f"{held.price:,.2f}")
    quoted = Text(span(held.quoted_age_s) if held.quoted_age_s is not None else "", style=QUIET)
    return [
        _where(held.account, held.symbol, snap),
        Text(str(held.qty)),
        *([Text(f"{held.entry_price:,.2f}")] if look.wide else []),
        mark,
        *([quoted] if look.wide else []),
        gain(held.pnl_usd),
        gain(held.pnl_pct, 1),
        Text(span(held.held_s)),
        Text(held.leaving) if held.leaving else Text(held.coming, style=QUIET),
    ]


def _orders(snap: Snapshot, _look: Look, lines: int) -> Table:
    table = _table(f"Orders under way {len(snap.orders)}", _name_width(snap) + 1 + _CONTRACT)
    _columns(table, "", ">filled:9", ">price:8", ":10", ">age:7")
    return _filled(table, lines - 1, [_order(order, snap) for order in snap.orders])


def _order(order: Mapping[str, Any], snap: Snapshot) -> list[Text]:
    price = order["type"] if order["limit_price"] is None else f"{Decimal(order['limit_price']):,.2f}"
    asked = order["cancel_asked_at"] is not None
    return [
        _where(order["account"], order["symbol"], snap),
        Text(f"{order['intent'].replace('_', ' ')} {order['qty']}"),
        Text(f"{order['filled_qty']} of {order['qty']}"),
        Text(price),
        Text("canceling" if asked else order["status"]),
        Text(span(order["age_s"])),
    ]


def _decisions(snap: Snapshot, look: Look, lines: int) -> Table:
    counts = snap.counts
    title = f"Decisions  {counts['approved']} approved, {counts['refused']} refused"
    table = _table(title, _TIME + 1 + _name_width(snap) + 1 + _CONTRACT)
    _columns(table, "")
    return _filled(table, lines - 1, [_decision(row, snap, look) for row in snap.decisions], newest_first=True)


def _decision(row: Mapping[str, Any], snap: Snapshot, look: Look) -> list[Text]:
    where = _where(row["account"], row["symbol"] or "", snap, new_york(row["at"]))
    return [where, Text(_approved(row)) if row["outcome"] == "approved" else _refused(row, look)]


def _approved(row: Mapping[str, Any]) -> str:
    price = "" if row["limit_price"] is None else f" at {row['limit_price']:,.2f}"
    cut = "" if row["asked_qty"] in (None, str(row["qty"])) else f" (of {row['asked_qty']} asked)"
    return f"approved: {row['action'].lower()} {row['qty']}{price}{cut}"


def _refused(row: Mapping[str, Any], look: Look) -> Text:
    """The number of reasons stands first: it survives when the line is cut."""
    reasons = [refusal(check) for check in row["refusals"]]
    number = f"({len(reasons)}) " if len(reasons) > 1 else ""
    return Text(f"{'refused: ' if look.wide else ''}{number}{'; '.join(reasons)}")


def _closed(snap: Snapshot, look: Look, lines: int) -> Table:
    table = _table(f"Closed  {snap.counts['closed']} today", _TIME + 1 + _name_width(snap) + 1 + _CONTRACT)
    if look.wide:
        _columns(table, ">qty:4", ">entry:8", ">exit:8")
    _columns(table, ">USD:10", ">%:7", "by:11", "held")
    return _filled(table, lines - 1, [_left(row, snap, look) for row in snap.closed], newest_first=True)


def _left(row: Mapping[str, Any], snap: Snapshot, look: Look) -> list[Text]:
    leaving = Text("unknown", style=QUIET) if row["exit_price"] is None else Text(f"{row['exit_price']:,.2f}")
    prices = [Text(str(row["max_qty"])), Text(f"{row['entry_price']:,.2f}"), leaving] if look.wide else []
    held = Text(span((row["closed_at"] - row["opened_at"]).total_seconds()))
    result = [gain(row["realized_pnl_usd"]), gain(row["pnl_pct"], 1)]
    why = Text(row["exit_reason"].replace("_", " "))
    return [_where(row["account"], row["symbol"], snap, new_york(row["closed_at"])), *prices, *result, why, held]


# ---------------------------------------------------------------- the foot


def _foot(snap: Snapshot, notes: Sequence[Text]) -> Iterator[Text]:
    yield _one_line(Text.assemble(_lag(snap), "   ", _gap(snap.gap_ms)))
    troubles = [*notes, *_troubles(snap)]
    calm = Text("no breach, no drift, no dead letter", style=QUIET)
    yield _one_line(Text("   ").join(troubles) if troubles else calm)


def _gap(gap_ms: Mapping[str, float | None]) -> str:
    times = [gap_ms[p] for p in ("p50", "p99", "max")]
    if None in times:
        return "fill to position: nothing measured yet"
    return f"fill to position {' / '.join(f'{ms:,.0f}' for ms in times)} ms (p50 / p99 / max)"


def _one_line(line: Text) -> Text:
    line.no_wrap, line.overflow = True, "ellipsis"
    return line


def _lag(snap: Snapshot) -> Text:
    if snap.groups is None:
        return Text("streams do not answer", style=LOSS)
    worst = snap.worst
    if worst is None:
        return Text("streams caught up")
    behind_s = None if worst.oldest_age_ms is None else worst.oldest_age_ms / 1000
    behind = "unknown" if behind_s is None else f"{behind_s:.1f} s"
    return Text(f"{worst.stream.partition('.')[0]} to {worst.group}: {behind} behind, {worst.pending} pending")


def _troubles(snap: Snapshot) -> Iterator[Text]:
    for number, one, many in (
        (snap.breaches, "breach", "breaches"),
        (snap.counts["drift"], "drift", "drifts"),
        (snap.counts["dead_letters"], "dead letter", "dead letters"),
    ):
        if number:
            yield Text(f"{number} {one if number == 1 else many}", style=LOSS)
    for account in snap.accounts:
        if account.state != "active":
            yield Text(f"{account.name} {account.state}: {account.state_reason}", style=LIMIT)
        elif account.loss_latched:
            yield Text(f"{account.name}: daily loss limit reached, no entry today", style=LIMIT)


# ---------------------------------------------------------------- lines and columns


def _name_width(snap: Snapshot) -> int:
    return min(_MAX_ACCOUNT, max((len(account.name) for account in snap.accounts), default=1))


def _fit(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _where(account: str, symbol: str, snap: Snapshot, at: str = "") -> Text:
    return Text(f"{at} {_fit(account, _name_width(snap))} {contract(symbol)}".strip())


def _table(title: str, width: int) -> Table:
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False, header_style="underline")
    table.add_column(Text(title, style="bold"), width=width, no_wrap=True, overflow="ellipsis")
    return table


def _columns(table: Table, *specs: str) -> None:
    """Add columns written as ``>name:width``: ``>`` aligns numbers to the right, without a width it takes the rest."""
    for spec in specs:
        name, _, width = spec.removeprefix(">").partition(":")
        table.add_column(
            name,
            justify="right" if spec.startswith(">") else "left",
            width=int(width) if width else None,
            ratio=None if width else 1,
            no_wrap=True,
            overflow="ellipsis",
        )


def _filled(table: Table, rows: int, cells: Sequence[Iterable[Text]], *, newest_first: bool = False) -> Table:
    """Fill exactly *rows* lines. What does not fit is counted, except the older ends of lists that never end."""
    cut = len(cells) > rows and not newest_first
    shown = cells[: rows - 1] if cut else cells[:rows]
    for row in shown:
        table.add_row(*row)
    if cut:
        table.add_row(Text(f"and {len(cells) - len(shown)} more", style=QUIET))
    for _ in range(rows - table.row_count):
        table.add_row()
    return table
