-- Replaces a record, if it has the expected revision.
-- KEYS[1]  the session's key
-- ARGV[1]  the text with which the record must start: format, revision and the space after it
-- ARGV[2]  the new record
-- ARGV[3]  its time to live in milliseconds
-- Returns 1 (replaced), 0 (there is nothing), or the value that was found instead.
local there = redis.call('GET', KEYS[1])
if not there then
  return 0
end
if string.sub(there, 1, #ARGV[1]) ~= ARGV[1] then
  return there
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
