-- The start of the scripts that run the commands of several requests on one node of a cluster. They use keys
-- that they do not declare, in several slots: the flag permits it, and the node rejects each access to a key
-- that it does not have, without executing anything.
-- Whether this node does, for a key that another node has. A proxy with several servers behind it, or a server
-- that is not in cluster mode, would find nothing under the key.
local function rejects(key)
  local reply = redis.pcall('GET', key)
  return type(reply) == 'table' and reply.err and string.find(reply.err, 'non local key', 1, true)
end
