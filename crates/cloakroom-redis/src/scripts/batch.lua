-- Runs scripts of several requests, one after the other. Each script is a function of its own KEYS and
-- ARGV, which `script_of` returns by its name; it is defined before this text, as are the variables of batch_publish.lua.
-- KEYS[…]  the keys of all calls, in their order
-- ARGV[1]  the calls in MessagePack, which is cheaper to send than separate arguments: for each a list of
--          its name, its number of keys, and a list of its arguments
-- Returns the number of calls if each returned 1, which is the usual case. Otherwise two values for each
-- call: 1 and what it returned, 0 and the text of its error, or 2 and 0 if it was not run. An error does not stop the
-- other calls. Replies of more than 256 KiB do: the calls that follow are not run.
local replies, key, ones, size = {}, 0, 0, 0

-- Adds the length of a reply to `size`. An item of a list counts 16 bytes besides its text.
local function measure(reply)
  if type(reply) == 'string' then
    size = size + #reply
  elseif type(reply) == 'table' then
    for _, item in ipairs(reply) do
      if size > 262144 then
        return
      end
      size = size + 16
      measure(item)
    end
  end
end

local scripts = {}
local calls = cmsgpack.unpack(ARGV[1])
for number = 1, #calls do
  local call = calls[number]
  local name, count = call[1], call[2]
  local keys
  if count == 1 then
    keys = { KEYS[key + 1] }
  else
    keys = {}
    for place = 1, count do
      keys[place] = KEYS[key + place]
    end
  end
  key = key + count
  current = number
  local at = 2 * number - 1
  if size > 262144 then
    replies[at], replies[at + 1] = 2, 0
  else
    local script = scripts[name]
    if not script then
      script = script_of(name)
      scripts[name] = script
    end
    local ok, reply = pcall(script, keys, call[3])
    if ok and reply == 1 then
      replies[at], replies[at + 1] = 1, 1
      ones = ones + 1
    elseif type(reply) == 'table' and reply.err then
      replies[at], replies[at + 1] = 0, reply.err
    elseif not ok then
      -- Before Redis 7, errors are strings.
      replies[at], replies[at + 1] = 0, 'ERR Error running script: ' .. tostring(reply)
    else
      -- A list ends at a nil.
      if reply == nil then
        reply = false
      end
      replies[at], replies[at + 1] = 1, reply
      measure(reply)
    end
  end
end
for channel, list in pairs(events) do
  -- A message has an event in each line.
  if type(redis.pcall('PUBLISH', channel, table.concat(list, '\n'))) ~= 'number' then
    for number, other in pairs(publishing) do
      local reply = replies[2 * number]
      if other == channel and reply == 1 then
        -- The reply of a call that has not published its event.
        replies[2 * number], ones = 2, ones - 1
      elseif other == channel and type(reply) == 'table' then
        reply[5] = 0
      end
    end
  end
end
return ones == #calls and ones or replies
