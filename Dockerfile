# Two stages: the first has Go and a shell, the second has the program, the
# certificates it trusts, and nothing else.

FROM golang:1.26-bookworm AS build
WORKDIR /src
# Dependencies first: they change less often than the code.
COPY go.mod go.sum ./
RUN go mod download
COPY . .
# Without cgo the program needs no libc; time zones are built in.
RUN CGO_ENABLED=0 go build -trimpath -ldflags="-s -w" -o /out/connectlink ./cmd/connectlink

FROM scratch
COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/ca-certificates.crt
COPY --from=build /out/connectlink /connectlink
# A number, so that an orchestrator can see that it is not root.
USER 65532:65532
# The container's network decides who reaches this.
ENV CONNECTLINK_LISTEN=0.0.0.0:8080
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=6s --start-period=30s --retries=3 CMD ["/connectlink", "healthcheck"]
ENTRYPOINT ["/connectlink"]
CMD ["serve"]
