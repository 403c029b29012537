-- Enters a session for its user, if the limit lets it.
-- KEYS[1]  the user's index: a sorted set of ids. The score is the session's absolute deadline in
--          milliseconds; below zero, it is since when somebody is to end the session for the limit.
-- ARGV[1]  the time now
-- ARGV[2]  the id
-- ARGV[3]  its deadline
-- ARGV[4]  how many sessions the user may have; 0 for any number
-- ARGV[5]  1 to make room, 0 to refuse
-- ARGV[6]  the id whose place it takes, or ''
-- ARGV[7]  how long after its deadline an entry is old
-- ARGV[8]  how long somebody has to end a session
-- ARGV[9…] ids of entries that are dead
-- Answers {1, ids to be ended, two old ids at most}, or {0, the ids that count} if the index is full.
local key, id, replaces = KEYS[1], ARGV[2], ARGV[6]
local now, deadline, limit = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local old, lease = tonumber(ARGV[7]), tonumber(ARGV[8])
for index = 9, #ARGV do
  redis.call('ZREM', key, ARGV[index])
end
redis.call('ZREMRANGEBYSCORE', key, 0, now - old)

-- The head of an id is when it began. As a number: how Lua compares texts depends upon the server's
-- locale.
local function began(other)
  return tonumber(string.sub(other, 1, 8) .. string.sub(other, 10, 13), 16)
end

local over = {}
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
    return began(one) < began(two)
  end)
  for index = 1, math.min(excess, #others) do
    over[#over + 1] = others[index]
  end
  -- Whoever was to end these has not told that it did.
  for _, left in ipairs(redis.call('ZRANGEBYSCORE', key, lease - now, '(0')) do
    over[#over + 1] = left
  end
  for _, other in ipairs(over) do
    redis.call('ZADD', key, -now, other)
  end
end

local there = tonumber(redis.call('ZSCORE', key, id) or '')
if there and there > deadline then
  deadline = there
end
redis.call('ZADD', key, deadline, id)
local keep = deadline - now + old
if redis.call('PTTL', key) < keep then
  redis.call('PEXPIRE', key, keep)
end
local some = {}
for _, other in ipairs(redis.call('ZRANDMEMBER', key, 4)) do
  if #some < 2 and other ~= id and began(other) < now - old then
    some[#some + 1] = other
  end
end
return { 1, over, some }
