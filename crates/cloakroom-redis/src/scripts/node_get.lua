-- Reads several keys on one node of a cluster, as MGET does on a server. node_check.lua precedes this text.
-- KEYS[1]  the first key
-- ARGV[1]  a key that another node has, to check that this one rejects it; or '' without the check
-- ARGV[2]  all keys in MessagePack: a list
-- Returns 0 if nothing was read, because the check has failed. Otherwise a list with an item for each key: its value, nil if
-- there is none, or 0 if that is not known. That is so if `GET` returns an error, and after values of more than 256 KiB.
if ARGV[1] ~= '' and not rejects(ARGV[1]) then
  return 0
end
local keys, values, size = cmsgpack.unpack(ARGV[2]), {}, 0
for place = 1, #keys do
  local value = 0
  if size <= 262144 then
    value = redis.pcall('GET', keys[place])
    if type(value) == 'string' then
      size = size + #value
    elseif value then
      value = 0
    end
  end
  values[place] = value
end
return values
