-- Applies several limits to one request: charges all of them, or none if one refuses. The arithmetic is that
-- of algorithm.rs.
-- KEYS[i]      the counter of a limit. For GCRA, its TTL is the time until it is unused again, and its value by
--              how many microseconds the TTL was rounded up. For a fixed window, the value is the count.
--              So a counter never exists without a TTL, and time is the server's.
-- ARGV[5i-4]   'g' for GCRA, 'w' for a fixed window
-- ARGV[5i-3]   by how much the request raises the level: microseconds, or units
-- ARGV[5i-2]   the highest level
-- ARGV[5i-1]   the window in milliseconds; 0 for GCRA
-- ARGV[5i]     '1' if the limit refuses requests, '0' if it only reports
-- Returns three numbers for each key: 1 if the limit allows the request and 0 if not, the level (after the
-- charge, if it was charged), and the TTL in milliseconds.
local replies, charges, refused = {}, {}, false
for index, key in ipairs(KEYS) do
  local at = 5 * (index - 1)
  local kind, increment, capacity = ARGV[at + 1], tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local window, enforced = tonumber(ARGV[at + 4]), ARGV[at + 5] == '1'
  local ttl, used = math.max(redis.call('PTTL', key), 0), 0
  if ttl > 0 then
    local value = tonumber(redis.call('GET', key)) or 0
    -- No more than the capacity, in case the limit was lowered, or the server's clock was set back.
    used = kind == 'g' and math.min(math.max(ttl * 1000 - value, 0), capacity) or value
  end
  local raised = used + increment
  local allowed = raised <= capacity
  if allowed then
    local charge = { key = key, used = raised, value = raised, ttl = ttl > 0 and ttl or window, at = 3 * (index - 1) }
    if kind == 'g' then
      charge.ttl = math.ceil(raised / 1000)
      charge.value = charge.ttl * 1000 - raised
    end
    if raised > used then
      charges[#charges + 1] = charge
    end
  elseif enforced then
    refused = true
  end
  replies[#replies + 1] = allowed and 1 or 0
  replies[#replies + 1] = used
  replies[#replies + 1] = ttl
end
if not refused then
  for _, charge in ipairs(charges) do
    redis.call('SET', charge.key, string.format('%.0f', charge.value), 'PX', string.format('%.0f', charge.ttl))
    replies[charge.at + 2], replies[charge.at + 3] = charge.used, charge.ttl
  end
end
return replies
