-- Sets the time to live of a record and its last-seen, if it has the expected revision. A later last-seen
-- stays, unless it is so late that it comes from a wrong clock. It reads the head of 105 bytes and the `{`
-- after it, and writes 12 bytes.
-- KEYS[1]  the session's key
-- ARGV[1]  the text with which the record must start: format, revision and the space after it
-- ARGV[2]  the new last-seen, twelve hexadecimal digits
-- ARGV[3]  the new time to live in milliseconds
-- Returns 1 (touched) or 0 (there is something else, or nothing).
local head = redis.call('GETRANGE', KEYS[1], '0', '105')
if string.sub(head, 1, #ARGV[1]) ~= ARGV[1] or string.sub(head, 106) ~= '{' then
  return 0
end
-- As numbers: the order of strings in Lua depends on the server's locale.
local seen = tonumber(string.sub(head, 21, 32), 16)
local now = tonumber(ARGV[2], 16)
if not seen then
  return 0
end
-- The clocks of servers may differ by 5000 ms.
if seen < now or seen > now + 5000 then
  local moved = redis.pcall('SETRANGE', KEYS[1], '20', ARGV[2])
  if type(moved) == 'table' and moved.err and not string.find(moved.err, 'OOM', 1, true) then
    return moved
  end
end
-- Without memory, last-seen stays, but the session is still kept alive.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
