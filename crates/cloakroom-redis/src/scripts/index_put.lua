-- Adds a session to its user's index as index_add.lua does, if there is no limit, and it is not the turn of stale
-- entries.
-- KEYS[1]  the user's index
-- ARGV[1]  the score of the id
-- ARGV[2]  the id
-- ARGV[3]  how long the index has to be kept, in milliseconds
-- Returns 1 (it is there now); or 3 if the id is there with a score of an earlier version, and nothing was changed.
if redis.call('ZADD', KEYS[1], 'NX', ARGV[1], ARGV[2]) == 0 then
  -- As in index_add.lua: the later deadline counts, and an eviction is withdrawn.
  local there = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]))
  if there >= 0 and there < 100000000000000 then
    return 3
  end
  if there < tonumber(ARGV[1]) then
    redis.call('ZADD', KEYS[1], ARGV[1], ARGV[2])
  end
end
-- Redis 7.0, which has `acl_check_cmd`, has these conditions: a new index has no time to live, and most others an earlier one.
if redis.acl_check_cmd and (redis.call('PEXPIRE', KEYS[1], ARGV[3], 'NX') == 1
  or redis.call('PEXPIRE', KEYS[1], ARGV[3], 'GT') == 1) then
  return 1
end
local keep = tonumber(ARGV[3])
-- As in index_add.lua: no session lives longer than 400 days.
local longest = math.max(keep, 400 * 24 * 3600 * 1000 + 300 * 1000)
local ttl = redis.call('PTTL', KEYS[1])
if ttl < keep then
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
elseif ttl > longest then
  redis.call('PEXPIRE', KEYS[1], longest)
end
return 1
