-- Runs scripts of several requests on one node of a cluster, one after the other. node_check.lua and batch.lua precede this
-- text, the latter as a function of its own KEYS and ARGV.
-- KEYS[1]  the key of the first call
-- ARGV[1]  a key that another node has, to check that this one rejects it; or '' without the check
-- ARGV[2]  the keys of all calls in MessagePack: a list in their order
-- ARGV[3]  the calls, as for batch.lua
-- Returns 0 if nothing was run, because the check has failed. Otherwise as batch.lua.
if ARGV[1] ~= '' and not rejects(ARGV[1]) then
  return 0
end
return batch(cmsgpack.unpack(ARGV[2]), { ARGV[3] })
