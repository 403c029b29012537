-- Stores a loaded record, or gives the lease back, if the caller still has the lease.
-- KEYS[1]  the record
-- ARGV[1]  the token of the lease
-- ARGV[2]  the TTL in milliseconds; 0 gives the lease back
-- ARGV[3]  the record
-- Returns 1, or 0 if the lease is gone: the record has been forgotten or replaced since it was taken.
local key, token, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2])
local text = redis.call('GET', key)
local is_lease = text == 'l ' .. token
if not is_lease then
  local holder = text and string.match(text, '^v %d+ %d+ (%S+) %d+\n')
  if holder ~= token then
    return 0
  end
end
if ttl > 0 then
  redis.call('SET', key, ARGV[3], 'PX', ttl)
elseif is_lease then
  redis.call('DEL', key)
end
return 1
