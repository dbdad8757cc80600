# A data loader: what it prints becomes visits.json when the site is built. The page itself asks no gateway.
curl --fail --silent --show-error "${GATEWAY:-http://localhost:5153}/api/reports/usage?granularity=DAY&range=LAST_90_DAYS&gaps=ZERO&time_zone=Europe/Berlin&basis=USED_AT&format=json"
