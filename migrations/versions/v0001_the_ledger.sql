-- Money and prices are NUMERIC (dollars, dollars per share), times are timestamptz, quantities are whole units.
-- An invariant that SQL can hold is a constraint here, with a plain sentence above it.

-- ---------------------------------------------------------------- accounts

-- One row an account: the key that every other table refers to, and the lock under which the gate decides.
CREATE TABLE accounts (
    account                 text PRIMARY KEY CHECK (account ~ '^[a-z0-9][a-z0-9_-]{0,39}$'),
    state                   text NOT NULL CHECK (state IN ('active', 'reducing', 'halted')),
    state_reason            text NOT NULL,
    state_since             timestamptz NOT NULL,
    max_positions           integer NOT NULL CHECK (max_positions >= 0),
    max_exposure_usd        numeric(16, 2) NOT NULL CHECK (max_exposure_usd >= 0),
    max_daily_loss_usd      numeric(16, 2) NOT NULL CHECK (max_daily_loss_usd > 0),
    max_contracts_per_order integer NOT NULL CHECK (max_contracts_per_order > 0),
    broker_account_number   text,
    loss_latched_on         date,
    reconciled_at           timestamptz,
    -- What was traded in it before is not ours to know.
    ours_since              timestamptz NOT NULL
);

-- What people and the interlock did to an account, and why. Append-only.
CREATE TABLE account_changes (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account   text NOT NULL REFERENCES accounts,
    at        timestamptz NOT NULL,
    by        text NOT NULL CHECK (by <> ''),
    what      text NOT NULL,
    reason    text NOT NULL
);

-- ---------------------------------------------------------------- decisions

-- A recommendation as it was first read. The same id with another body is not the same recommendation.
CREATE TABLE recommendations (
    recommendation text PRIMARY KEY CHECK (length(recommendation) BETWEEN 1 AND 64),
    body           jsonb NOT NULL,
    at             timestamptz NOT NULL,
    read_at        timestamptz NOT NULL
);

-- Every recommendation ends in exactly one outcome an account: the primary key says so.
CREATE TABLE decisions (
    recommendation text NOT NULL REFERENCES recommendations,
    account        text NOT NULL REFERENCES accounts,
    outcome        text NOT NULL CHECK (outcome IN ('approved', 'refused')),
    checks         jsonb NOT NULL CHECK (jsonb_typeof(checks) = 'array'),
    sizing         text NOT NULL,
    order_id       uuid,
    at             timestamptz NOT NULL,
    origin         text NOT NULL,
    PRIMARY KEY (recommendation, account),
    -- An approval names its order, a refusal has none.
    CHECK ((outcome = 'approved') = (order_id IS NOT NULL))
);

-- ---------------------------------------------------------------- positions and orders

-- How a position is to be left, and what its price has been. It exists before the position: see the foreign key below.
CREATE TABLE exit_plans (
    position_id    uuid PRIMARY KEY,
    policy         jsonb NOT NULL,
    policy_version text NOT NULL,
    peak           numeric(16, 6) CHECK (peak > 0),
    trough         numeric(16, 6) CHECK (trough >= 0),
    close_tries    integer NOT NULL DEFAULT 0 CHECK (close_tries >= 0),
    retry_at       timestamptz,
    triggered_rule text,
    triggered_at   timestamptz
);

