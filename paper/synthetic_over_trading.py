"""3 February 2026: twelve recommendations in thirteen minutes against limits of five positions and $10,000.

Documented: the twelve underlyings in this order, that all are PUTs, their premium
notionals (together $106,090), the window 17:29 to 17:42 UTC, some confidences of that
day (GOOGL 0.596, INTC and QCOM 0.57; too low: AMD 0.506, AVGO 0.46 at 16:48, ORCL 0.47
at 16:57) and two contracts (NOW 110 and QCOM 145 puts). Made: every other contract and
time, the ten contracts per order, and every price beyond those premiums.

The burst comes twice: at the documented size, where dollars decide, and an hour later
at a tenth of it, where the number of positions decides. In between the price paths
bring the large account's two positions to their exits.
"""

from dataclasses import dataclass
from datetime import date, timedelta

from paper.synthetic_authoring import Fact, Option, Script
from paper.synthetic_spec import ContractSpec, DaySpec, Pin, UnderlyingSpec

_SCRIPT = Script(date(2026, 2, 3))
_EXPIRATION = date(2026, 2, 20)
_pin = _SCRIPT.pin

#: The bursts begin at these times, and their recommendations follow each other at this distance.
_BURST, _TENTH, _EVERY = "17:29:20", "18:30:20", timedelta(seconds=68)


@dataclass(frozen=True, slots=True)
class _Order:
    """One of the twelve: ten contracts at *premium* are the documented notional."""

    contract: Option
    premium: str
    confidence: str


def _put(underlying: str, strike: str) -> Option:
    return Option(underlying, _EXPIRATION, "PUT", strike)


_TWELVE = (
    _Order(_put("MSFT", "405"), "7.20", "0.585"),
    _Order(_put("CRM", "195"), "6.70", "0.59"),
    _Order(_put("META", "680"), "17.10", "0.575"),
    _Order(_put("AVGO", "315"), "14.40", "0.58"),
    _Order(_put("AMD", "240"), "12.55", "0.6"),
    _Order(_put("AAPL", "267.5"), "3.05", "0.565"),
    _Order(_put("QCOM", "146"), "8.45", "0.57"),
    _Order(_put("QCOM", "145"), "8.05", "0.57"),
    _Order(_put("GOOGL", "337.5"), "12.75", "0.596"),
    _Order(_put("NVDA", "177.5"), "5.75", "0.58"),
    _Order(_put("ORCL", "155"), "8.45", "0.57"),
    _Order(_put("INTC", "48"), "1.64", "0.57"),
)

_AAPL, _INTC, _AMD, _QCOM = (
    _put(*name) for name in (("AAPL", "267.5"), ("INTC", "48"), ("AMD", "240"), ("QCOM", "145"))
)
_AVGO, _ORCL = _put("AVGO", "315"), _put("ORCL", "155")
_NOW, _NOW_FAR, _INTC_FAR = _put("NOW", "110"), _put("NOW", "90"), _put("INTC", "30")

#: Where the prices go besides the premiums of the two bursts.
_PATHS: dict[Option, tuple[Pin, ...]] = {
    # large, burst: armed at +30 %, peak +40 %, gives a quarter of it back: trailing. Falls on to the second burst.
    _put("MSFT", "405"): (
        _pin("17:44:00", "bid", "8.70"),
        _pin("17:56:00", "bid", "10.10"),
        _pin("18:06:00", "bid", "8.95"),
        _pin("20:54:00", "bid", "7.75"),
    ),
    # large, burst: the stop at -40 % after the minimum hold. tiny, 19:02: a jump of the stock halves it at once.
    _INTC: (
        _pin("18:08:00", "bid", "1.20"),
        _pin("18:15:00", "bid", "0.96", until="18:16:00"),
        _pin("19:02:30", "ask", "1.70", until="19:03:30"),
        _pin("19:14:00", "bid", "1.60"),
        _pin("19:15:00", "bid", "0.80", until="19:16:00"),
    ),
    # large, second burst: the target at +80 %.
    _put("CRM", "195"): (
        _pin("19:50:00", "bid", "7.80"),
        _pin("20:05:00", "bid", "12.20", until="20:06:00"),
    ),
    # large, second burst: the stop at -40 %.
    _put("META", "680"): (
        _pin("19:25:00", "bid", "13.60"),
        _pin("19:40:00", "bid", "10.10", until="19:41:00"),
    ),
    # large, second burst: trailing from a peak of +40 %.
    _put("AVGO", "315"): (
        _pin("19:15:00", "bid", "17.90"),
        _pin("19:21:00", "bid", "20.20"),
        _pin("19:32:00", "bid", "18.10"),
    ),
    # large, second burst: quiet until a SELL closes it.
    _AMD: (_pin("20:20:00", "bid", "12.90"),),
    # tiny: quiet for the four hours after which a day trade is closed.
    _AAPL: (
        _pin("14:46:30", "ask", "2.95", until="14:47:30"),
        _pin("18:46:30", "bid", "3.12"),
    ),
}


