-- Finds out what the store cannot do with this user on this server. It changes no key.
-- KEYS[1]  when the store connects, the key in ARGV[1], for proxies that route by it. For a health check none, so
--          that any node of a cluster can be queried.
-- ARGV[1]  a key with the store's prefix, which is never used
-- ARGV[2]  the channel of the store's events
-- ARGV[3…] further commands to check, besides those that every store sends
-- Returns two lists: the commands that the user may not send, and what the server does not have: commands that
-- were renamed or removed, and the Lua library of batch.lua.
local forbidden, unknown = {}, {}
-- Reading a global variable that does not exist raises an error.
if not pcall(function()
  return cmsgpack.pack
end) then
  unknown[1] = 'cmsgpack'
end
local key, channel = ARGV[1], ARGV[2]
-- In a form that changes nothing while the key does not exist.
local commands = {
  { 'get', key }, { 'mget', key }, { 'set', key, '', 'XX' }, { 'evalsha', '', '1', key }, { 'eval', '', '1', key },
  { 'getrange', key, '0', '0' }, { 'setrange', key, '0', '' }, { 'pexpire', key, '1' },
  { 'del', key }, { 'zadd', key, 'XX', '0', '' }, { 'zrem', key, '' }, { 'zscore', key, '' },
  { 'zrange', key, '0', '0' }, { 'zrangebyscore', key, '0', '0' }, { 'zrandmember', key, '1' },
  { 'zcard', key }, { 'zcount', key, '0', '0' }, { 'zrank', key, '' }, { 'pttl', key }, { 'scan', '0' },
  { 'time' }, { 'publish', channel, '' }, { 'subscribe', channel }, { 'ping' }, { 'info' }, { 'hello' },
  { 'client', 'id' },
}
for index = 3, #ARGV do
  commands[#commands + 1] = { ARGV[index], '1', '1' }
end

-- For a command that the server does not know, `acl_check_cmd` raises an error.
local function check(command)
  local known, allowed = pcall(redis.acl_check_cmd, unpack(command))
  return not known, known and not allowed
end

-- Before Redis 7.0, and on other servers than Redis and Valkey, scripts cannot check commands, so those that
-- scripts may run are run. An event without a text is ignored.
local function try(command)
  local reply = redis.pcall(unpack(command))
  local text = type(reply) == 'table' and reply.err and reply.err:lower() or ''
  local function says(words)
    return text:find(words, 1, true) ~= nil
  end
  return says('unknown'), says('noperm') or says('permission') or says("can't run this") or says("can't access")
    or says("can't publish")
end

for _, command in ipairs(commands) do
  local name = command[1] == 'client' and 'client|id' or command[1]
  local is_unknown, is_forbidden = (redis.acl_check_cmd and check or try)(command)
  if is_unknown then
    unknown[#unknown + 1] = name
  elseif is_forbidden then
    forbidden[#forbidden + 1] = name
  end
end
return { forbidden, unknown }
