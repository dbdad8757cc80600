# Bases are pinned by tag. Pin them by digest too, as `tag@sha256:…`, from
# `docker buildx imagetools inspect`: no digest stands here that nobody has looked up.
ARG RUST_VERSION=1.95

# The official image, from the mirror that sets CodeBuild no pull limit.
FROM public.ecr.aws/docker/library/rust:${RUST_VERSION}-bookworm AS build
WORKDIR /build

# Dependencies are a layer of their own, built around empty crates: unlike a cache mount it lives in
# every layer cache and builder, and unlike cargo-chef it needs no further tool.
COPY Cargo.toml Cargo.lock ./
COPY entity/Cargo.toml entity/
COPY migration/Cargo.toml migration/
RUN mkdir -p src entity/src migration/src \
    && echo 'fn main() {}' > src/main.rs \
    && touch src/lib.rs entity/src/lib.rs migration/src/lib.rs \
    && cargo build --release --locked

COPY . .
ARG REVISION=unknown
# Cargo compares times: the real crates have to be newer than the empty ones.
RUN touch src/main.rs src/lib.rs entity/src/lib.rs migration/src/lib.rs \
    && cargo build --release --locked

# glibc, and no shell. distroless/cc would add 9 MB of OpenSSL and libstdc++, and go beyond 40 MB:
# of all that, the binary links libgcc alone.
FROM gcr.io/distroless/base-nossl-debian12:nonroot
ARG VERSION=unknown
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="coworking-analytics" \
      org.opencontainers.image.description="GraphQL analytics gateway for coworking spaces" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /usr/lib/*-linux-gnu/libgcc_s.so.1 /usr/lib/
COPY --from=build /build/target/release/coworking-analytics /usr/local/bin/coworking-analytics
# By number, so that Kubernetes can tell that it is not root.
USER 65532:65532
# The user's own folder: the embedded database fits in; with PostgreSQL nothing is written.
WORKDIR /home/nonroot
EXPOSE 5153 9153
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["/usr/local/bin/coworking-analytics", "health"]
ENTRYPOINT ["/usr/local/bin/coworking-analytics"]
CMD ["serve"]
