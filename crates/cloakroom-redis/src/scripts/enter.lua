-- Enters a session for its user, if the limit lets it, and stores it if none must be ended first. The text of
-- admit.lua stands before this one, as a function of its own KEYS and ARGV. On two keys, so not for a cluster.
-- KEYS[1]  the user's index
-- KEYS[2]  where the session is to be
-- ARGV[1]  its record
-- ARGV[2]  its TTL
-- ARGV[3]  the channel for events
-- ARGV[4]  the event, or '' if nothing is to be told
-- ARGV[5…] what admit.lua is told
-- Answers 1 if all is done, and no entries are to be looked at: nearly always. Else what admit.lua does; and if
-- nothing stands against it, 1 if the session is stored, 0 if something is there, and 1 if the event was published,
-- 0 if not.
local args = {}
for place = 5, #ARGV do
  args[#args + 1] = ARGV[place]
end
local answer = admit({ KEYS[1] }, args)
if answer[1] == 0 or #answer[2] > 0 then
  return answer
end
answer[4], answer[5] = 0, 0
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then
  answer[4] = 1
  if ARGV[4] ~= '' then
    -- Nothing rests on an event: that the right to publish is missing undoes no sign-in.
    local receivers = redis.pcall('PUBLISH', ARGV[3], ARGV[4])
    answer[5] = type(receivers) == 'number' and 1 or 0
  end
end
if answer[5] == 1 and #answer[3] == 0 then
  return 1
end
return answer
