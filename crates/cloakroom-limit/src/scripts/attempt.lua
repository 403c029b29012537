-- Takes an attempt to sign in, before the password is checked: from now on it counts as a failure. The rules
-- are those of account.rs.
-- KEYS[1]  the account: level, streak and the time of the last attempt of an unknown browser in milliseconds,
--          separated by colons
-- KEYS[2]  the counter of the browser, if it is a known one; as a GCRA counter of `limits.lua`
-- ARGV     1 free attempts, 2 first delay, 3 longest delay, 4 failures in a row that stop unknown browsers,
--          5 failures in a row that stop all, 6 time after which the level is forgotten, 7 TTL of the account,
--          8 what an attempt raises the level of the browser by, 9 its highest level. Times in milliseconds,
--          levels of browsers in microseconds.
-- Returns what was decided (0 taken, 1 delayed, 2 too many failures of the browser, 3 stopped), the
-- milliseconds to wait, and level, streak and last attempt as they are now.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function number(at)
  return tonumber(ARGV[at])
end
local level, streak, last = string.match(redis.call('GET', KEYS[1]) or '', '^(%d+):(%d+):(%d+)$')
level, streak, last = tonumber(level or 0), tonumber(streak or 0), tonumber(last or 0)
-- The clock may have been set back.
last = math.min(last, now)
if now - last >= number(6) then
  level = 0
end
local function reply(decided, wait)
  return { decided, wait, level, streak, last }
end
if KEYS[2] then
  if streak >= number(5) then
    return reply(3, 0)
  end
  local ttl, used = redis.call('PTTL', KEYS[2]), 0
  if ttl > 0 then
    used = math.min(math.max(ttl * 1000 - (tonumber(redis.call('GET', KEYS[2])) or 0), 0), number(9))
  end
  local raised = used + number(8)
  if raised > number(9) then
    return reply(2, math.ceil((raised - number(9)) / 1000))
  end
  ttl = math.ceil(raised / 1000)
  redis.call('SET', KEYS[2], string.format('%.0f', ttl * 1000 - raised), 'PX', string.format('%.0f', ttl))
else
  if streak >= number(4) then
    return reply(3, 0)
  end
  if level >= number(1) then
    local delay = math.min(number(2) * 2 ^ math.min(level - number(1), 40), number(3))
    if now < last + delay then
      return reply(1, last + delay - now)
    end
  end
  level, last = math.min(level + 1, 1000000), now
end
streak = streak + 1
redis.call('SET', KEYS[1], string.format('%.0f:%.0f:%.0f', level, streak, last), 'PX', ARGV[7])
return reply(0, 0)
