-- Finds out what the store cannot do with this user on this server. It reads and writes no key.
-- KEYS[1]  when the store connects, the key in ARGV[1], for proxies that route by it. For a health check none, so
--          that any node of a cluster can be queried.
-- ARGV[1]  a key with the store's prefix
-- ARGV[2]  the channel of the store's events
-- ARGV[3…] further commands to check, besides those that every store sends
-- Returns two lists: the commands that the user may not send, and what the server does not have: commands that
-- were renamed or removed, and the Lua library of batch.lua. Before Redis 7.0 scripts cannot check commands.
local forbidden, unknown = {}, {}
if not cmsgpack then
  unknown[1] = 'cmsgpack'
end
if not redis.acl_check_cmd then
  return { forbidden, unknown }
end
local key, channel = ARGV[1], ARGV[2]
local commands = {
  { 'get', key }, { 'mget', key }, { 'set', key, '' }, { 'evalsha', '', '1', key }, { 'eval', '', '1', key },
  { 'getrange', key, '0', '0' }, { 'setrange', key, '0', '' }, { 'pexpire', key, '1' },
  { 'del', key }, { 'zadd', key, '0', '' }, { 'zrem', key, '' }, { 'zscore', key, '' },
  { 'zrange', key, '0', '0' }, { 'zrangebyscore', key, '0', '0' }, { 'zrandmember', key, '1' },
  { 'zcard', key }, { 'zcount', key, '0', '0' }, { 'zrank', key, '' }, { 'pttl', key }, { 'scan', '0' },
  { 'time' }, { 'publish', channel, '' }, { 'subscribe', channel }, { 'ping' }, { 'info' }, { 'client', 'id' },
}
for index = 3, #ARGV do
  commands[#commands + 1] = { ARGV[index], '1', '1' }
end
for _, command in ipairs(commands) do
  -- For a command that the server does not know, this raises an error.
  local known, allowed = pcall(redis.acl_check_cmd, unpack(command))
  if not known then
    unknown[#unknown + 1] = command[1]
  elseif not allowed then
    forbidden[#forbidden + 1] = command[1]
  end
end
return { forbidden, unknown }
