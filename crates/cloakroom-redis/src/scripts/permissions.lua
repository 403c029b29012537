-- Returns the names of the store's commands that its user may not send. It reads and writes no key.
-- ARGV[1]  a key with the store's prefix. It is not passed in KEYS, so that any node of a cluster can be
--          queried.
-- ARGV[2]  the channel of the store's events
-- ARGV[3…] further commands to check, besides those that every store sends
-- Returns an empty list before Redis 7.0, where scripts cannot check permissions.
if not redis.acl_check_cmd then
  return {}
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
local forbidden = {}
for _, command in ipairs(commands) do
  -- For a command that the server does not know, because it was renamed, this raises an error.
  local known, allowed = pcall(redis.acl_check_cmd, unpack(command))
  if not (known and allowed) then
    forbidden[#forbidden + 1] = command[1]
  end
end
return forbidden
