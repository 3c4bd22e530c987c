-- An adjustment says what the brokerage held at its time, signed; a trade says nothing of the kind.
ALTER TABLE fills ADD COLUMN held_after integer;
UPDATE fills f SET held_after = (SELECT sum(CASE side WHEN 'buy' THEN qty ELSE -qty END) FROM fills e
                                  WHERE e.position_id = f.position_id AND e.at <= f.at)
 WHERE source = 'adjustment';
ALTER TABLE fills ADD CONSTRAINT an_adjustment_says_what_was_held
    CHECK ((source = 'adjustment') = (held_after IS NOT NULL));
-- What the brokerage moved without an order (expiry, exercise, assignment) is a fill with a price of its own.
ALTER TABLE fills DROP CONSTRAINT fills_source_check;
ALTER TABLE fills ADD CONSTRAINT a_fill_has_a_source
    CHECK (source IN ('stream', 'activity', 'adjustment', 'settlement'));
DROP TRIGGER fills_are_history ON fills;
CREATE TRIGGER fills_are_history BEFORE DELETE OR UPDATE OF account, broker_order_id, cum_qty, order_id, symbol, side,
    qty, price, at, held_after ON fills FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();

-- What an option's end is called. "external" means: others did it, and it may become one of the others once it is known.
ALTER TABLE positions DROP CONSTRAINT a_rule_has_one_reason;
ALTER TABLE positions ADD CONSTRAINT a_rule_has_one_reason CHECK (exit_reason = CASE
    WHEN exit_rule = 'break_even' THEN 'stop'
    WHEN exit_rule = 'ladder' THEN 'target'
    WHEN exit_rule IN ('trailing_price', 'trailing_tiers') THEN 'trailing'
    WHEN exit_rule = 'min_progress' THEN 'max_hold'
    WHEN exit_rule IN ('theta_decay', 'near_expiry', 'expired', 'exercised', 'assigned', 'cash_settled') THEN 'expiry'
    WHEN exit_rule IN ('half_day', 'end_of_day_window') THEN 'end_of_day'
    WHEN exit_rule IN ('signal_reversal', 'earnings', 'regime') THEN 'signal'
    WHEN exit_rule IN ('exercised_early', 'assigned_early', 'delivered', 'unconfirmed') THEN 'external'
    ELSE exit_rule END);

-- What can be known of an order that we did not place.
ALTER TABLE orders ADD COLUMN detail text CHECK (detail <> '');
ALTER TABLE orders ADD CONSTRAINT only_what_others_did_is_told CHECK (detail IS NULL OR external);

-- Everything that the brokerage booked without an order, once each. What no rule of ours turns into a fill has no kind.
CREATE TABLE activities (
    account        text NOT NULL REFERENCES accounts,
    activity_id    text NOT NULL CHECK (activity_id <> ''),
    word           text NOT NULL CHECK (word <> ''),
    kind           text CHECK (kind IN ('expired', 'exercised', 'assigned', 'cash_settled', 'delivered')),
    day            date NOT NULL,
    symbol         text,
    -- Signed: negative takes from a long position.
    qty            integer CHECK (qty <> 0),
    price          numeric(16, 6) CHECK (price >= 0),
    net_amount_usd numeric(16, 4),
    description    text NOT NULL,
    -- Units that are in positions by now.
    applied_qty    integer NOT NULL DEFAULT 0 CHECK (applied_qty >= 0),
    fact_id        text NOT NULL,
    at             timestamptz NOT NULL,
    read_at        timestamptz NOT NULL,
    PRIMARY KEY (account, activity_id),
    -- What moves a position says which, how much and at what price.
    CHECK (kind IS NULL OR (symbol IS NOT NULL AND qty IS NOT NULL AND price IS NOT NULL)),
    -- An activity is applied once: never for more than it says.
    CHECK (applied_qty <= abs(coalesce(qty, 0)))
);
CREATE INDEX activities_to_apply ON activities (account, symbol) WHERE kind IS NOT NULL AND applied_qty < abs(qty);
CREATE FUNCTION refuse_change_of_activity() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'activity %: what the brokerage booked does not change', OLD.activity_id
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER what_was_booked_does_not_change BEFORE UPDATE ON activities
    FOR EACH ROW WHEN ((OLD.account, OLD.activity_id, OLD.word, OLD.kind, OLD.day, OLD.symbol, OLD.qty, OLD.price,
                        OLD.net_amount_usd, OLD.at)
                       IS DISTINCT FROM
                       (NEW.account, NEW.activity_id, NEW.word, NEW.kind, NEW.day, NEW.symbol, NEW.qty, NEW.price,
                        NEW.net_amount_usd, NEW.at)
                       OR NEW.applied_qty < OLD.applied_qty)
    EXECUTE FUNCTION refuse_change_of_activity();
CREATE TRIGGER activities_are_history BEFORE DELETE ON activities
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
