-- ---------------------------------------------------------------- limits

-- Drawdown: dollars, or per cent, below the account's highest equity; null is switched off. The peak is what the
-- brokerage said, kept here so that it survives a restart.
ALTER TABLE accounts
    ADD COLUMN max_drawdown_usd numeric(16, 2) CHECK (max_drawdown_usd > 0),
    ADD COLUMN max_drawdown_pct numeric(6, 2) CHECK (max_drawdown_pct > 0 AND max_drawdown_pct <= 100),
    ADD COLUMN equity_usd numeric(16, 2),
    ADD COLUMN equity_at timestamptz,
    ADD COLUMN equity_peak_usd numeric(16, 2),
    ADD CHECK ((equity_usd IS NULL) = (equity_at IS NULL) AND (equity_usd IS NULL) = (equity_peak_usd IS NULL)),
    -- Nobody stands above the peak.
    ADD CHECK (equity_usd <= equity_peak_usd),
    -- Two accounts of ours are never one account of the brokerage: each would count only its own half.
    ADD UNIQUE (broker_account_number);

-- What the limits of an account were from when, who changed them and why. Append-only.
CREATE TABLE limits_history (
    change_id               bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account                 text NOT NULL REFERENCES accounts,
    at                      timestamptz NOT NULL,
    by                      text NOT NULL CHECK (by <> ''),
    reason                  text NOT NULL CHECK (reason <> ''),
    max_positions           integer NOT NULL,
    max_exposure_usd        numeric(16, 2) NOT NULL,
    max_daily_loss_usd      numeric(16, 2) NOT NULL,
    max_contracts_per_order integer NOT NULL,
    max_drawdown_usd        numeric(16, 2),
    max_drawdown_pct        numeric(6, 2)
);
CREATE INDEX limits_history_of_an_account ON limits_history (account, change_id);

INSERT INTO limits_history (account, at, by, reason, max_positions, max_exposure_usd, max_daily_loss_usd,
                            max_contracts_per_order)
    SELECT account, ours_since, 'migration', 'as found', max_positions, max_exposure_usd, max_daily_loss_usd,
           max_contracts_per_order FROM accounts;

-- Limits do not change without their history: at the commit, the row says what the last entry says.
CREATE FUNCTION refuse_limits_without_history() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    now_in accounts;
    told   limits_history;
BEGIN
    SELECT * INTO now_in FROM accounts WHERE account = NEW.account;
    SELECT * INTO told FROM limits_history WHERE account = NEW.account ORDER BY change_id DESC LIMIT 1;
    IF (now_in.max_positions, now_in.max_exposure_usd, now_in.max_daily_loss_usd, now_in.max_contracts_per_order,
        now_in.max_drawdown_usd, now_in.max_drawdown_pct)
       IS DISTINCT FROM
       (told.max_positions, told.max_exposure_usd, told.max_daily_loss_usd, told.max_contracts_per_order,
        told.max_drawdown_usd, told.max_drawdown_pct) THEN
        RAISE EXCEPTION 'account %: its limits are not what its history says', NEW.account
            USING ERRCODE = 'check_violation', CONSTRAINT = 'limits_have_history';
    END IF;
    RETURN NULL;
END $$;
CREATE CONSTRAINT TRIGGER limits_have_history AFTER INSERT OR UPDATE OF max_positions, max_exposure_usd,
    max_daily_loss_usd, max_contracts_per_order, max_drawdown_usd, max_drawdown_pct ON accounts
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION refuse_limits_without_history();
CREATE CONSTRAINT TRIGGER history_is_in_force AFTER INSERT ON limits_history DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION refuse_limits_without_history();

