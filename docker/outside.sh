#!/bin/sh
# Prints what lets `gapless` outside of the containers use the stack's servers (docker/outside.yml): eval it.
# The addresses hold passwords: they go to this shell, and to no file.
set -eu
address() { docker compose exec -T gate cat "/run/gapless/$1" | sed "s/@$2:[0-9]*/@127.0.0.1:$3/"; }
printf "export GAPLESS_REDIS_URL='%s'\n" "$(address redis_url redis "${REDIS_PORT:-6379}")"
printf "export GAPLESS_DATABASE_URL='%s'\n" "$(address database_url postgres "${POSTGRES_PORT:-5432}")"
# The clock and the brokerage of the stack, as its containers know them.
docker compose exec -T gate env | grep -E '^GAPLESS_(STACK__CLOCK|BROKERAGE__MODE)=' | sed 's/^/export /'
