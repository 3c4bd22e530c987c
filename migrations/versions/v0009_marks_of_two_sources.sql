-- When each side was last a price: a quote with one side, or crossed, is fresh and names none.
ALTER TABLE marks
    ADD COLUMN bid_at timestamptz,
    ADD COLUMN ask_at timestamptz;
UPDATE marks SET bid_at = CASE WHEN bid > 0 AND (ask IS NULL OR ask = 0 OR bid <= ask) THEN at END,
                 ask_at = CASE WHEN ask > 0 AND (bid IS NULL OR bid <= ask) THEN at END;
-- A side was seen in a quote, and the last quote is the newest.
ALTER TABLE marks ADD CONSTRAINT a_side_is_no_newer_than_its_quote CHECK (bid_at <= at AND ask_at <= at);

-- Two sources said at the same moment what cannot both be true: the position is flagged until they agree again, or one
-- of them falls silent. Dollars a share, at the side that the position leaves at. History: only its end is written once.
CREATE TABLE price_disputes (
    dispute_id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    position_id  uuid NOT NULL REFERENCES positions,
    since        timestamptz NOT NULL,
    live_price   numeric NOT NULL CHECK (live_price > 0),
    live_at      timestamptz NOT NULL,
    second_price numeric NOT NULL CHECK (second_price > 0),
    second_at    timestamptz NOT NULL,
    ended_at     timestamptz CHECK (ended_at >= since),
    -- What is equal is no dispute.
    CHECK (live_price <> second_price)
);
-- One dispute a position at a time.
CREATE UNIQUE INDEX one_dispute_a_position ON price_disputes (position_id) WHERE ended_at IS NULL;

CREATE FUNCTION refuse_change_of_dispute() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'price_disputes: % may only be ended, once', OLD.dispute_id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER a_dispute_is_only_ended BEFORE UPDATE ON price_disputes
    FOR EACH ROW WHEN (OLD.ended_at IS NOT NULL OR NEW.ended_at IS NULL OR
                       (OLD.dispute_id, OLD.position_id, OLD.since, OLD.live_price, OLD.live_at, OLD.second_price,
                        OLD.second_at)
                       IS DISTINCT FROM
                       (NEW.dispute_id, NEW.position_id, NEW.since, NEW.live_price, NEW.live_at, NEW.second_price,
                        NEW.second_at))
    EXECUTE FUNCTION refuse_change_of_dispute();
CREATE TRIGGER disputes_are_history BEFORE DELETE ON price_disputes
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER disputes_are_not_emptied BEFORE TRUNCATE ON price_disputes EXECUTE FUNCTION refuse_edit_of_history();

-- Nobody disputes the price of what is no longer held.
CREATE FUNCTION end_dispute_with_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE price_disputes SET ended_at = greatest(since, NEW.closed_at)
     WHERE position_id = NEW.position_id AND ended_at IS NULL;
    RETURN NULL;
END $$;
CREATE TRIGGER closed_is_not_disputed AFTER UPDATE ON positions FOR EACH ROW
    WHEN (OLD.closed_at IS NULL AND NEW.closed_at IS NOT NULL) EXECUTE FUNCTION end_dispute_with_position();

-- The last theta of a contract that is held: dollars a share and day, as the feed of prices said when it was asked.
CREATE TABLE thetas (
    symbol text PRIMARY KEY,
    theta  numeric NOT NULL,
    at     timestamptz NOT NULL
);
