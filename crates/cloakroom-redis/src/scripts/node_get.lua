-- Reads several keys on one node of a cluster. node.lua precedes this text.
-- KEYS[1]  the first key
-- ARGV[1]  a key that another node has, to check that this one rejects it; or '' without the check
-- ARGV[2…] the other keys
-- Returns 0 if nothing was read, because the check has failed. Otherwise one value for each key: a text, nil,
-- or 0 if it cannot be read here, for which a `GET` tells the reason.
if ARGV[1] ~= '' and not rejects(ARGV[1]) then
  return 0
end
local values = {}
for place = 1, #ARGV do
  local value = redis.pcall('GET', place == 1 and KEYS[1] or ARGV[place])
  values[place] = type(value) == 'table' and 0 or value
end
return values
