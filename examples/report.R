#!/usr/bin/env Rscript
# Reads visits by day as CSV, and who comes back as lines of JSON. Base R reads the first; the second needs jsonlite.
#   Rscript examples/report.R
# GATEWAY is the gateway's address; GATEWAY_KEY an API key, where the gateway wants one.

gateway <- Sys.getenv("GATEWAY", "http://localhost:5153")
key <- Sys.getenv("GATEWAY_KEY")
ask <- function(path) url(paste0(gateway, path), headers = if (nzchar(key)) c("x-api-key" = key))

days <- read.csv(ask("/api/reports/usage?granularity=DAY&range=LAST_90_DAYS&gaps=ZERO&time_zone=Europe/Berlin&format=csv"))
days$date <- as.Date(days$label)
# Today is not over: leave it out of averages.
whole <- days[days$is_partial == "false", ]
cat("Visits by day of the week, on average\n")
print(round(tapply(whole$visits, format(whole$date, "%u %a"), mean), 1))

if (requireNamespace("jsonlite", quietly = TRUE)) {
  periods <- jsonlite::stream_in(
    ask("/api/reports/retention?cohort=MONTH&periods=3&time_zone=Europe/Berlin&format=ndjson"), verbose = FALSE)
  cat("\nMembers who came, by month of joining and months since\n")
  # What has not begun is empty.
  print(tapply(periods$active, periods[c("cohort_label", "period")], sum))
}