-- One limit of one account is another for a while. There is no override without an end, and none for more than a week.
CREATE TABLE limit_overrides (
    override_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account     text NOT NULL REFERENCES accounts,
    limit_name  text NOT NULL CHECK (limit_name IN ('max_positions', 'max_exposure_usd', 'max_daily_loss_usd',
                                                    'max_contracts_per_order', 'max_drawdown_usd', 'max_drawdown_pct')),
    value       numeric(16, 2) NOT NULL CHECK (value >= 0),
    at          timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    by          text NOT NULL CHECK (by <> ''),
    reason      text NOT NULL CHECK (reason <> ''),
    lifted_at   timestamptz,
    lifted_by   text,
    CHECK (until > at AND until <= at + interval '7 days'),
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL)),
    CHECK (limit_name NOT IN ('max_positions', 'max_contracts_per_order') OR value = trunc(value)),
    -- What the column of the limit itself would refuse, an override cannot bring in.
    CHECK (value > 0 OR limit_name IN ('max_positions', 'max_exposure_usd')),
    CHECK (limit_name <> 'max_drawdown_pct' OR value <= 100)
);
CREATE INDEX overrides_of_an_account ON limit_overrides (account, until);

-- An override is history: it may be lifted once, before its end, and nothing else about it changes.
CREATE FUNCTION refuse_change_of_override() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'limit_overrides: % may only be lifted, once', OLD.override_id USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER an_override_is_only_lifted BEFORE UPDATE ON limit_overrides
    FOR EACH ROW WHEN (OLD.lifted_at IS NOT NULL OR NEW.lifted_at IS NULL OR
                       (OLD.override_id, OLD.account, OLD.limit_name, OLD.value, OLD.at, OLD.until, OLD.by, OLD.reason)
                       IS DISTINCT FROM
                       (NEW.override_id, NEW.account, NEW.limit_name, NEW.value, NEW.at, NEW.until, NEW.by, NEW.reason))
    EXECUTE FUNCTION refuse_change_of_override();
CREATE TRIGGER overrides_are_history BEFORE DELETE ON limit_overrides
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER overrides_are_not_emptied BEFORE TRUNCATE ON limit_overrides EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER limits_are_history BEFORE DELETE OR UPDATE ON limits_history
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER limits_are_not_emptied BEFORE TRUNCATE ON limits_history EXECUTE FUNCTION refuse_edit_of_history();

-- The limits that count at a moment: each is its youngest override in force, else what the account's row says.
CREATE FUNCTION limits_in_force(of_account text, moment timestamptz)
RETURNS TABLE (max_positions integer, max_exposure_usd numeric, max_daily_loss_usd numeric,
               max_contracts_per_order integer, max_drawdown_usd numeric, max_drawdown_pct numeric)
LANGUAGE sql STABLE AS $$
    SELECT coalesce(max(o.value) FILTER (WHERE o.limit_name = 'max_positions'), a.max_positions)::integer,
           coalesce(max(o.value) FILTER (WHERE o.limit_name = 'max_exposure_usd'), a.max_exposure_usd),
           coalesce(max(o.value) FILTER (WHERE o.limit_name = 'max_daily_loss_usd'), a.max_daily_loss_usd),
           coalesce(max(o.value) FILTER (WHERE o.limit_name = 'max_contracts_per_order'),
                    a.max_contracts_per_order)::integer,
           coalesce(max(o.value) FILTER (WHERE o.limit_name = 'max_drawdown_usd'), a.max_drawdown_usd),
           coalesce(max(o.value) FILTER (WHERE o.limit_name = 'max_drawdown_pct'), a.max_drawdown_pct)
      FROM accounts a
      LEFT JOIN LATERAL (SELECT DISTINCT ON (limit_name) limit_name, value FROM limit_overrides
                          WHERE account = of_account AND at <= moment AND moment < until
                            AND (lifted_at IS NULL OR moment < lifted_at)
                          ORDER BY limit_name, override_id DESC) AS o ON true
     WHERE a.account = of_account GROUP BY a.account
$$;

-- ---------------------------------------------------------------- trading state of all accounts

