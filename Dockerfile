# One image for every program; the command says which.
FROM rust:1.95-bookworm AS toolchain
WORKDIR /src

# What the dependencies are built from: the manifests, and an empty program for each target.
FROM toolchain AS manifests
COPY . .
RUN mkdir /manifests \
    && echo 'fn main() {}' >/empty.rs \
    && find . \( -name Cargo.toml -o -name Cargo.lock -o -path '*/src/lib.rs' -o -path '*/src/main.rs' -o -path '*/benches/*.rs' \) \
        -exec cp --parents {} /manifests ';' \
    && find /manifests -name '*.rs' -exec cp /empty.rs {} ';'

FROM toolchain AS build
COPY --from=manifests /manifests .
# With TLS towards Kafka; OpenSSL is built for it.
RUN cargo build --release --locked --features tls \
    -p booking-api -p email-notifier -p sms-notifier -p whatsapp-notifier -p harkara
COPY . .
# Cargo looks only at sources that are newer than what it built.
RUN find crates services -name '*.rs' -exec touch {} + \
    && cargo build --release --locked --features tls \
        -p booking-api -p email-notifier -p sms-notifier -p whatsapp-notifier -p harkara

FROM debian:bookworm-slim
RUN groupadd --gid 10001 harkara \
    && useradd --uid 10001 --gid harkara --no-create-home --home-dir /data harkara \
    && install --directory --owner harkara --group harkara /data
# Who vouches for the providers' certificates.
COPY --from=toolchain /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/
COPY --from=build /src/target/release/booking-api /src/target/release/email-notifier /src/target/release/sms-notifier \
    /src/target/release/whatsapp-notifier /src/target/release/harkara /usr/local/bin/
USER 10001:10001
# Databases and the sandbox's ledger are in ./data unless the settings say otherwise.
WORKDIR /
VOLUME /data
ENV HTTP_ADDR=0.0.0.0:8080
# Healthy is what /readyz says. The image has no curl, and needs none.
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["bash", "-c", \
    "exec 3<>\"/dev/tcp/127.0.0.1/${HTTP_ADDR##*:}\" && printf 'GET /readyz HTTP/1.0\\r\\n\\r\\n' >&3 && read -r _ status _ <&3 && [ \"$status\" = 200 ]"]
STOPSIGNAL SIGTERM
CMD ["harkara", "--help"]
ARG REVISION=unknown
LABEL org.opencontainers.image.title="Harkara" \
    org.opencontainers.image.description="Booking notifications over Apache Kafka: e-mail, SMS and WhatsApp" \
    org.opencontainers.image.licenses="Apache-2.0" \
    org.opencontainers.image.revision="$REVISION"
