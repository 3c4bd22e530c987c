-- What the brokerage held when an account was last compared: `accounts.reconciled_at` says when. Signed units.
CREATE TABLE broker_positions (
    account text NOT NULL REFERENCES accounts,
    symbol  text NOT NULL,
    -- What is not held has no row.
    qty     integer NOT NULL CHECK (qty <> 0),
    PRIMARY KEY (account, symbol)
);

-- Monitoring looks at the last minutes, at what is open, and at what must never be.
CREATE INDEX decisions_by_time ON decisions (at);
CREATE INDEX rejections_by_time ON orders (ended_at) WHERE status = 'rejected';
CREATE INDEX openings_that_can_fill ON orders (account)
    WHERE opening AND NOT external AND coalesce(final_filled_qty, qty) > filled_qty;
CREATE INDEX fills_that_are_missing ON orders (account) WHERE final_filled_qty > filled_qty;
CREATE INDEX open_positions ON positions (account) WHERE closed_at IS NULL;
CREATE INDEX dead_letters_waiting ON dead_letters (stream, actor) WHERE state = 'waiting';
CREATE INDEX breaches ON commitment_log (account)
    WHERE NOT adopted AND (positions > max_positions OR exposure_usd > max_exposure_usd);
