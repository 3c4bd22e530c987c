-- Decisions wait for their account's lock, so what they ask under it must not grow with the age of the ledger.
CREATE INDEX openings_of_an_account ON orders (account, approved_at) WHERE opening AND NOT external;
CREATE INDEX openings_in_an_underlying ON orders (account, underlying, approved_at) WHERE opening AND NOT external;
CREATE INDEX closes_of_an_account ON positions (account, closed_at) WHERE closed_at IS NOT NULL;
CREATE INDEX closes_in_an_underlying ON positions (account, underlying, closed_at) WHERE closed_at IS NOT NULL;
