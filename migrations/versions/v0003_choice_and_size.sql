-- The steps from what was asked to what was ordered; null where nothing was sized.
ALTER TABLE decisions ADD COLUMN sizing_steps jsonb CHECK (jsonb_typeof(sizing_steps) = 'array');

-- The contract that was chosen for a recommendation without a symbol, with the best that were considered and where the
-- others fell; null where nothing had to be chosen.
ALTER TABLE decisions ADD COLUMN selection jsonb CHECK (jsonb_typeof(selection) = 'object');

-- Where no contract was found, nothing was approved.
ALTER TABLE decisions ADD CONSTRAINT an_approval_found_its_contract
    CHECK (selection IS NULL OR outcome = 'refused' OR selection ->> 'symbol' IS NOT NULL);

-- What was chosen is what is ordered.
CREATE FUNCTION refuse_order_of_another_contract() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    ordered text;
BEGIN
    SELECT symbol INTO ordered FROM orders WHERE order_id = NEW.order_id;
    IF ordered <> NEW.selection ->> 'symbol' THEN
        RAISE EXCEPTION 'decision of % in %: % was chosen and % ordered', NEW.recommendation, NEW.account,
            NEW.selection ->> 'symbol', ordered
            USING ERRCODE = 'check_violation', CONSTRAINT = 'what_was_chosen_is_ordered';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER what_was_chosen_is_ordered BEFORE INSERT OR UPDATE ON decisions
    FOR EACH ROW WHEN (NEW.selection IS NOT NULL AND NEW.order_id IS NOT NULL)
    EXECUTE FUNCTION refuse_order_of_another_contract();
