-- Adds a session to its user's index, if the limit allows it. It looks at a limited number of entries, however
-- many there are.
-- KEYS[1]  the user's index: a sorted set of ids in the order of their creation. The score is the time of the id
--          in milliseconds, times 2048, plus a code for the time from then to the session's deadline: see
--          `score_of`. A negative score marks a session that a sign-in has to end to make room: it is the
--          time at which it was marked, negated. A score below 100000000000000 is a deadline in milliseconds, as
--          earlier versions wrote it; such entries are converted: up to 1024 before sessions are counted for the
--          limit, and 64 when stale entries are removed.
-- ARGV[1]  the current time
-- ARGV[2]  the id; or '' to add none
-- ARGV[3]  its deadline
-- ARGV[4]  the maximum number of sessions of the user; 0 for no limit
-- ARGV[5]  1 to evict the oldest, 0 to reject
-- ARGV[6]  the id of the session that it replaces, or ''
-- ARGV[7]  how long after its deadline an entry is stale
-- ARGV[8]  how long a sign-in may take to end the sessions it evicts
-- ARGV[9]  how many ids follow
-- ARGV[10…] ids of entries to remove, whose sessions have ended
-- Returns {1, up to 64 ids to end, up to 16 old ids to check}; or {0, up to 128 of the ids that count} if the
-- index is full.
local key, id, replaces = KEYS[1], ARGV[2], ARGV[6]
local now, deadline, limit = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
local stale = tonumber(ARGV[7])
local oldest_score = 100000000000000
if ARGV[9] ~= '0' then
  redis.call('ZREM', key, unpack(ARGV, 10, 9 + tonumber(ARGV[9])))
end

-- An id starts with the time of its creation. As a number: the order of strings in Lua depends on the
-- server's locale.
local function created(other)
  return tonumber(string.sub(other, 1, 8) .. string.sub(other, 10, 13), 16) or 0
end

-- The code has five bits of an exponent and six of a mantissa: (64 + mantissa) * 2^exponent seconds, rounded up. So
-- the deadline that is read from it is late by up to a 64th of the time, and at least 64 seconds after the id.
local function score_of(other, at)
  local start = created(other)
  local seconds = math.min(math.max(math.ceil((at - start) / 1000), 64), 2 ^ 37)
  local mantissa, exponent = math.frexp(seconds)
  return start * 2048 + (exponent - 7) * 64 + math.ceil(mantissa * 128) - 64
end

-- Converts up to 64 entries of earlier versions, those with the latest deadlines. Converted entries follow all others,
-- so the order of the index does not change if that of the deadlines is the order of creation: the oldest stay at its
-- start, and no id moves past the end of a page. Returns whether there may be more.
local function convert()
  local latest = '(' .. oldest_score
  local found = redis.call('ZRANGE', key, latest, 0, 'BYSCORE', 'REV', 'LIMIT', 0, 64, 'WITHSCORES')
  for index = 1, #found, 2 do
    local at = tonumber(found[index + 1])
    if at + stale < now then
      redis.call('ZREM', key, found[index])
    else
      redis.call('ZADD', key, score_of(found[index], at), found[index])
    end
  end
  return #found == 128
end

local evicted = {}
if limit > 0 then
  local excess = redis.call('ZCARD', key) + 1 - limit
  if excess > 0 then
    -- Until all are converted, those with the earliest deadlines count as the oldest.
    for _ = 1, 16 do
      if not convert() then
        break
      end
    end
    local function counts(other)
      return other ~= '' and tonumber(redis.call('ZSCORE', key, other) or -1) >= 0 and 1 or 0
    end
    local others = redis.call('ZCOUNT', key, 0, '+inf') - counts(id) - counts(replaces)
    excess = others + (id == '' and 0 or 1) - limit
    local function oldest(most)
      local ids = {}
      for _, other in ipairs(redis.call('ZRANGEBYSCORE', key, 0, '+inf', 'LIMIT', 0, most + 2)) do
        if #ids < most and other ~= id and other ~= replaces then
          ids[#ids + 1] = other
        end
      end
      return ids
    end
    if excess > 0 and ARGV[5] ~= '1' then
      local ids = oldest(others > 128 and 64 or 128)
      if others > 128 then
        local known = { [id] = true, [replaces] = true }
        for _, other in ipairs(ids) do
          known[other] = true
        end
        local random = redis.call('ZRANDMEMBER', key, 64, 'WITHSCORES')
        for index = 1, #random, 2 do
          if not known[random[index]] and tonumber(random[index + 1]) >= 0 then
            ids[#ids + 1] = random[index]
          end
        end
      end
      return { 0, ids }
    end
    if excess > 0 then
      evicted = oldest(math.min(excess, 64))
    end
  end
  -- Marked by a sign-in that has not reported their end within the lease: this one has to end them.
  if #evicted < 64 then
    local lease = tonumber(ARGV[8])
    local left = redis.call('ZRANGEBYSCORE', key, lease - now, '(0', 'LIMIT', 0, 64 - #evicted)
    for _, other in ipairs(left) do
      evicted[#evicted + 1] = other
    end
  end
  for _, other in ipairs(evicted) do
    redis.call('ZADD', key, -now, other)
  end
end
if id == '' then
  return { 1, evicted, {} }
end

local score = score_of(id, deadline)
if redis.call('ZADD', key, 'NX', score, id) == 0 then
  -- The later deadline counts. An eviction is withdrawn.
  local there = tonumber(redis.call('ZSCORE', key, id))
  if there >= 0 and there < oldest_score then
    there = score_of(id, there)
  end
  if there < score then
    there = score
  end
  redis.call('ZADD', key, there, id)
end
-- No session lives longer than 400 days. A longer TTL is from a server of an earlier version, which added an id again and
-- took its score for a deadline.
local keep = deadline - now + stale
local longest = math.max(keep, 400 * 24 * 3600 * 1000 + stale)
local ttl = redis.call('PTTL', key)
if ttl < keep then
  redis.call('PEXPIRE', key, keep)
elseif ttl > longest then
  redis.call('PEXPIRE', key, longest)
end

-- The end of an id is random: one of eight sign-ins removes stale entries, and returns others to be checked.
local sample = {}
if string.byte(id, 36) % 8 == 0 then
  convert()
  local found = redis.call('ZRANDMEMBER', key, 16, 'WITHSCORES')
  for index = 1, #found, 2 do
    local other, there = found[index], tonumber(found[index + 1])
    if other ~= id and created(other) < now - stale then
      local code = there % 2048
      local life = (64 + code % 64) * 2 ^ math.floor(code / 64) * 1000
      if there >= oldest_score and created(other) + life + stale < now then
        redis.call('ZREM', key, other)
      else
        sample[#sample + 1] = other
      end
    end
  end
end
return { 1, evicted, sample }
