-- Requests for wrk: one body, one of the users' names in the header, as fast as answers come or with a pause.
-- Arguments: file with the request up to the user's name, file with the rest, users, percent known, mean pause in µs.
local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read("*a")
  file:close()
  return text
end

local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

local before, after, users, known, pause, user
function init(args)
  before, after = read(args[1]), read(args[2])
  users, known, pause = tonumber(args[3]), tonumber(args[4]), tonumber(args[5])
  user = number * 7919
  math.randomseed(number)
  if pause == 0 then delay = nil end
end

-- 7919 is prime: every user has a turn, and neighbours in time are not neighbours in memory.
function request()
  user = (user + 7919) % users
  if known < 100 and math.random(100) > known then
    return before .. "stranger-" .. user .. after
  end
  return before .. "user-" .. (user + 1) .. after
end

-- Pauses of whole milliseconds, exponentially distributed: the nearest to a given rate that wrk can do.
function delay()
  return math.floor(-math.log(1 - math.random()) * pause / 1000 + math.random())
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    'RESULT {"requests":%d,"seconds":%.6f,"errors":%d,"p50":%.1f,"p99":%.1f,"p999":%.1f}\n',
    summary.requests, summary.duration / 1e6, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
