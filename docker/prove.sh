#!/bin/sh
# Proves the stack on a real engine: builds it, brings it up, lets it trade, kills its servers, and looks whether anything
# was lost or shown that should not be.
#
#   docker/prove.sh [LOCAL_BASE WHEELS]
#
# Without arguments the official images are used. With them nothing is pulled: LOCAL_BASE is an image with Python and the
# servers' Debian packages (docker/standins/Dockerfile), WHEELS a folder with the wheels of requirements.lock; grafana,
# which Debian does not have, is left out. It uses a project of its own, and takes it down with its volumes at the end.
set -eu
cd -- "$(dirname -- "$0")/.."

export COMPOSE_PROJECT_NAME=gapless-proof PAPER_SPEED="${PAPER_SPEED:-300}"
export PROMETHEUS_PORT="${PROMETHEUS_PORT:-19090}" ALERTMANAGER_PORT="${ALERTMANAGER_PORT:-19093}" GRAFANA_PORT="${GRAFANA_PORT:-13000}"
patience_s=${PATIENCE_S:-300}

say() { printf '== %s\n' "$*"; }
fail() {
    printf 'FAILED: %s\n' "$*" >&2
    exit 1
}
compose() { docker compose --progress quiet --profile paper "$@"; }
gapless() { compose exec -T reconciler gapless "$@"; }
ask() { gapless "$1" --json | python3 -c "import json, sys; found = json.load(sys.stdin); print($2)"; }

# wait_until NAME COMMAND...: wait until the command succeeds.
wait_until() {
    name=$1
    shift
    end=$(($(date +%s) + patience_s))
    until "$@" >/dev/null 2>&1; do
        [ "$(date +%s)" -lt "$end" ] || fail "not within $patience_s s: $name"
        sleep 1
    done
    say "$name"
}

build() {
    if [ "$#" -eq 2 ]; then
        for server in redis postgres prometheus alertmanager; do
            docker build -q -t "gapless-standin-$server" --build-arg "LOCAL_BASE=$1" --target "$server" docker/standins
        done
        export REDIS_IMAGE=gapless-standin-redis POSTGRES_IMAGE=gapless-standin-postgres
        export PROMETHEUS_IMAGE=gapless-standin-prometheus ALERTMANAGER_IMAGE=gapless-standin-alertmanager
        docker build -q -t gapless:local --build-arg "BASE_IMAGE=$1" --build-context "wheels=$2" .
        services=$(compose config --services | grep -v '^grafana$')
    else
        docker build -q -t gapless:local .
        services=$(compose config --services)
    fi
}

# shellcheck disable=SC2086  # services are words
up() { compose up -d --quiet-pull "$@" $services >/dev/null; }

# Every container that is to stay is healthy. None at all is not.
all_healthy() {
    states=$(compose ps --format '{{.Service}} {{.Health}}' | grep -v '^player ')
    [ -n "$states" ] && ! printf '%s\n' "$states" | grep -qv ' healthy$'
}

opened_at_least() { [ "$(ask positions "len(found['items'])")" -ge "$1" ]; }
closed_at_least() { [ "$(ask report "sum(p['closed_at'] is not None for p in found['positions'])")" -ge "$1" ]; }
player_is_over() { [ "$(docker inspect -f '{{.State.Status}}' "$COMPOSE_PROJECT_NAME-player-1")" = exited ]; }
# shellcheck disable=SC2016  # the container expands it
entries() { compose exec -T redis sh -c 'REDISCLI_AUTH=$(cat /run/gapless/redis_password) redis-cli --user gapless --no-auth-warning xlen recommendations'; }

# Ports that a person's machine offers to others; loopback alone is allowed.
published_elsewhere() { compose ps --format '{{.Ports}}' | tr ',' '\n' | grep -- '->' | grep -v '^ *127\.0\.0\.1:'; }

secrets_are_kept() {
    say "looking for passwords in environments, command lines, logs and metrics"
    for name in database_password redis_password grafana_password; do
        secret=$(compose exec -T gate cat "/run/gapless/$name")
        [ "${#secret}" -ge 32 ] || fail "$name is no password"
        for container in $(compose ps -aq); do
            docker inspect "$container" | grep -q "$secret" && fail "$name stands in docker inspect of $container"
            docker logs "$container" 2>&1 | grep -q "$secret" && fail "$name stands in the log of $container"
        done
        compose exec -T gate sh -c 'cat /proc/*/cmdline' | tr '\0' ' ' | grep -q "$secret" && fail "$name stands in a command line"
        compose exec -T prometheus wget -qO- http://exporter:9464/metrics | grep -q "$secret" && fail "$name stands in the metrics"
    done
    return 0
}

finish() {
    code=$?
    [ "$code" -eq 0 ] || compose logs --tail 30 >&2 || :
    compose down --volumes --timeout 5 >/dev/null 2>&1 || :
    exit "$code"
}

build "$@"
compose down --volumes >/dev/null 2>&1 || :
trap finish EXIT
trap 'exit 130' INT TERM

say "bringing it up"
up
wait_until "every service is healthy" all_healthy
wait_until "a position was opened" opened_at_least 1

before=$(entries)
say "killing redis and postgres"
compose kill -s KILL redis postgres >/dev/null
up --no-recreate
wait_until "every service is healthy again" all_healthy
[ "$(entries)" -ge "$before" ] || fail "recommendations were lost: $before before, $(entries) after"

say "scaling: three gates, two trackers"
up --no-recreate --scale gate=3 --scale tracker=2
wait_until "every copy is healthy" all_healthy
wait_until "a position was closed" closed_at_least 1
secrets_are_kept
published_elsewhere && fail "a port is published beyond loopback"
wait_until "the day is over" player_is_over

[ "$(docker inspect -f '{{.State.ExitCode}}' "$COMPOSE_PROJECT_NAME-player-1")" = 0 ] || fail "the report has breaches or drift"
gapless verify
gapless doctor >/dev/null || fail "doctor: $(gapless doctor | grep '^NO')"
say "$(ask report "len(found['positions'])") positions, $(ask report "found['breaches']") breaches, $(ask report "len(found['drift'])") drifts: proved"
