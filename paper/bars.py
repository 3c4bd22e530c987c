"""Bars on the stock stream: one for each minute in which a stock was quoted, and the day's so far, at its end.

They are made from mid prices like those of the REST API, and only while somebody listens to them.
"""

from datetime import datetime, timedelta

from paper import wire_data
from paper.hub import Hub
from paper.market import Market
from paper.sockets import Message
from paper.stream_faults import STOCK
from paper.timeline import Rank, Timeline
from paper.wire_data import Frame

_MINUTE, _DAY = Frame(timedelta(minutes=1)), Frame(None)
#: Channels, what their messages are called, and how much of the past a bar is made of.
_CHANNELS = {"bars": ("b", _MINUTE), "dailyBars": ("d", _DAY)}


class Bars:
    """Tells the bars of one market."""

    def __init__(self, market: Market, hub: Hub, timeline: Timeline) -> None:
        self._market = market
        self._hub = hub
        self._timeline = timeline
        self._planned: datetime | None = None

    def quoted(self) -> None:
        """A stock was quoted: its minute is told when it is over."""
        if self._planned is None and any(self._hub.listens(STOCK, channel) for channel in _CHANNELS):
            start = _MINUTE.start(self._timeline.now)
            self._planned = start + timedelta(minutes=1)
            self._timeline.schedule(self._planned, Rank.MARKET, lambda: self._tell(start))

    def _tell(self, start: datetime) -> None:
        self._planned = None
        messages = [
            message
            for channel, (letter, frame) in _CHANNELS.items()
            if self._hub.listens(STOCK, channel)
            for message in self._messages(channel, letter, frame, start)
        ]
        self._hub.publish_market(STOCK, messages)

    def _messages(self, channel: str, letter: str, frame: Frame, start: datetime) -> list[Message]:
        """A bar of each stock that was quoted in the minute from *start* on."""
        end, found = start + timedelta(minutes=1), []
        for symbol in self._market.quoted_since(start, end):
            mids = self._market.mids_between(symbol, frame.start(start), end)
            [(at, bar)] = wire_data.bars(mids, frame)
            found.append(Message(channel, symbol, at, {"T": letter, "S": symbol} | bar))
        return found