-- What holds for every account, also for one that is configured later. One row. The stricter of the two states counts.
CREATE TABLE every_account (
    only_row     boolean PRIMARY KEY DEFAULT true CHECK (only_row),
    state        text NOT NULL CHECK (state IN ('active', 'reducing', 'halted')),
    state_reason text NOT NULL,
    state_since  timestamptz NOT NULL
);
INSERT INTO every_account (state, state_reason, state_since) VALUES ('active', 'as shipped', clock_timestamp());
CREATE TRIGGER every_account_stays BEFORE DELETE ON every_account
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER every_account_is_not_emptied BEFORE TRUNCATE ON every_account
    EXECUTE FUNCTION refuse_edit_of_history();

-- Why nothing may open, by machines: a row a cause, gone when the cause is gone.
CREATE TABLE interlocks (
    account text NOT NULL REFERENCES accounts,
    cause   text NOT NULL CHECK (cause <> ''),
    detail  text NOT NULL CHECK (detail <> ''),
    since   timestamptz NOT NULL,
    PRIMARY KEY (account, cause)
);
INSERT INTO interlocks (account, cause, detail, since)
    SELECT account, 'reconciliation', substr(state_reason, 12), state_since FROM accounts
     WHERE state = 'reducing' AND state_reason LIKE 'interlock: %';

-- The second wall, with the limits in force at the moment of the approval and the state of all accounts.
CREATE OR REPLACE FUNCTION log_commitments(of_account text, of_position uuid, is_adopted boolean, moment timestamptz)
RETURNS commitment_log LANGUAGE plpgsql AS $$
DECLARE
    lim   record;
    entry commitment_log;
BEGIN
    -- Not FOR UPDATE: rows that merely refer to the account (a fill, a close) need not wait for a decision.
    PERFORM 1 FROM accounts WHERE account = of_account FOR NO KEY UPDATE;
    SELECT * INTO lim FROM limits_in_force(of_account, moment);
    INSERT INTO commitment_log (account, position_id, adopted, positions, exposure_usd, max_positions,
                                max_exposure_usd, at)
    SELECT of_account, of_position, is_adopted, count(*), coalesce(sum(usd), 0), lim.max_positions,
           lim.max_exposure_usd, moment
      FROM commitments WHERE account = of_account
    RETURNING * INTO entry;
    RETURN entry;
END $$;

CREATE OR REPLACE FUNCTION refuse_over_limit() RETURNS trigger LANGUAGE plpgsql AS $$
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
    SELECT state INTO now_in FROM every_account;
    IF now_in IS DISTINCT FROM 'active' THEN
        RAISE EXCEPTION 'every account is %, nothing may open', now_in
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_stays_within_limits';
    END IF;
    IF EXISTS (SELECT 1 FROM latches WHERE account = NEW.account AND latched_at IS NOT NULL AND lifted_at IS NULL) THEN
        RAISE EXCEPTION 'account % has a latch, nothing may open', NEW.account
            USING ERRCODE = 'check_violation', CONSTRAINT = 'account_stays_within_limits';
    END IF;
    RETURN NULL;
END $$;

-- ---------------------------------------------------------------- loss

-- A loss at its limit: seen once (no latched_at), then confirmed. From then on nothing opens until it is lifted.
CREATE TABLE latches (
    latch_id    bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account     text NOT NULL REFERENCES accounts,
    kind        text NOT NULL CHECK (kind IN ('daily_loss', 'drawdown')),
    day         date NOT NULL,
    observed    text NOT NULL,
    seen_at     timestamptz NOT NULL,
    evidence_at timestamptz NOT NULL,
    latched_at  timestamptz,
    lifted_at   timestamptz,
    lifted_by   text,
    lift_reason text,
    CHECK (latched_at >= seen_at),
    -- Only what was latched is lifted, and by somebody who says why.
    CHECK (lifted_at IS NULL OR latched_at IS NOT NULL),
    CHECK ((lifted_at IS NULL) = (lifted_by IS NULL) AND (lifted_at IS NULL) = (lift_reason IS NULL))
);
CREATE UNIQUE INDEX one_latch_of_a_kind ON latches (account, kind) WHERE lifted_at IS NULL;

