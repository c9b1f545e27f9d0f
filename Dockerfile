# syntax=docker/dockerfile:1
# One static binary on an image that has certificates and time zones, and neither a shell nor a package manager. PostgreSQL is not in it: it
# is hosted beside (DATABASE_URL), as Redis is (REDIS_URL).
FROM golang:1.26.8-bookworm AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN CGO_ENABLED=0 go build -trimpath -ldflags "-s -w" -o /out/scratchpaper .

FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/scratchpaper /scratchpaper
USER 65532:65532
# Everybody who reaches the container reaches the app, so it starts only with SIGN_IN and BASE_URL.
ENV HOST=0.0.0.0 PORT=3010 LOG_FORMAT=json STOP_DELAY=10s
EXPOSE 3010
HEALTHCHECK --interval=10s --timeout=6s --start-period=60s --retries=3 CMD ["/scratchpaper", "health"]
ENTRYPOINT ["/scratchpaper"]
CMD ["serve"]
