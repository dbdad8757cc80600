#!/usr/bin/env bash
# Asks a gateway over REST and GraphQL, with curl alone.
#   examples/curl.sh
# GATEWAY is its address; GATEWAY_KEY an API key, where the gateway wants one.
set -euo pipefail

gateway=${GATEWAY:-http://localhost:5153}

# Fails where the gateway refuses. The key is in no argument, where other users of the machine could read it.
ask() {
  if [ -n "${GATEWAY_KEY:-}" ]; then
    curl --silent --show-error --fail-with-body --header @<(printf 'x-api-key: %s\n' "$GATEWAY_KEY") "$@"
  else
    curl --silent --show-error --fail-with-body "$@"
  fi
}

echo "# Visits by week, as CSV"
ask "$gateway/api/reports/usage?granularity=WEEK&range=LAST_30_DAYS&time_zone=Europe/Berlin&format=csv"

echo
echo "# What became of door codes, as JSON"
ask "$gateway/api/reports/token_funnel?range=LAST_30_DAYS"

echo
echo "# This month and the last one up to the same day, by GraphQL"
# With this `accept`, an error has the status of an error, and curl fails.
ask "$gateway/graphql" --header 'content-type: application/json' --header 'accept: application/graphql-response+json' --data '{
  "query": "query ($filter: DailyUsageFilterInput) { usage(filter: $filter) { totals { visits } previous { from to totals { visits } changeRatio { visits } } } }",
  "variables": { "filter": { "range": "THIS_MONTH" } }
}'

echo
echo "# Twice the same question by GET: 304, and nothing is sent, while the answer is the same"
tag=$(mktemp)
trap 'rm -f "$tag"' EXIT
again() {
  ask "$gateway/graphql" --get --data-urlencode 'query={ tokenFunnel { issued used } }' --output /dev/null --write-out '%{http_code}\n' "$@"
}
again --etag-save "$tag"
again --etag-compare "$tag"

echo
echo "# Today's visits, now and whenever they change: followed for two seconds"
ask --no-buffer --max-time 2 "$gateway/graphql" --header 'accept: text/event-stream' --get \
  --data-urlencode 'query=subscription { usage(filter: { range: TODAY }) { totals { visits } } }' 2>/dev/null || [ $? = 28 ]
