-- For wrk: posts BENCH_BODY, or without one just gets. Where that has {alias} and {to}, no two requests are
-- the same: they get a name and a date of their own, counted from BENCH_OFFSET. Ends with one line of JSON.
local body = os.getenv("BENCH_BODY")
local varies = body ~= nil and body:find("{to}", 1, true) ~= nil
local threads = 0

function setup(thread)
  thread:set("number", threads)
  threads = threads + 1
end

function init()
  if body then
    wrk.method = "POST"
    wrk.headers["content-type"] = "application/json"
    wrk.body = body
  end
  if varies then
    count = tonumber(os.getenv("BENCH_OFFSET")) + number * 500000
  end
end

-- Only where it is needed: without this function, wrk sends the same bytes again, which costs it less.
if varies then
  function request()
    count = count + 1
    -- Some day from 2100 on, and before the year 10000.
    local to = os.date("!%Y-%m-%d", 4102444800 + count % 2800000 * 86400)
    return wrk.format(nil, nil, nil, (body:gsub("{alias}", "a" .. count):gsub("{to}", to)))
  end
end

function done(summary)
  local errors = summary.errors
  io.write(string.format('\n{"answers": %d, "seconds": %f, "refused": %d, "broken": %d}\n',
    summary.requests, summary.duration / 1e6, errors.status,
    errors.connect + errors.read + errors.write + errors.timeout))
end
