-- Stores a session that its user's index has, or gets at the same time, and publishes the event in the first case.
-- KEYS[1]  the session's key
-- ARGV[1]  its record
-- ARGV[2]  its time to live in milliseconds
-- ARGV[3]  the channel for events
-- ARGV[4]  the event, or '' to publish none
-- Returns 1 (stored and published), 2 (stored, and not published) or 0 (the key exists).
if not redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) then
  return 0
end
return ARGV[4] ~= '' and publish(ARGV[3], ARGV[4]) and 1 or 2
