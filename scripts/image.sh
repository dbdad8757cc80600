#!/usr/bin/env bash
# Builds the container image with docker, podman or buildah, whichever works first, and checks its size.
#   image.sh [TAG]      TAG is coworking-analytics:local by default
# The variables VERSION, REVISION and SOURCE become labels; by default they come from Cargo.toml and git.
set -euo pipefail
cd "$(dirname "$0")/.."

tag=${1:-coworking-analytics:local}
limit=40000000
version=${VERSION:-$(sed -n 's/^version = "\(.*\)"$/\1/p' Cargo.toml | head -n 1)}
revision=${REVISION:-$(git describe --always --dirty --abbrev=40 --exclude '*' 2>/dev/null || echo unknown)}
source=${SOURCE:-$(git remote get-url origin 2>/dev/null || echo unknown)}

builder=""
for each in docker podman buildah; do
  # Skip a client whose daemon does not run.
  if "$each" info >/dev/null 2>&1; then builder=$each && break; fi
done
[ -n "$builder" ] || {
  echo "building an image needs docker (running), podman or buildah; on Debian and Ubuntu: apt-get install buildah" >&2
  exit 1
}

# A URL may contain a password, which must not be in the label.
if [[ $source =~ ^([a-z]+://)[^/@]*@(.*)$ ]]; then source=${BASH_REMATCH[1]}${BASH_REMATCH[2]}; fi

options=()
# The OCI format has no HEALTHCHECK.
[ "$builder" = docker ] || options+=(--format docker)
# Labels on the command line are of this build. podman takes the layer of the Dockerfile's labels from its cache, with
# those of an earlier build.
name=org.opencontainers.image
"$builder" build "${options[@]}" --tag "$tag" \
  --build-arg "VERSION=$version" --build-arg "REVISION=$revision" --build-arg "SOURCE=$source" \
  --label "$name.version=$version" --label "$name.revision=$revision" --label "$name.source=$source" .

if [ "$builder" = buildah ]; then
  # buildah prints sizes only in a readable form, such as "23.4 MB".
  size=$(buildah images --format '{{.Size}}' "$tag" | head -n 1 | sed 's/ //; s/B$//; s/bytes$//' | numfmt --from=si)
else
  size=$("$builder" image inspect --format '{{.Size}}' "$tag")
fi
echo "$tag: $(numfmt --to=si --format=%.1f "$size")B"
[ "$size" -le "$limit" ] || { echo "$tag is larger than $(numfmt --to=si "$limit")B" >&2; exit 1; }
