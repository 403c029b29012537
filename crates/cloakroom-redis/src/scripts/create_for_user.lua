-- Adds a session to its user's index, if the limit allows it, and stores it if no other session has to be
-- ended first. The text of index_add.lua precedes this one, as a function of its own KEYS and ARGV. It has
-- two keys, so in a cluster it can be used only if they are in one slot.
-- KEYS[1]  the user's index
-- KEYS[2]  the session's key
-- ARGV[1…n] the arguments of index_add.lua
-- ARGV[n+1] its record
-- ARGV[n+2] its time to live in milliseconds
-- ARGV[n+3] the channel for events
-- ARGV[n+4] the event, or '' to publish none
-- Returns 1 if everything was done and there are no old ids to check, which is the usual case. Otherwise
-- the reply of index_add.lua; if that allows the session, it is followed by 1 if the session was stored or
-- 0 if the key exists, and by 1 if the event was published or 0 if not.
local reply = index_add(KEYS, ARGV)
if reply[1] == 0 or #reply[2] > 0 then
  return reply
end
local count = 9 + tonumber(ARGV[9])
reply[4], reply[5] = 0, 0
if redis.call('SET', KEYS[2], ARGV[count + 1], 'NX', 'PX', ARGV[count + 2]) then
  reply[4] = 1
  if ARGV[count + 4] ~= '' then
    reply[5] = publish(ARGV[count + 3], ARGV[count + 4]) and 1 or 0
  end
end
if reply[5] == 1 and #reply[3] == 0 then
  return 1
end
return reply
