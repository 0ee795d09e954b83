# One image for every command: `dbt build`, `python -m lake`, `python -m publication`, `python -m api`.
# It runs as a user without rights, on a read-only file system with a /tmp, and writes below /data.

FROM debian:bookworm-slim AS base
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates python3 tzdata \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /var/log/*

# What running needs, from the lock and nothing else. Who has to tell pip where packages are gives
# a pip.conf as the build's secret `pip`: no layer keeps it.
FROM base AS environment
RUN apt-get update && apt-get install --yes --no-install-recommends python3-venv
COPY requirements.lock .
RUN --mount=type=secret,id=pip,target=/etc/pip.conf \
    python3 -m venv /opt/leadmarts \
    && /opt/leadmarts/bin/pip install --no-cache-dir --disable-pip-version-check \
        --require-hashes --requirement requirements.lock \
    && /opt/leadmarts/bin/pip uninstall --quiet --yes pip setuptools

FROM base
WORKDIR /app
ENV PATH=/opt/leadmarts/bin:$PATH \
    HOME=/tmp \
    PYTHONDONTWRITEBYTECODE=1 \
    LEADMARTS_DATA=/data \
    DBT_TARGET_PATH=/tmp/target \
    DBT_LOG_PATH=/tmp/logs \
    DBT_SEND_ANONYMOUS_USAGE_STATS=false

COPY --from=environment /opt/leadmarts /opt/leadmarts
COPY . .
# Compiled once, because nothing can be written here later. A new volume at /data belongs to the
# user who runs all of this: what a build makes, the API can read.
RUN chmod -R a+rX . \
    && python -m compileall -q api lake publication telemetry \
    && install --directory --owner=10001 --group=10001 /data
USER 10001:10001

EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "from urllib.request import urlopen; urlopen('http://127.0.0.1:8000/health/live', timeout=4)"]
CMD ["python", "-m", "api", "--host", "0.0.0.0"]

# Last: these change with every commit, and the layers above need not.
ARG VERSION=unknown
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Lead Marts" \
    org.opencontainers.image.description="Delta Lake tables in, tested weekly and monthly marts out, served read-only over HTTP." \
    org.opencontainers.image.licenses="MIT" \
    org.opencontainers.image.version="$VERSION" \
    org.opencontainers.image.revision="$REVISION"