-- A position without an exit plan is impossible.
CREATE TABLE positions (
    position_id      uuid PRIMARY KEY REFERENCES exit_plans,
    account          text NOT NULL REFERENCES accounts,
    symbol           text NOT NULL,
    underlying       text NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('CALL', 'PUT', 'STOCK')),
    strike           numeric(16, 3) CHECK (strike > 0),
    expiration       date,
    multiplier       integer NOT NULL CHECK (multiplier > 0),
    strategy         text NOT NULL,
    recommendation   text,
    adopted          boolean NOT NULL,
    qty              integer NOT NULL,
    max_qty          integer NOT NULL CHECK (max_qty > 0),
    entry_price      numeric(16, 6) NOT NULL CHECK (entry_price > 0),
    exit_price       numeric(16, 6) CHECK (exit_price >= 0),
    realized_pnl_usd numeric(16, 4),
    opened_at        timestamptz NOT NULL,
    closed_at        timestamptz,
    exit_reason      text CHECK (exit_reason IN ('stop', 'catastrophe', 'target', 'trailing', 'max_hold', 'end_of_day',
                                                 'expiry', 'signal', 'manual', 'external')),
    -- A position is closed exactly when nothing is held.
    CHECK ((qty = 0) = (closed_at IS NOT NULL)),
    -- A closed position says why.
    CHECK ((closed_at IS NULL) = (exit_reason IS NULL)),
    CHECK (abs(qty) <= max_qty),
    CHECK (closed_at >= opened_at),
    -- An option has strike and expiration, a stock has neither; a contract is a hundred shares.
    CHECK ((kind = 'STOCK') = (strike IS NULL) AND (kind = 'STOCK') = (expiration IS NULL)),
    CHECK (multiplier = CASE kind WHEN 'STOCK' THEN 1 ELSE 100 END),
    -- What a symbol says and what the columns say is one thing: right, underlying, strike and expiration.
    CHECK ((kind = 'STOCK') = (symbol !~ '^[A-Z]{1,6}[0-9]{6}[CP][0-9]{8}$')),
    CHECK (kind <> 'STOCK' OR symbol = underlying),
    CHECK (kind = 'STOCK' OR (left(symbol, length(symbol) - 15) = underlying
                              AND substr(symbol, length(symbol) - 8, 1) = left(kind, 1)
                              AND right(symbol, 8)::numeric / 1000 = strike
                              AND substr(symbol, length(symbol) - 14, 6) = to_char(expiration, 'YYMMDD')))
);
-- One open position for a symbol in an account, so that a closing order can never be ambiguous.
CREATE UNIQUE INDEX one_open_position_per_symbol ON positions (account, symbol) WHERE closed_at IS NULL;

-- An order row is written before the order leaves. An opening order is also its reservation: it counts against its
-- account from its insert to its end.
CREATE TABLE orders (
    order_id          uuid PRIMARY KEY,
    client_order_id   text NOT NULL UNIQUE CHECK (length(client_order_id) BETWEEN 1 AND 128),
    account           text NOT NULL REFERENCES accounts,
    position_id       uuid NOT NULL,
    recommendation    text,
    external          boolean NOT NULL,
    symbol            text NOT NULL,
    underlying        text NOT NULL,
    kind              text NOT NULL CHECK (kind IN ('CALL', 'PUT', 'STOCK')),
    multiplier        integer NOT NULL CHECK (multiplier > 0),
    strategy          text NOT NULL,
    side              text NOT NULL CHECK (side IN ('buy', 'sell')),
    intent            text NOT NULL CHECK (intent IN ('buy_to_open', 'buy_to_close', 'sell_to_open', 'sell_to_close')),
    opening           boolean NOT NULL GENERATED ALWAYS AS (intent IN ('buy_to_open', 'sell_to_open')) STORED,
    qty               integer NOT NULL CHECK (qty > 0),
    type              text NOT NULL CHECK (type IN ('market', 'limit')),
    limit_price       numeric(16, 4) CHECK (limit_price > 0),
    status            text NOT NULL CHECK (status IN ('approved', 'submitting', 'accepted', 'filled', 'canceled',
                                                      'expired', 'rejected', 'expired_unsent')),
    filled_qty        integer NOT NULL DEFAULT 0 CHECK (filled_qty >= 0),
    final_filled_qty  integer CHECK (final_filled_qty >= 0),
    broker_order_id   text,
    reason            text NOT NULL,
    reject_code       text,
    reject_message    text,
    approved_at       timestamptz NOT NULL,
    submitted_at      timestamptz,
    accepted_at       timestamptz,
    cancel_asked_at   timestamptz,
    ended_at          timestamptz,
    UNIQUE (account, broker_order_id),
    -- The side and the intent say the same.
    CHECK (intent LIKE side || '%'),
    CHECK ((type = 'limit') = (limit_price IS NOT NULL)),
    -- Nothing fills beyond its quantity; what others placed tells its quantity only by its fills.
    CHECK (filled_qty <= qty),
    -- An order of ours that opens has a price ceiling: that is what its reservation is worth.
    CHECK (external OR intent NOT IN ('buy_to_open', 'sell_to_open') OR type = 'limit'),
    -- This system never sells to open.
    CHECK (external OR intent <> 'sell_to_open'),
    CHECK ((status IN ('approved', 'submitting', 'accepted')) = (ended_at IS NULL)),
    -- A contract is a hundred shares, and what its symbol says is what the columns say.
    CHECK (multiplier = CASE kind WHEN 'STOCK' THEN 1 ELSE 100 END),
    CHECK ((kind = 'STOCK') = (symbol !~ '^[A-Z]{1,6}[0-9]{6}[CP][0-9]{8}$')),
    CHECK (kind <> 'STOCK' OR symbol = underlying),
    CHECK (kind = 'STOCK' OR (left(symbol, length(symbol) - 15) = underlying
                              AND substr(symbol, length(symbol) - 8, 1) = left(kind, 1)))
);
-- One live closing order a position: two closes could sell twice.
CREATE UNIQUE INDEX one_live_closing_order_per_position ON orders (position_id)
    WHERE NOT opening AND NOT external AND status IN ('approved', 'submitting', 'accepted');
