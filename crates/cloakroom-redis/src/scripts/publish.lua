-- The start of a script that publishes an event. batch.lua has another such function.
-- Events are optional: a missing right to publish does not undo a sign-in. Returns whether it was published.
local function publish(channel, event)
  return type(redis.pcall('PUBLISH', channel, event)) == 'number'
end
