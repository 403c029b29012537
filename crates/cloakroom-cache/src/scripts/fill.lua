-- Stores a loaded record, removes what is stored, or gives the lease back, if the caller still has the lease.
-- KEYS[1]  the record
-- ARGV[1]  the token of the lease
-- ARGV[2]  the TTL in milliseconds; 0 gives the lease back, and -1 removes the record: there is nothing to store
-- ARGV[3]  the record
-- Returns 1, or 0 if the lease is gone: the record has been forgotten or replaced since it was taken.
local key, token, ttl = KEYS[1], ARGV[1], tonumber(ARGV[2])
local text = redis.call('GET', key)
local is_lease = text == 'l ' .. token
local stale, stored, holder, start
if not is_lease then
  stale, stored, holder, start = string.match(text or '', '^v (%d+) (%d+) (%S+) %d+\n()')
  if holder ~= token then
    return 0
  end
end
if ttl > 0 then
  redis.call('SET', key, ARGV[3], 'PX', ttl)
elseif is_lease or ttl < 0 then
  redis.call('DEL', key)
else
  -- A stale value keeps its lease until that ends: so the load is not tried again at once.
  local left = redis.call('PTTL', key)
  if left > tonumber(stale) then
    redis.call('SET', key, 'v ' .. stale .. ' ' .. stored .. ' - 0\n' .. string.sub(text, start), 'PX', left)
  end
end
return 1
