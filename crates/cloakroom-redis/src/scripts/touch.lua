-- Sets the time to live of a record and its last-seen, if it has the expected revision. A later last-seen
-- stays, unless it is so late that it comes from a wrong clock. It reads 106 bytes, which are the head of any format
-- and the `{` after it, and writes at most 12.
-- KEYS[1]  the session's key
-- ARGV[1]  the text with which the record must start in format 1: format, revision and the space after it
-- ARGV[2]  the new last-seen in format 1, twelve hexadecimal digits
-- ARGV[3]  the new time to live in milliseconds
-- ARGV[4]  the text with which the record must start in format 2, 14 bytes
-- ARGV[5]  the new last-seen in format 2, eight digits
-- Returns 1 (touched) or 0 (there is something else, or nothing).
local head = redis.call('GETRANGE', KEYS[1], '0', '105')
-- As numbers: the order of strings in Lua depends on the server's locale.
local digits = '-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz'
local function number(text)
  local sum = 0
  for digit in string.gmatch(text, '.') do
    local place = string.find(digits, digit, 1, true)
    if not place then
      return nil
    end
    sum = sum * 64 + place - 1
  end
  return sum
end

local seen, position, text
if string.sub(head, 1, #ARGV[1]) == ARGV[1] then
  if string.sub(head, 106) == '{' then
    seen, position, text = tonumber(string.sub(head, 21, 32), 16), '20', ARGV[2]
  end
elseif string.sub(head, 1, #ARGV[4]) == ARGV[4] then
  if string.find(head, '^ %w* ?{', 53) then
    seen, position, text = number(string.sub(head, 15, 22)), '14', ARGV[5]
  end
end
if not seen then
  return 0
end
-- The clocks of servers may differ by 5000 ms.
local now = tonumber(ARGV[2], 16)
if seen < now or seen > now + 5000 then
  local moved = redis.pcall('SETRANGE', KEYS[1], position, text)
  if type(moved) == 'table' and moved.err and not string.find(moved.err, 'OOM', 1, true) then
    return moved
  end
end
-- Without memory, last-seen stays, but the session is still kept alive.
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