INSERT INTO latches (account, kind, day, observed, seen_at, evidence_at, latched_at)
    SELECT account, 'daily_loss', loss_latched_on, 'as found', clock_timestamp(), clock_timestamp(), clock_timestamp()
      FROM accounts WHERE loss_latched_on IS NOT NULL;
ALTER TABLE accounts DROP COLUMN loss_latched_on;

-- A latch survives: what was confirmed is neither forgotten nor undone, only lifted.
CREATE FUNCTION refuse_to_forget_latch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'latches: % of % may only be lifted', OLD.kind, OLD.account USING ERRCODE = 'check_violation';
END $$;
CREATE TRIGGER a_latch_is_only_lifted BEFORE UPDATE ON latches
    FOR EACH ROW WHEN (OLD.lifted_at IS NOT NULL OR OLD.latched_at IS NOT NULL AND
                       (OLD.account, OLD.kind, OLD.day, OLD.observed, OLD.seen_at, OLD.evidence_at, OLD.latched_at)
                       IS DISTINCT FROM
                       (NEW.account, NEW.kind, NEW.day, NEW.observed, NEW.seen_at, NEW.evidence_at, NEW.latched_at))
    EXECUTE FUNCTION refuse_to_forget_latch();
CREATE TRIGGER a_latch_is_not_deleted BEFORE DELETE ON latches
    FOR EACH ROW WHEN (OLD.latched_at IS NOT NULL) EXECUTE FUNCTION refuse_to_forget_latch();
CREATE TRIGGER latches_are_not_emptied BEFORE TRUNCATE ON latches EXECUTE FUNCTION refuse_edit_of_history();

-- ---------------------------------------------------------------- prices

-- The last quote of each symbol that is held, as exit saw it. A missing side is null.
CREATE TABLE marks (
    symbol text PRIMARY KEY,
    bid    numeric(16, 6) CHECK (bid >= 0),
    ask    numeric(16, 6) CHECK (ask >= 0),
    at     timestamptz NOT NULL
);

-- What a position that was held over night was worth at a session's open: the first mark that was seen from then on.
CREATE TABLE session_marks (
    position_id uuid NOT NULL REFERENCES positions,
    day         date NOT NULL,
    price       numeric(16, 6) NOT NULL CHECK (price >= 0),
    at          timestamptz NOT NULL,
    PRIMARY KEY (position_id, day)
);
CREATE TRIGGER session_marks_are_history BEFORE DELETE OR UPDATE ON session_marks
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();

-- ---------------------------------------------------------------- the stack

-- Until when each part of the stack is known to have been well, by the wall. *account* is '' where it is of all.
CREATE TABLE vital_signs (
    name    text NOT NULL CHECK (name <> ''),
    account text NOT NULL,
    at      timestamptz NOT NULL,
    PRIMARY KEY (name, account)
);

-- The rules that decide, by the hash that every decision carries. The youngest row is in force. Append-only.
CREATE TABLE configurations (
    configuration_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    hash             text NOT NULL CHECK (hash <> ''),
    body             jsonb NOT NULL,
    at               timestamptz NOT NULL,
    by               text NOT NULL CHECK (by <> ''),
    reason           text NOT NULL CHECK (reason <> '')
);
CREATE TRIGGER configurations_are_history BEFORE DELETE OR UPDATE ON configurations
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER configurations_are_not_emptied BEFORE TRUNCATE ON configurations
    EXECUTE FUNCTION refuse_edit_of_history();

-- Under which limits it was decided: null for what was decided before they were kept, and for a SELL, which has none.
ALTER TABLE decisions ADD COLUMN limits jsonb;
