-- Adds a session to its user's index, stores it, and publishes the event: what most sign-ins need of
-- create_for_user.lua. The texts of index_put.lua and create.lua precede this one, as functions of their own KEYS and
-- ARGV. It has two keys, so in a cluster it can be used only if they are in one slot.
-- KEYS[1]  the user's index
-- KEYS[2]  the session's key
-- ARGV[1…3] the arguments of index_put.lua
-- ARGV[4…7] the arguments of create.lua
-- Returns what create.lua returns; or 3 if the id is in the index already with a score of an earlier version, and nothing
-- was changed.
if index_put(KEYS, ARGV) ~= 1 then
  return 3
end
return create({ KEYS[2] }, { ARGV[4], ARGV[5], ARGV[6], ARGV[7] })
