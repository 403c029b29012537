-- Sets the time before which sessions are revoked, unless a later one is set.
-- KEYS[1]  the key of that time
-- ARGV[1]  the time, in milliseconds
-- ARGV[2]  the key's time to live in milliseconds
-- Returns 1.
local there = tonumber(redis.call('GET', KEYS[1]) or '')
if not there or there < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
