-- The start of a script that uses keys in several slots, on one node of a cluster. They are not declared: the flag
-- `allow-cross-slot-keys` permits it, and the node rejects each access to a key that it does not have, without executing
-- anything.
-- Returns whether the server rejects a key that another node has. A proxy in front of several servers, or a server that is
-- not in cluster mode, would find nothing under it.
local function rejects(key)
  local reply = redis.pcall('GET', key)
  return type(reply) == 'table' and string.find(reply.err or '', 'non local key', 1, true) ~= nil
end