-- One decision, one order.
CREATE UNIQUE INDEX one_opening_order_per_recommendation ON orders (recommendation, account)
    WHERE opening AND recommendation IS NOT NULL;
CREATE INDEX live_orders ON orders (account) WHERE status IN ('approved', 'submitting', 'accepted');
CREATE INDEX orders_of_a_position ON orders (position_id);

-- Each execution once, whatever brought it: its key is what its order has filled after it.
CREATE TABLE fills (
    fill_id         uuid PRIMARY KEY,
    account         text NOT NULL REFERENCES accounts,
    broker_order_id text NOT NULL,
    cum_qty         integer NOT NULL CHECK (cum_qty > 0),
    execution_id    text UNIQUE,
    order_id        uuid NOT NULL REFERENCES orders,
    position_id     uuid NOT NULL REFERENCES positions DEFERRABLE INITIALLY DEFERRED,
    symbol          text NOT NULL,
    side            text NOT NULL CHECK (side IN ('buy', 'sell')),
    qty             integer NOT NULL CHECK (qty > 0),
    -- Only an adjustment may lack a price: what is not known is not invented.
    price           numeric(16, 6) CHECK (price >= 0),
    at              timestamptz NOT NULL,
    source          text NOT NULL CHECK (source IN ('stream', 'activity', 'adjustment')),
    read_at         timestamptz NOT NULL,
    UNIQUE (account, broker_order_id, cum_qty),
    CHECK (qty <= cum_qty),
    CHECK (price IS NOT NULL OR source = 'adjustment')
);
CREATE INDEX fills_of_a_position ON fills (position_id);
CREATE INDEX fills_of_an_order ON fills (order_id);

-- ---------------------------------------------------------------- commitments: what an account has bound

-- The unfilled rest of every opening order that has not ended (or has ended with fills that are not read yet),
-- and what is held at its entry price. A partly filled order counts in both, each with its own share.
CREATE VIEW commitments AS
    SELECT account, position_id, symbol, underlying, kind, sum(usd) AS usd, sum(held_qty)::integer AS held_qty
      FROM (SELECT account, position_id, symbol, underlying, kind, 0 AS held_qty,
                   limit_price * multiplier * greatest(0, coalesce(final_filled_qty, qty) - filled_qty) AS usd
              FROM orders
             WHERE opening AND NOT external AND coalesce(final_filled_qty, qty) > filled_qty
            UNION ALL
            SELECT account, position_id, symbol, underlying, kind, qty,
                   entry_price * abs(qty) * multiplier
              FROM positions WHERE closed_at IS NULL) AS shares
     GROUP BY account, position_id, symbol, underlying, kind;

-- What an account had bound right after each opening, and the limits then in force. Append-only: the proof of promise 2.
CREATE TABLE commitment_log (
    entry_id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account          text NOT NULL REFERENCES accounts,
    position_id      uuid NOT NULL,
    adopted          boolean NOT NULL,
    positions        integer NOT NULL,
    exposure_usd     numeric(16, 2) NOT NULL,
    max_positions    integer NOT NULL,
    max_exposure_usd numeric(16, 2) NOT NULL,
    at               timestamptz NOT NULL
);

CREATE FUNCTION log_commitments(of_account text, of_position uuid, is_adopted boolean, moment timestamptz)
RETURNS commitment_log LANGUAGE plpgsql AS $$
DECLARE
    lim   accounts;
    entry commitment_log;
BEGIN
    -- Not FOR UPDATE: rows that merely refer to the account (a fill, a close) need not wait for a decision.
    SELECT * INTO lim FROM accounts WHERE account = of_account FOR NO KEY UPDATE;
    INSERT INTO commitment_log (account, position_id, adopted, positions, exposure_usd, max_positions,
                                max_exposure_usd, at)
    SELECT of_account, of_position, is_adopted, count(*), coalesce(sum(usd), 0), lim.max_positions,
           lim.max_exposure_usd, moment
      FROM commitments WHERE account = of_account
    RETURNING * INTO entry;
    RETURN entry;
