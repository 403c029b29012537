-- Gives back what `limits.lua` has charged to counters of the same kinds.
-- KEYS[i]      the counter
-- ARGV[3i-2]   'g' for GCRA, 'w' for a fixed window
-- ARGV[3i-1]   by how much the level was raised
-- ARGV[3i]     the TTL after the charge, in milliseconds: with more than that, another window has begun
for index, key in ipairs(KEYS) do
  local at = 3 * (index - 1)
  local kind, increment, charged_ttl = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local ttl = redis.call('PTTL', key)
  if ttl > 0 and (kind == 'g' or ttl <= charged_ttl) then
    local value = tonumber(redis.call('GET', key)) or 0
    local left = (kind == 'g' and ttl * 1000 - value or value) - increment
    if left <= 0 then
      redis.call('DEL', key)
    else
      if kind == 'g' then
        ttl = math.ceil(left / 1000)
        left = ttl * 1000 - left
      end
      redis.call('SET', key, string.format('%.0f', left), 'PX', string.format('%.0f', ttl))
    end
  end
end
return 1
