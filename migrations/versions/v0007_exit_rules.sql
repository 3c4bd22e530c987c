-- Several rules share a word of the report; the rule's own name stands beside it.
ALTER TABLE positions ADD COLUMN exit_rule text;
UPDATE positions SET exit_rule = exit_reason WHERE exit_reason IS NOT NULL;
-- A reason has its rule.
ALTER TABLE positions ADD CONSTRAINT a_reason_has_its_rule CHECK ((exit_rule IS NULL) = (exit_reason IS NULL));

-- What the report calls a close follows from the rule: a rule has one reason, and the others are called like it.
ALTER TABLE positions ADD CONSTRAINT a_rule_has_one_reason CHECK (exit_reason = CASE
    WHEN exit_rule = 'break_even' THEN 'stop'
    WHEN exit_rule = 'ladder' THEN 'target'
    WHEN exit_rule IN ('trailing_price', 'trailing_tiers') THEN 'trailing'
    WHEN exit_rule = 'min_progress' THEN 'max_hold'
    WHEN exit_rule IN ('theta_decay', 'near_expiry') THEN 'expiry'
    WHEN exit_rule IN ('half_day', 'end_of_day_window') THEN 'end_of_day'
    WHEN exit_rule IN ('signal_reversal', 'earnings', 'regime') THEN 'signal'
    ELSE exit_rule END);

-- The gain of the highest rung that the ladder acted on, in per cent.
ALTER TABLE exit_plans ADD COLUMN ladder_pct numeric CHECK (ladder_pct > 0);
-- Rules that were not known when a policy was stored are off in it.
UPDATE exit_plans SET policy = '{"trail_price_arm_pct": null, "trail_price_pct": null, "trail_tiers": [],
    "break_even_arm_pct": null, "ladder": [], "progress_after": null, "progress_pct": null, "theta_days": null,
    "theta_pct": null, "near_expiry": [], "flatten_before_half_day_close": null, "windows": [],
    "overnight_min_days": null, "overnight_min_gain_pct": null, "overnight_max_usd": null,
    "reversal_min_confidence": null, "earnings_within_sessions": null, "regime_at_least": null}'::jsonb || policy;
-- The version beside a policy is its own.
ALTER TABLE exit_plans ADD CONSTRAINT a_policy_has_its_version CHECK (policy ->> 'version' = policy_version);

-- Exit state may only tighten: what a rule asked for stays asked for, a rung that was acted on stays so, and the
-- best and the worst price only move apart.
CREATE FUNCTION refuse_looser_exit() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'exit plan %: exit state may only tighten', OLD.position_id
        USING ERRCODE = 'check_violation', CONSTRAINT = 'exit_state_only_tightens';
END $$;
CREATE TRIGGER exit_state_only_tightens BEFORE UPDATE ON exit_plans FOR EACH ROW WHEN (
    (OLD.triggered_rule IS NOT NULL AND NEW.triggered_rule IS DISTINCT FROM OLD.triggered_rule)
    OR (OLD.ladder_pct IS NOT NULL AND (NEW.ladder_pct IS NULL OR NEW.ladder_pct < OLD.ladder_pct))
    OR (OLD.peak IS NOT NULL AND (NEW.peak IS NULL OR NEW.trough IS NULL
        OR least(NEW.peak, NEW.trough) > least(OLD.peak, OLD.trough)
        OR greatest(NEW.peak, NEW.trough) < greatest(OLD.peak, OLD.trough))))
    EXECUTE FUNCTION refuse_looser_exit();

-- What new positions of a strategy get in an account, and since when: the last row counts. Append-only.
CREATE TABLE exit_policies (
    change_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    account   text NOT NULL REFERENCES accounts,
    strategy  text NOT NULL CHECK (strategy <> ''),
    kind      text NOT NULL CHECK (kind IN ('option', 'stock')),
    version   text NOT NULL,
    policy    jsonb NOT NULL,
    at        timestamptz NOT NULL,
    CHECK (policy ->> 'version' = version)
);
CREATE INDEX exit_policies_of_a_strategy ON exit_policies (account, strategy, kind, change_id);
CREATE TRIGGER policies_are_history BEFORE DELETE OR UPDATE ON exit_policies
    FOR EACH ROW EXECUTE FUNCTION refuse_edit_of_history();
CREATE TRIGGER policies_are_not_emptied BEFORE TRUNCATE ON exit_policies EXECUTE FUNCTION refuse_edit_of_history();

-- The exit asks for what was recommended about an underlying since a position was opened.
CREATE INDEX recommendations_of_an_underlying ON recommendations ((body ->> 'underlying'), at);
