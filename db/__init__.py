"""The door to Postgres: one module a table, SQL written as SQL. Lock order everywhere: account, position, order."""
