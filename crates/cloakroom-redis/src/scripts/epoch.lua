-- Begins an epoch, unless a later one has begun.
-- KEYS[1]  the epoch's key
-- ARGV[1]  when it begins, in milliseconds
-- ARGV[2]  its time to live in milliseconds
-- Answers 1.
local there = tonumber(redis.call('GET', KEYS[1]) or '')
if not there or there < tonumber(ARGV[1]) then
  redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
end
return 1
