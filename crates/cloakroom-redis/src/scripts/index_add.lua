-- Adds a session to its user's index, if the limit allows it.
-- KEYS[1]  the user's index: a sorted set of ids. The score is the session's absolute deadline in
--          milliseconds. A negative score marks a session that a sign-in has to end to make room: it is
--          the time at which it was marked, negated.
-- ARGV[1]  the current time
-- ARGV[2]  the id
-- ARGV[3]  its deadline
-- ARGV[4]  the maximum number of sessions of the user; 0 for no limit
-- ARGV[5]  1 to evict the oldest, 0 to reject
-- ARGV[6]  the id of the session that it replaces, or ''
-- ARGV[7]  how long after its deadline an entry is stale
-- ARGV[8]  how long a sign-in may take to end the sessions it evicts
-- ARGV[9…] ids of entries to remove, whose sessions have ended
-- Returns {1, ids to end, up to two old ids to check}, or {0, the ids that count} if the index is full.
local key, id, replaces = KEYS[1], ARGV[2], ARGV[6]
local now, deadline, limit = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local stale, lease = tonumber(ARGV[7]), tonumber(ARGV[8])
for index = 9, #ARGV do
  redis.call('ZREM', key, ARGV[index])
end
redis.call('ZREMRANGEBYSCORE', key, 0, now - stale)

-- An id starts with the time of its creation. As a number: the order of strings in Lua depends on the
-- server's locale.
local function created(other)
  return tonumber(string.sub(other, 1, 8) .. string.sub(other, 10, 13), 16)
end

local evicted = {}
if limit > 0 then
  local others = {}
  for _, other in ipairs(redis.call('ZRANGEBYSCORE', key, 0, '+inf')) do
    if other ~= id and other ~= replaces then
      others[#others + 1] = other
    end
  end
  local excess = #others + 1 - limit
  if excess > 0 and ARGV[5] ~= '1' then
    return { 0, others }
  end
  table.sort(others, function(one, two)
    return created(one) < created(two)
  end)
  for index = 1, math.min(excess, #others) do
    evicted[#evicted + 1] = others[index]
  end
  -- Marked by a sign-in that has not reported their end within the lease: this one has to end them.
  for _, left in ipairs(redis.call('ZRANGEBYSCORE', key, lease - now, '(0')) do
    evicted[#evicted + 1] = left
  end
  for _, other in ipairs(evicted) do
    redis.call('ZADD', key, -now, other)
  end
end

local there = tonumber(redis.call('ZSCORE', key, id) or '')
if there and there > deadline then
  deadline = there
end
redis.call('ZADD', key, deadline, id)
local keep = deadline - now + stale
if redis.call('PTTL', key) < keep then
  redis.call('PEXPIRE', key, keep)
end
local sample = {}
for _, other in ipairs(redis.call('ZRANDMEMBER', key, 4)) do
  if #sample < 2 and other ~= id and created(other) < now - stale then
    sample[#sample + 1] = other
  end
end
return { 1, evicted, sample }
