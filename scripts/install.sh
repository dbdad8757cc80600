#!/usr/bin/env bash
# Installs system packages (Debian, Ubuntu); on other systems it says what is missing.
set -euo pipefail

command -v apt-get >/dev/null || { echo "please install: $*" >&2; exit 1; }
sudo=""
[ "$(id -u)" = 0 ] || sudo=sudo
$sudo apt-get update -qq
DEBIAN_FRONTEND=noninteractive $sudo apt-get install -y -qq "$@" >/dev/null
