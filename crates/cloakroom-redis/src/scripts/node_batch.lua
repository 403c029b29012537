-- Runs scripts of several requests, with one key each, one after the other. node.lua and batch.lua precede this
-- text, the latter as a function of its own KEYS and ARGV.
-- KEYS[1]  the key of the first call
-- ARGV[1]  a key that another node has, to check that this one rejects it; or '' without the check
-- ARGV[2]  the calls, as for batch.lua
-- ARGV[3…] the keys of the other calls, in their order
-- Returns 0 if nothing was run, because the check has failed. Otherwise as batch.lua.
if ARGV[1] ~= '' and not rejects(ARGV[1]) then
  return 0
end
return batch({ KEYS[1], unpack(ARGV, 3) }, { ARGV[2] })
