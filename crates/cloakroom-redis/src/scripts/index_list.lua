-- Returns members of a user's index that follow another one in descending order, as many as fit in a page. It looks at
-- no others, and changes nothing.
-- KEYS[1]  the user's index, as in index_add.lua
-- ARGV[1]  the id that they follow, or a member that is not an id
-- ARGV[2]  the length of the page
-- Returns them in ascending order.
local key, after = KEYS[1], ARGV[1]
local rank = redis.call('ZRANK', key, after)
if not rank then
  -- It was removed: from the end of its millisecond.
  local created = tonumber(string.sub(after, 1, 8) .. string.sub(after, 10, 13), 16)
  if not created then
    return redis.error_reply('ERR a member of the index that is not an id was removed during a list')
  end
  rank = redis.call('ZCOUNT', key, '-inf', '(' .. string.format('%.0f', (created + 1) * 2048))
end
if rank == 0 then
  return {}
end
return redis.call('ZRANGE', key, math.max(rank - ARGV[2], 0), rank - 1)