END $$;

-- The second wall. The gate refuses first and says why; this refuses whatever slipped past it: an opening order beyond
-- a limit, or in an account that is not active. It never stands before a fill, an adoption or a close.
CREATE FUNCTION refuse_over_limit() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    entry commitment_log;
    now_in text;
BEGIN
    entry := log_commitments(NEW.account, NEW.position_id, false, NEW.approved_at);
    IF entry.positions > entry.max_positions OR entry.exposure_usd > entry.max_exposure_usd THEN
        RAISE EXCEPTION 'account % would be over its limits: % positions of %, % USD of %', NEW.account,
            entry.positions, entry.max_positions, entry.exposure_usd, entry.max_exposure_usd
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_stays_within_limits';
    END IF;
    SELECT state INTO now_in FROM accounts WHERE account = NEW.account;
    IF now_in <> 'active' THEN
        RAISE EXCEPTION 'account % is %, nothing may open', NEW.account, now_in
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_stays_within_limits';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER account_stays_within_limits AFTER INSERT ON orders
    FOR EACH ROW WHEN (NEW.intent IN ('buy_to_open', 'sell_to_open') AND NOT NEW.external)
    EXECUTE FUNCTION refuse_over_limit();

-- An adoption is no breach, but it counts: the log shows when it happened.
CREATE FUNCTION log_adoption() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM log_commitments(NEW.account, NEW.position_id, true, NEW.opened_at);
    RETURN NULL;
END $$;
CREATE TRIGGER adoption_is_logged AFTER INSERT ON positions
    FOR EACH ROW WHEN (NEW.adopted) EXECUTE FUNCTION log_adoption();

-- What was approved does not change: a row cannot grow past the wall after it was let through, and nobody's order
-- becomes ours or ours nobody's. What ended stays ended. Orders are not deleted: a reservation has one end.
CREATE FUNCTION refuse_change_of_order() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'order %: what was approved does not change', OLD.order_id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER an_approved_order_does_not_change BEFORE UPDATE ON orders
    FOR EACH ROW WHEN ((OLD.order_id, OLD.client_order_id, OLD.account, OLD.position_id, OLD.recommendation,
                        OLD.external, OLD.symbol, OLD.underlying, OLD.kind, OLD.multiplier, OLD.side, OLD.intent,
                        OLD.type, OLD.limit_price)
                       IS DISTINCT FROM
                       (NEW.order_id, NEW.client_order_id, NEW.account, NEW.position_id, NEW.recommendation,
                        NEW.external, NEW.symbol, NEW.underlying, NEW.kind, NEW.multiplier, NEW.side, NEW.intent,
                        NEW.type, NEW.limit_price)
                       OR (NOT OLD.external AND OLD.qty <> NEW.qty)
                       OR (OLD.ended_at IS NOT NULL AND NOT OLD.external
                           AND (OLD.ended_at, OLD.status) IS DISTINCT FROM (NEW.ended_at, NEW.status)))
    EXECUTE FUNCTION refuse_change_of_order();
CREATE TRIGGER an_order_is_not_deleted BEFORE DELETE ON orders
    FOR EACH ROW EXECUTE FUNCTION refuse_change_of_order();

-- A position stays what and whose it is.
CREATE FUNCTION refuse_change_of_position() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'positions: account and contract of % do not change', OLD.position_id
        USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER a_position_stays_what_it_is BEFORE UPDATE ON positions
    FOR EACH ROW WHEN ((OLD.account, OLD.symbol, OLD.underlying, OLD.kind, OLD.multiplier)
                       IS DISTINCT FROM (NEW.account, NEW.symbol, NEW.underlying, NEW.kind, NEW.multiplier))
    EXECUTE FUNCTION refuse_change_of_position();

-- A fill belongs to its order: the same account, contract, side and position.
CREATE FUNCTION refuse_stray_fill() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT 1 FROM orders WHERE order_id = NEW.order_id
                   AND (account, symbol, side, position_id) = (NEW.account, NEW.symbol, NEW.side, NEW.position_id)) THEN
        RAISE EXCEPTION 'fill %: it is not of order %', NEW.fill_id, NEW.order_id USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a_fill_belongs_to_its_order AFTER INSERT ON fills
    FOR EACH ROW EXECUTE FUNCTION refuse_stray_fill();

