-- Replaces a record, if it has the expected revision.
-- KEYS[1]  the session's key
-- ARGV[1]  the text with which the record must start in format 1, 20 bytes: format, revision and the space after it
-- ARGV[2]  the new record
-- ARGV[3]  its time to live in milliseconds
-- ARGV[4]  the text with which it must start in format 2, 14 bytes
-- Returns 1 (replaced), 0 (there is nothing), or the value that was found instead.
-- Only the start of the old record is copied into Lua. Numbers are strings, as converting them costs more
-- than the command.
local head = redis.call('GETRANGE', KEYS[1], '0', '19')
if head ~= ARGV[1] and string.sub(head, 1, 14) ~= ARGV[4] then
  return redis.call('GET', KEYS[1]) or 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1
