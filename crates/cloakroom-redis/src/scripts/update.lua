-- Replaces a record, if it is of the expected revision.
-- KEYS[1]  the session's key
-- ARGV[1]  what the record must begin with: format, revision and the space after it
-- ARGV[2]  the new record
-- ARGV[3]  its time to live in milliseconds
-- Answers 1 (replaced), 0 (nothing is there), or what is there instead.
local there = redis.call('GET', KEYS[1])
if not there then
  return 0
end
if string.sub(there, 1, #ARGV[1]) ~= ARGV[1] then
  return there
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
