"""4 February 2026: two positions that the broker closed 4 min 20 s after they opened, unseen by a poller.

Documented: the BMY, WMT and INTC contracts; quantities, entry prices and the moments of
opening and closing; the values of about 16:10 UTC; INTC's mark standing at 1.84 for four
minutes; eight AMZN calls bought at 10.00 and worth 9.95 twenty-two seconds later; the
entries of UNH and CSCO at 20:12; BAC at 1.16 and PFE at 0.43. Made: the other contracts,
the moments of BAC and PFE, the refused recommendations, and every price in between.

The broker's closes are the large account's only: the tiny account holds one of the same
BMY contracts and must keep it.
"""

from datetime import date

from paper.synthetic_authoring import Fact, Option, Script
from paper.synthetic_spec import ContractSpec, DaySpec, Pin, UnderlyingSpec

_SCRIPT = Script(date(2026, 2, 4))
_FEB_13, _FEB_20 = date(2026, 2, 13), date(2026, 2, 20)
_pin = _SCRIPT.pin

_BMY = Option("BMY", _FEB_20, "CALL", "57.5")
_WMT = Option("WMT", _FEB_13, "CALL", "130")
_AMZN = Option("AMZN", _FEB_20, "CALL", "240")
_INTC = Option("INTC", _FEB_20, "CALL", "49.5")
_UNH = Option("UNH", _FEB_20, "CALL", "285")
_CSCO = Option("CSCO", _FEB_20, "CALL", "80")
_BAC = Option("BAC", _FEB_20, "PUT", "53")
_PFE = Option("PFE", _FEB_20, "CALL", "26.5")
_UNH_FAR = Option("UNH", _FEB_20, "CALL", "305")


def _stock(
    leads: Option, spot: float, *pins: Pin, more: tuple[ContractSpec, ...] = (), realised_vol: float = 0.18
) -> UnderlyingSpec:
    """Return a stock whose path is given by the *pins* of one contract."""
    return UnderlyingSpec(
        symbol=leads.underlying, spot=spot, realised_vol=realised_vol, contracts=(leads.listed(*pins), *more)
    )


def _recommendations() -> tuple[Fact, ...]:
    """Return the day's recommendations in order of delivery."""
    say, both = _SCRIPT.recommendation, ("large", "tiny")
    return (
        say("20260204-tiny-01", "14:52:10", _BAC.named, accounts=("tiny",), qty=1, confidence="0.62"),
        say("20260204-bmy", "16:06:39", _BMY.named, accounts=both, qty=10, confidence="0.61"),
        say("20260204-wmt", "16:06:40", _WMT.named, qty=10, confidence="0.6"),
        say("20260204-wmt-again", "16:08:10", _WMT.named, qty=1, confidence="0.6"),
        say("20260204-tiny-02", "16:30:00", _INTC.named, accounts=("tiny",), qty=1, confidence="0.58"),
        say("20260204-wide-spread", "17:20:30", _UNH_FAR.named, qty=1, confidence="0.63"),
        say("20260204-wrong-underlying", "17:31:00", ("MSFT", "CALL", _AMZN.symbol), qty=1, confidence="0.63"),
        say("20260204-low", "17:45:00", _CSCO.named, qty=1, confidence="0.54"),
        say("20260204-amzn", "18:03:55", _AMZN.named, qty=8, confidence="0.64"),
        say("20260204-intc", "18:14:00", _INTC.named, qty=10, confidence="0.59"),
        say("20260204-stale", "17:55:00", _PFE.named, qty=1, confidence="0.66"),  # delivered nineteen minutes late
        say(
            "20260204-tiny-03",
            "19:05:20",
            _PFE.named,
            accounts=("tiny",),
            qty=1,
            confidence="0.5",
            strategy="swing_trade",
        ),
        say("20260204-unh", "20:12:00", _UNH.named, qty=10, confidence="0.6"),
        say("20260204-csco", "20:12:43", _CSCO.named, qty=10, confidence="0.58"),
        say("20260204-after-close", "21:00:30", _CSCO.named, qty=1, confidence="0.6"),
    )


FOUR_MINUTES = DaySpec(
    seed=20260204,
    open=_SCRIPT.at("14:30:00"),
    close=_SCRIPT.at("21:00:00"),
    note=(
        "Synthetic: every price, size and trade in this folder is made by a seeded generator. Real, because "
        "documented, are only the positions of 4 February 2026 (contracts, quantities, entry prices, moments of "
        "opening and closing, a few marks), and the made prices pass through them. days/README.md says which is which."
    ),
    underlyings=(
        # Bought at 1.69, marked 1.61 at 16:10, closed by the broker at 16:10:59. In tiny it runs on to its stop.
        _stock(
            _BMY,
            57.3,
            _pin("16:06:39", "ask", "1.69", until="16:07:39"),
            _pin("16:10:00", "mid", "1.61", until="16:11:30"),
            _pin("16:50:00", "bid", "1.30"),
            _pin("17:20:00", "bid", "0.98", until="17:21:00"),
        ),
        # Bought at 1.60, marked 1.51 at 16:10, closed by the broker at 16:11:00.
        _stock(
            _WMT,
            128.5,
            _pin("16:06:40", "ask", "1.60", until="16:07:40"),
            _pin("16:10:00", "mid", "1.51", until="16:11:30"),
        ),
        # Bought at 10.00, bid 9.95 twenty-two seconds later; then quiet until the end of the day.
        _stock(
            _AMZN,
            237.0,
            _pin("18:03:55", "ask", "10.00", spread="0.15"),
            _pin("18:04:17", "bid", "9.95", until="18:05:00", spread="0.15"),
            _pin("18:30:00", "bid", "10.05"),
            _pin("20:54:00", "bid", "10.30"),
            realised_vol=0.12,
        ),
        # Bought at 1.93; the mark (the bid) stands at 1.84 from 18:14:45 to 18:17:46.
        _stock(
            _INTC,
            48.9,
            _pin("18:13:00", "ask", "1.93", until="18:18:30", spread="0.09"),
            _pin("20:54:00", "bid", "2.02"),
            realised_vol=0.15,
        ),
        _stock(
            _UNH,
            284.0,
            _pin("20:12:00", "ask", "5.90", until="20:13:00"),
            more=(_UNH_FAR.listed(spread_ratio=0.6, trades_per_day=3.0),),
        ),
        _stock(_CSCO, 80.5, _pin("20:12:43", "ask", "2.64", until="20:13:43")),
        # tiny: armed at +30 %, peak near +40 %, trailing before the BMY recommendation.
        _stock(
            _BAC,
            53.5,
            _pin("14:52:10", "ask", "1.16", until="14:53:10"),
            _pin("15:31:00", "bid", "1.62"),
            _pin("15:44:00", "bid", "1.44"),
        ),
        # tiny: a swing trade that stays overnight.
        _stock(_PFE, 26.2, _pin("19:05:20", "ask", "0.43", until="19:06:20"), _pin("20:54:00", "bid", "0.46")),
    ),
    recommendations=_recommendations(),
    broker_events=(
        _SCRIPT.broker_close("16:10:59", "large", _BMY.symbol, 10),
        _SCRIPT.broker_close("16:11:00", "large", _WMT.symbol, 10),
    ),
)
