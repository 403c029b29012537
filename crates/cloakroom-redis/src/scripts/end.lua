-- Puts a tombstone in the place of a session.
-- KEYS[1]  the session's key
-- ARGV[1]  what the record must begin with: format, revision and the space after it; or '' if
--          whatever is there shall end, also what cannot be read
-- ARGV[2]  the tombstone
-- ARGV[3]  its time to live in milliseconds
-- Answers 1 (ended), 0 (nothing was there, now the tombstone is), or what is there instead.
local there = redis.pcall('GET', KEYS[1])
if type(there) == 'table' then
  -- Not a string. Only an ending of whatever is there may replace it.
  if ARGV[1] ~= '' or not string.find(there.err, 'WRONGTYPE', 1, true) then
    return there
  end
  there = ''
end
if there then
  if string.sub(there, 1, 3) == 't1 ' or string.sub(there, 1, #ARGV[1]) ~= ARGV[1] then
    return there
  end
end
local put = redis.pcall('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
if put.err then
  if not there or not string.find(put.err, 'OOM', 1, true) then
    return put
  end
  -- No memory for a tombstone: the session ends all the same.
  redis.call('DEL', KEYS[1])
end
return there and 1 or 0
