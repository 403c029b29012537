-- Sets the time before which sessions are revoked, by the server's clock, unless a later one is set. One that
-- is so late that a clock was wrong when it was set is replaced.
-- KEYS[1]  the key of that time
-- ARGV[1]  how many milliseconds from now the time is
-- ARGV[2]  the key's time to live in milliseconds
-- ARGV[3]  how many milliseconds later than that a time may be that is set already
-- Returns the time that is set now, in milliseconds.
local clock = redis.call('TIME')
local at = clock[1] * 1000 + math.floor(clock[2] / 1000) + ARGV[1]
local there = tonumber(redis.call('GET', KEYS[1]) or '')
if there and there >= at and there <= at + ARGV[3] then
  return there
end
redis.call('SET', KEYS[1], string.format('%.0f', at), 'PX', ARGV[2])
return at
