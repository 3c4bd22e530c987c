"""How a replacement takes the place of the order before it, or loses against that order's fill.

Until it does, the replacement can be found by its ids and claims nothing; the old order is in the market still.
"""

from datetime import timedelta
from decimal import Decimal

from paper.book import Account
from paper.order import Order
from paper.timeline import Rank
from paper.waiting import Waiting


class Succession(Waiting):
    """The floor, where orders may follow each other."""

    #: How long a replacement stays pending; meanwhile a fill of the old order wins.
    replace_delay = timedelta(0)

    def route(self, order: Order) -> None:
        """Bring an accepted order to the market, if it is open."""
        if order.status == "pending_new":
            self._activate(order)

    def settle_replacement(self, made: Order) -> None:
        """Let a replacement take its predecessor's place, at once or after the delay that was asked for.

        While it is pending the old order may fill; then it has won, and the replacement is rejected.
        """
        old = self.accounts[made.account].orders[made.replaces or ""]
        was, filled = old.status, old.filled_qty
        if not self.replace_delay or was == "held":
            self._swap(old, made, was, filled)
            return
        old.status = "pending_replace"
        self._mirror(old)
        self._tell(old, "pending_replace")
        due = self._timeline.now + self.replace_delay
        self._timeline.schedule(due, Rank.ORDER, lambda: self._swap(old, made, was, filled))

    def abandon_replacements(self) -> None:
        """What was pending when the server went down is refused: nobody knows what would have come of it."""
        for old in self._open_orders():
            if old.status == "pending_replace" and old.replaced_by is not None:
                made = self.accounts[old.account].orders[old.replaced_by]
                self._refuse_replacement(old, made, "new")

    def _swap(self, old: Order, made: Order, was: str, filled: Decimal) -> None:
        """The replacement takes over, for what the old order has not filled meanwhile."""
        account = self.accounts[old.account]
        made.qty -= old.filled_qty - filled
        if not old.is_open or made.qty <= 0 or self._is_claimed(account, old, made):
            self._refuse_replacement(old, made, was)
            return
        old.status, old.replaced_at = "replaced", self._timeline.now
        self._mirror(old)
        self._close_book(account, old)
        self._tell(old, "replaced")
        made.take_place_of(old)
        made.status = "held" if was == "held" else self._first_status(made)
        self._mirror(made)
        account.admit(made)
        self._tell(made, made.status)
        self._plan(made)
        self.route(made)

    def _is_claimed(self, account: Account, old: Order, made: Order) -> bool:
        """Whether others have meanwhile claimed what a closing replacement would close."""
        if made.opens or made.group_id is not None or old.status == "held":
            return False
        pairs = zip(old.legs, made.legs, strict=True) if made.is_combination else [(old, made)]
        return any(new.left > account.available(new.symbol) + was.left for was, new in pairs if not new.opens)

    def _refuse_replacement(self, old: Order, made: Order, was: str) -> None:
        """The old order stays what it is: *was* if it is still pending."""
        self._close_book(self.accounts[made.account], made)
        made.status, made.failed_at, old.replaced_by = "rejected", self._timeline.now, None
        if old.status == "pending_replace":
            old.status = "partially_filled" if old.filled_qty else was
        self._mirror(made)
        self._mirror(old)
        self._tell(old, "order_replace_rejected")
