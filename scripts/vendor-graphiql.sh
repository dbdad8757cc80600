#!/usr/bin/env bash
# Fetches the third-party files of the GraphiQL page from their packages, and stores them compressed in the source tree.
# Run it to change a version; the result is the same on every machine.
set -euo pipefail

target=$(cd "$(dirname "$0")/../src/http/pages/graphiql" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

# package, version, sha512 of the package, files to keep
packages=(
  "graphiql 4.1.2 rNlzQIAzm6i2KBXmVQWBgLvt0TloxFVB2d18bukvdsvjEuFDHsKx5IVOomL1W1o5WW+tE54+ioHb2AEKzO2cUg== graphiql.min.js graphiql.min.css"
  "react 18.3.1 wS+hAgJShR0KhEvPJArfuPVN1+Hz1t0Y6n5jLrGQbkb4urgPE/0Rve+1kMB1v/oWgHgm4WIcV+i7F2pTVj+2iQ== umd/react.production.min.js"
  "react-dom 18.3.1 5m4nQKp+rZRb09LNH59GM4BxTh9251/ylbKIbpe7TpGxfJ+9kv6BLkLBXIjjspbgbnIBNqlI23tRnTWT0snUIw== umd/react-dom.production.min.js"
  # Only for their licences, because the style sheet above embeds these fonts.
  "@fontsource/fira-code 5.2.7 tnB9NNund9TwIym8/7DMJe573nlPEQb+fKUV5GL8TBYXjIhDvL0D7mgmNVNQUPhXp+R7RylQeiBdkA4EbOHPGQ=="
  "@fontsource/roboto 5.2.9 ZTkyHiPk74B/aj8BZWbsxD5Yu+Lq+nR64eV4wirlrac2qXR7jYk2h6JlLYuOuoruTkGQWNw2fMuKNavw7/rg0w=="
)

: >LICENSES.txt
for line in "${packages[@]}"; do
  read -r name version hash files <<<"$line"
  npm pack --silent "$name@$version" >/dev/null
  archive="${name#@}"
  archive="${archive/\//-}-$version.tgz"
  [ "$(openssl dgst -sha512 -binary "$archive" | base64 -w0)" = "$hash" ] || { echo "$archive is not what was reviewed" >&2; exit 1; }
  mkdir -p "$name"
  tar xzf "$archive" -C "$name" --strip-components 1
  for file in $files; do
    gzip -9 -n -c "$name/$file" >"$target/$(basename "$file").gz"
  done
  { echo "== $name $version =="; cat "$name/LICENSE"; echo; } >>LICENSES.txt
done
cp LICENSES.txt "$target/"
