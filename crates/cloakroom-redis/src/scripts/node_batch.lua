-- Runs scripts of several requests on one node of a cluster, with one key each, one after the other. batch.lua
-- precedes this text, as a function of its own KEYS and ARGV. Keys other than the first are not declared, and in several
-- slots: the flag `allow-cross-slot-keys` permits it, and the node rejects each access to a key that it does not have, without
-- executing anything.
-- KEYS[1]  the key of the first call
-- ARGV[1]  a key that another node has, to check that this one rejects it; or '' without the check
-- ARGV[2]  the calls, as for batch.lua
-- ARGV[3…] the keys of the other calls, in their order
-- Returns 0 if nothing was run, because the check has failed. Otherwise as batch.lua.
if ARGV[1] ~= '' then
  -- A proxy in front of several servers, or a server that is not in cluster mode, would find nothing under the key.
  local reply = redis.pcall('GET', ARGV[1])
  if type(reply) ~= 'table' or not string.find(reply.err or '', 'non local key', 1, true) then
    return 0
  end
end
return batch({ KEYS[1], unpack(ARGV, 3) }, { ARGV[2] })
