-- The start of batch.lua: the events of all calls are published together, at the end.
local events, publishing, current = {}, {}, 0
local function publish(channel, event)
  local list = events[channel] or {}
  list[#list + 1] = event
  events[channel] = list
  publishing[current] = channel
  return true
end
