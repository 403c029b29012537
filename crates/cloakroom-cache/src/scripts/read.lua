-- Reads a record, and takes the lease to load it where it is missing, stale or to be replaced.
-- KEYS[1]  the record
-- ARGV[1]  the token of the lease, which is unique
-- ARGV[2]  how long the lease lives, in milliseconds
-- ARGV[3]  records of an earlier generation do not count
-- ARGV[4]  0; 1 if no stored value counts; 2 if the caller loads in any case, whatever is stored or leased
-- Returns one of these:
--   1, ms, value  it is fresh for so long
--   2, ms, value  it is stale, usable for so long, and somebody else loads it
--   3, ms, value  the same, and the caller has the lease
--   4             there is none, or mode 2, and the caller has the lease
--   5, ms         there is none, and the lease of somebody else lives for so long
--
-- The key is either a lease, 'l TOKEN', or a value, 'v STALE EPOCH HOLDER END\n' and its text: it is stale for the
-- last STALE milliseconds of its TTL, and HOLDER has a lease on it while the TTL is above END.
local key, token, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])
local generation, mode = tonumber(ARGV[3]), ARGV[4]
local text = redis.call('GET', key)
if text then
  if mode ~= '2' and string.sub(text, 1, 2) == 'l ' then
    return { 5, redis.call('PTTL', key) }
  end
  local stale, stored, holder, last, start = string.match(text, '^v (%d+) (%d+) (%S+) (%d+)\n()')
  if stale then
    local ttl = redis.call('PTTL', key)
    local is_held = holder ~= '-' and ttl > tonumber(last)
    if mode ~= '1' and tonumber(stored) >= generation then
      local value = string.sub(text, start)
      local fresh = ttl - tonumber(stale)
      if mode == '0' and fresh > 0 then
        return { 1, fresh, value }
      end
      if mode == '0' and is_held then
        return { 2, ttl, value }
      end
      local head = 'v ' .. stale .. ' ' .. stored .. ' ' .. token .. ' ' .. math.max(ttl - lease, 0)
      redis.call('SET', key, head .. '\n' .. value, 'PX', math.max(ttl, 1))
      -- With mode 2, others use the value until it is replaced.
      return mode == '2' and { 4 } or { 3, ttl, value }
    end
    if mode ~= '2' and is_held then
      return { 5, ttl - tonumber(last) }
    end
  end
end
redis.call('SET', key, 'l ' .. token, 'PX', lease)
return { 4 }