-- A closing order never sells more than is held: its quantity is clamped when it is written.
CREATE FUNCTION refuse_close_that_opens() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    held positions;
BEGIN
    SELECT * INTO held FROM positions WHERE position_id = NEW.position_id;
    IF held IS NULL OR held.account <> NEW.account OR held.symbol <> NEW.symbol OR NEW.qty > abs(held.qty)
       OR (held.qty > 0) <> (NEW.side = 'sell') THEN
        RAISE EXCEPTION 'order % would not close position %: % % of %', NEW.order_id, NEW.position_id, NEW.side,
            NEW.qty, NEW.symbol USING ERRCODE = 'check_violation', CONSTRAINT = 'a_close_never_opens';
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER a_close_never_opens AFTER INSERT ON orders
    FOR EACH ROW WHEN (NEW.intent IN ('buy_to_close', 'sell_to_close') AND NOT NEW.external)
    EXECUTE FUNCTION refuse_close_that_opens();

-- Fills, the log and the changes are history: they are added to, never edited.
CREATE FUNCTION refuse_edit_of_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER fills_are_history BEFORE DELETE OR UPDATE OF account, broker_order_id, cum_qty, order_id, symbol, side,
    qty, price, at ON fills FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER commitments_are_history BEFORE DELETE OR UPDATE ON commitment_log
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER changes_are_history BEFORE DELETE OR UPDATE ON account_changes
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER fills_are_not_emptied BEFORE TRUNCATE ON fills EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER commitments_are_not_emptied BEFORE TRUNCATE ON commitment_log EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER changes_are_not_emptied BEFORE TRUNCATE ON account_changes EXECUTE FUNCTION refuse_edit_of_history();

-- ---------------------------------------------------------------- delivery

-- An actor handles a fact once.
CREATE TABLE inbox (
    actor      text NOT NULL,
    fact_id    text NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (actor, fact_id)
);

-- What an actor decided, committed with the decision, published after it.
CREATE TABLE outbox (
    seq          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream       text NOT NULL,
    fact_id      text NOT NULL,
    type         text NOT NULL,
    body         text NOT NULL,
    published_at timestamptz
);
CREATE INDEX outbox_unpublished ON outbox (seq) WHERE published_at IS NULL;

-- Who may read a partition now. The epoch grows with every change of holder; an effect checks it in its transaction.
CREATE TABLE leases (
    lease      text PRIMARY KEY,
    holder     text NOT NULL,
    epoch      bigint NOT NULL CHECK (epoch > 0),
    expires_at timestamptz NOT NULL
);

-- Entries that could not be handled, with their reason. A person decides what becomes of them.
CREATE TABLE dead_letters (
    dead_id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    stream       text NOT NULL,
    actor        text NOT NULL,
    entry_id     text NOT NULL,
    type         text,
    body         text,
    account      text,
    reason       text NOT NULL CHECK (reason <> ''),
    attempts     integer NOT NULL CHECK (attempts > 0),
    origin       text NOT NULL,
    at           timestamptz NOT NULL,
    state        text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'requeued', 'dropped')),
    state_reason text,
    UNIQUE (stream, actor, entry_id)
);

-- ---------------------------------------------------------------- what was observed

-- Trading sessions as the brokerage's calendar says, for those who hold no keys. The close is not part of a session.
CREATE TABLE sessions (
    day   date PRIMARY KEY,
    open  timestamptz NOT NULL,
    close timestamptz NOT NULL,
    CHECK (open < close)
);

-- Where broker and rows disagree, as of the last two readings. A row goes when the cause is gone.
CREATE TABLE drift (
    account     text NOT NULL REFERENCES accounts,
    symbol      text NOT NULL,
    kind        text NOT NULL CHECK (kind IN ('broker_only', 'rows_only', 'quantity', 'side', 'order')),
    rows_qty    integer NOT NULL,
    broker_qty  integer NOT NULL,
    readings    integer NOT NULL CHECK (readings > 0),
    first_at    timestamptz NOT NULL,
    last_at     timestamptz NOT NULL,
    PRIMARY KEY (account, symbol)
);

-- When each actor last did its work, and which code and configuration it runs.
CREATE TABLE heartbeats (
    actor    text NOT NULL,
    instance text NOT NULL,
    at       timestamptz NOT NULL,
    origin   text NOT NULL,
    PRIMARY KEY (actor, instance)
);

-- Latencies as counts in buckets of two significant digits, so that percentiles of any copy of an actor add up.
CREATE TABLE latencies (
    name   text NOT NULL,
    le_ms  numeric(12, 3) NOT NULL,
    count  bigint NOT NULL CHECK (count > 0),
    PRIMARY KEY (name, le_ms)
);
