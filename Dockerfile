# One image for every process of ours: what runs is said by the command.
#
#   docker build -t gapless .
#   docker build -t gapless --build-arg BASE_IMAGE=... --build-context wheels=DIR .   without a package index
#
# Any base with Python 3.11 or newer and its venv module will do.
ARG BASE_IMAGE=python:3.13.15-slim-trixie

# Wheels for a build without a package index, by --build-context wheels=DIR; empty otherwise.
FROM scratch AS wheels

FROM ${BASE_IMAGE} AS build
WORKDIR /build
COPY requirements.lock ./
# Hash-pinned binary wheels only: nothing is compiled, nothing is taken that the lock does not name.
RUN --mount=type=bind,from=wheels,target=/wheels \
    python3 -m venv /opt/gapless \
    && if [ -n "$(ls -A /wheels)" ]; then export PIP_NO_INDEX=1 PIP_FIND_LINKS=/wheels; fi \
    && /opt/gapless/bin/python -m pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --only-binary :all: -r requirements.lock
COPY domain /app/domain
COPY streams /app/streams
COPY db /app/db
COPY migrations /app/migrations
COPY brokerage /app/brokerage
COPY paper /app/paper
COPY monitoring /app/monitoring
COPY actors /app/actors
COPY cli /app/cli
COPY days /app/days
COPY docker/make_secrets.py docker/ask_health.py /app/docker/
COPY gapless.toml /app/
# Compiled here, because the file system of a running container is read-only.
RUN /opt/gapless/bin/python -m compileall -q /app \
    && printf '#!/bin/sh\nexec /opt/gapless/bin/python -P -m cli "$@"\n' >/opt/gapless/bin/gapless \
    && chmod 0755 /opt/gapless/bin/gapless

FROM ${BASE_IMAGE}
# The folders belong to the user who runs, so that a new volume on them does too.
RUN groupadd --gid 10001 gapless \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /app --shell /usr/sbin/nologin gapless \
    && install -d -o 10001 -g 10001 -m 0750 /run/gapless /var/lib/gapless
COPY --from=build /opt/gapless /opt/gapless
COPY --from=build /app /app
ENV PATH=/opt/gapless/bin:$PATH \
    PYTHONPATH=/app \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
WORKDIR /app
USER 10001:10001
ENTRYPOINT ["gapless"]
CMD ["--help"]
