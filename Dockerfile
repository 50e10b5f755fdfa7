# Cinelog with what it runs: FFmpeg, and bubblewrap to hold FFmpeg in. Built from the root of the repository:
#   docker build -t cinelog .
FROM golang:1.26 AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 go build -trimpath -o /out/cinelog ./cmd/cinelog

# bookworm has FFmpeg 5.1, the version that the tests run with.
FROM debian:bookworm-slim
RUN apt-get update \
    && apt-get install -y --no-install-recommends bubblewrap ca-certificates ffmpeg wget \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10001 --user-group --home-dir /data --shell /usr/sbin/nologin cinelog \
    && install -d -o cinelog -g cinelog -m 0750 /data
COPY --from=build /out/cinelog /usr/local/bin/cinelog
USER 10001:10001
# Erasing writes databases anew, by way of a file here.
ENV CINELOG_DATA=/data SQLITE_TMPDIR=/data
WORKDIR /data
# All that is written: what an embedded installation keeps, or the cache of one that keeps it elsewhere. The rest of the
# file system may be read-only; /tmp is not used but by FFmpeg's cage, which brings its own.
VOLUME /data
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/readyz"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["cinelog"]
CMD ["serve"]