def _clock(start: str, number: int) -> str:
    return f"{_SCRIPT.at(start) + number * _EVERY:%H:%M:%S}"


def _premium_pins(order: _Order) -> tuple[Pin, ...]:
    """Return the pins that make the order's ask its documented premium, in both bursts, for a minute each."""
    number = _TWELVE.index(order)
    return tuple(
        _pin(_clock(start, number), "ask", order.premium, until=_clock(start, number + 1)) for start in (_BURST, _TENTH)
    )


def _stock(symbol: str, spot: float, *more: ContractSpec, realised_vol: float = 0.2) -> UnderlyingSpec:
    """Return a stock with its contracts of the twelve, the first of which leads it, and *more*."""
    ours = (order for order in _TWELVE if order.contract.underlying == symbol)
    listed = (order.contract.listed(*_premium_pins(order), *_PATHS.get(order.contract, ())) for order in ours)
    return UnderlyingSpec(symbol=symbol, spot=spot, realised_vol=realised_vol, contracts=(*listed, *more))


def _burst(name: str, start: str, qty: int) -> list[Fact]:
    return [
        _SCRIPT.recommendation(
            f"20260203-{name}-{number + 1:02d}",
            _clock(start, number),
            order.contract.named,
            qty=qty,
            confidence=order.confidence,
        )
        for number, order in enumerate(_TWELVE)
    ]


def _recommendations() -> tuple[Fact, ...]:
    """Return the day's recommendations in order of delivery."""
    say = _SCRIPT.recommendation
    burst, tenth = _burst("burst", _BURST, 10), _burst("tenth", _TENTH, 1)
    return (
        say("20260203-before-open", "14:29:10", _AAPL.named, qty=1, confidence="0.6"),
        say("20260203-tiny-01", "14:46:30", _AAPL.named, accounts=("tiny",), qty=1, confidence="0.61"),
        say("20260203-tiny-02", "16:07:52", _NOW.named, accounts=("tiny",), qty=1, confidence="0.58"),
        say("20260203-tiny-03", "16:07:53", _QCOM.named, accounts=("tiny",), qty=1, confidence="0.57"),
        say("20260203-wrong-type", "16:20:05", ("QCOM", "CALL", _QCOM.symbol), qty=1, confidence="0.6"),
        say("20260203-low-01", "16:48:00", _AVGO.named, qty=1, confidence="0.46"),
        say("20260203-low-02", "16:57:00", _ORCL.named, qty=1, confidence="0.47"),
        say("20260203-low-03", "17:05:30", _AMD.named, qty=1, confidence="0.506"),
        say("20260203-wide-spread", "17:12:40", _NOW_FAR.named, qty=1, confidence="0.62"),
        say("20260203-no-bid", "17:14:10", _INTC_FAR.named, qty=1, confidence="0.62"),
        *burst,
        burst[0],  # delivered a second time, twelve minutes later
        say("20260203-stale", "17:10:00", _AAPL.named, qty=1, confidence="0.66"),  # delivered half an hour late
        say("20260203-never-short", "17:50:15", ("CRM", "STOCK", "CRM"), action="SELL", qty=11, confidence="0.6"),
        *tenth,
        say("20260203-tiny-04", "19:02:30", _INTC.named, accounts=("tiny",), notional_usd="200", confidence="0.63"),
        say("20260203-signal-exit", "20:20:00", _AMD.named, action="SELL", qty=1, confidence="0.64"),
        say("20260203-not-held", "20:24:00", _QCOM.named, action="SELL", qty=5, confidence="0.6"),
        say("20260203-too-late", "20:50:00", _AAPL.named, accounts=("large", "tiny"), qty=1, confidence="0.64"),
        say("20260203-after-close", "21:01:30", _AAPL.named, qty=1, confidence="0.6"),
    )


OVER_TRADING = DaySpec(
    seed=20260203,
    open=_SCRIPT.at("14:30:00"),
    close=_SCRIPT.at("21:00:00"),
    note=(
        "Synthetic: every price, size and trade in this folder is made by a seeded generator. Real, because "
        "documented, are only the twelve put recommendations of 3 February 2026, 17:29 to 17:42 UTC: their "
        "underlyings, their order and their premium notionals of $106,090 in all. days/README.md says which is which."
    ),
    underlyings=(
        _stock("MSFT", 411.0),
        _stock("CRM", 196.0),
        _stock("META", 690.0),
        _stock("AVGO", 321.0),
        _stock("AMD", 243.0),
        _stock("AAPL", 270.0, realised_vol=0.15),
        _stock("QCOM", 148.0),
        _stock("GOOGL", 340.0),
        _stock("NVDA", 180.0),
        _stock("ORCL", 156.0),
        _stock("INTC", 49.0, _INTC_FAR.listed(trades_per_day=3.0)),
        UnderlyingSpec(
            symbol="NOW",
            spot=112.0,
            implied_vol=0.55,
            contracts=(
                _NOW.listed(),
                _NOW_FAR.listed(spread_ratio=0.45, trades_per_day=3.0),
            ),
        ),
    ),
    recommendations=_recommendations(),
)
