-- Records how an attempt ended that `attempt.lua` has taken. A failure needs no command.
-- KEYS[1], KEYS[2]  as in `attempt.lua`
-- ARGV[1]  's': the password was right; 'c': it was not checked; 'l': lifts all delays and the stop
-- ARGV[2]  the TTL of the account, in milliseconds
-- ARGV[3]  what the attempt has raised the level of a known browser by
-- Returns the failures in a row, with this attempt.
local level, streak, last = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(%d+):(%d+)$')
level, streak, last = tonumber(level or 0), tonumber(streak or 0), tonumber(last or 0)
local failures = streak
if ARGV[1] == 's' and KEYS[2] then
  -- The delays of other browsers stay: they are due to others.
  streak = 0
  redis.call('DEL', KEYS[2])
elseif ARGV[1] == 'c' then
  streak = math.max(streak - 1, 0)
  if KEYS[2] then
    local ttl = redis.call('PTTL', KEYS[2])
    local left = ttl * 1000 - (tonumber(redis.call('GET', KEYS[2])) or 0) - tonumber(ARGV[3])
    if ttl > 0 and left > 0 then
      ttl = math.ceil(left / 1000)
      redis.call('SET', KEYS[2], string.format('%.0f', ttl * 1000 - left), 'PX', string.format('%.0f', ttl))
    else
      redis.call('DEL', KEYS[2])
    end
  else
    level = math.max(level - 1, 0)
  end
else
  level, streak = 0, 0
end
if level == 0 and streak == 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], string.format('%.0f:%.0f:%.0f', level, streak, last), 'PX', ARGV[2])
end
return failures
