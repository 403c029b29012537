-- Replaces a session by a tombstone.
-- KEYS[1]  the session's key
-- ARGV[1]  the text with which the record must start in format 1: format, revision and the space after it; or ''
--          to replace any value, even one that cannot be read
-- ARGV[2]  the tombstone
-- ARGV[3]  its time to live in milliseconds
-- ARGV[4]  the text with which the record must start in format 2; or ''
-- ARGV[5]  1 if the script must write something also where there is a tombstone, for a `WAIT` that follows; or '', or
--          absent
-- ARGV[6]  the SHA-1 of a tombstone that the caller cannot read, which is replaced; or '', or absent
-- Returns 1 (ended), 0 (there was no session, now there is the tombstone), or the value that was found
-- instead.
local there = redis.pcall('GET', KEYS[1])
if type(there) == 'table' then
  -- Not a string. It may only be replaced if any value may.
  if ARGV[1] ~= '' or not string.find(there.err, 'WRONGTYPE', 1, true) then
    return there
  end
  there = ''
end
if there then
  if string.sub(there, 1, 3) == 't1 ' and not (ARGV[6] and redis.sha1hex(there) == ARGV[6]) then
    if ARGV[5] == '1' then
      -- `WAIT` is about the writes of its own connection, and the tombstone may come from another one.
      local left = redis.call('PTTL', KEYS[1])
      redis.call('PEXPIRE', KEYS[1], left > 0 and left or ARGV[3])
    end
    return there
  end
  if string.sub(there, 1, #ARGV[1]) ~= ARGV[1] and string.sub(there, 1, #ARGV[4]) ~= ARGV[4] then
    return there
  end
end
local tombstone = ARGV[2]
-- Only a proper digest is copied: the record may be one that cannot be read. The last digits of the others have bits
-- that no digest has.
local digest, last = '', nil
if there and string.sub(there, 1, 3) == 'c1 ' then
  digest, last = string.sub(there, 62, 104), string.find(there, '^[AEIMQUYcgkosw048]', 104)
elseif there and string.sub(there, 1, 3) == 'c2 ' then
  -- The bytes that are not compared are zero.
  digest, last = string.sub(there, 31, 52) .. string.rep('A', 21), string.find(there, '^[AQgw]', 52)
end
if last and not string.find(digest, '[^%w_-]') and string.sub(tombstone, 17, 18) == '- '
  and not string.find(tombstone, ':', 1, true) and not string.find(there, '"$rotation":', 53, true) then
  -- The secret is unknown to the caller, and the record has only one: with its digest, the owner of the session can
  -- learn why it has ended.
  tombstone = string.sub(tombstone, 1, 16) .. digest .. string.sub(tombstone, 18)
end
local put = redis.pcall('SET', KEYS[1], tombstone, 'PX', ARGV[3])
if put.err then
  if not there or not string.find(put.err, 'OOM', 1, true) then
    return put
  end
  -- There is no memory for a tombstone: end the session without one.
  redis.call('DEL', KEYS[1])
end
return there and 1 or 0
