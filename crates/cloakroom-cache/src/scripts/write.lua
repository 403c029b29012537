-- Replaces or removes a record, with any lease on it, and informs all servers.
-- KEYS[1]  the record
-- ARGV[1]  the TTL in milliseconds; 0 removes the record
-- ARGV[2]  the record
-- ARGV[3]  the channel
-- ARGV[4]  the message
local ttl = tonumber(ARGV[1])
if ttl > 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ttl)
else
  redis.call('DEL', KEYS[1])
end
-- Without the right to publish, other servers notice the change when their copies expire.
redis.pcall('PUBLISH', ARGV[3], ARGV[4])
return 1
