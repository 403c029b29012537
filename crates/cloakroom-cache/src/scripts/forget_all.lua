-- Begins a new generation: records of earlier ones do not count any more.
-- KEYS[1]  the generation
-- ARGV[1]  its TTL in milliseconds: longer than that of any record
-- ARGV[2]  the channel
-- ARGV[3]  the message
-- Returns the generation. It is a time, so that it is later than any earlier one, also after the key has expired.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local generation = math.max(now, (tonumber(redis.call('GET', KEYS[1]) or '') or 0) + 1)
redis.call('SET', KEYS[1], string.format('%.0f', generation), 'PX', ARGV[1])
redis.pcall('PUBLISH', ARGV[2], ARGV[3])
return generation
