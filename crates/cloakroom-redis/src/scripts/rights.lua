-- Tells which commands of the store its user may not send on a key. It reads and writes nothing.
-- ARGV[1]  a key of the store's prefix. It is not given as a key: any node of a cluster may be asked.
-- ARGV[2]  the channel of the store's events
-- ARGV[3…] further commands to ask for, besides those that every store sends
-- Answers the names of what may not be sent; none before Redis 7.0, which cannot tell.
if not redis.acl_check_cmd then
  return {}
end
local key, channel = ARGV[1], ARGV[2]
local commands = {
  { 'get', key }, { 'mget', key }, { 'set', key, '' }, { 'evalsha', '', '1', key }, { 'eval', '', '1', key },
  { 'getrange', key, '0', '0' }, { 'setrange', key, '0', '' }, { 'pexpire', key, '1' },
  { 'del', key }, { 'zadd', key, '0', '' }, { 'zrem', key, '' }, { 'zscore', key, '' },
  { 'zrange', key, '0', '0' }, { 'zrangebyscore', key, '0', '0' }, { 'zrandmember', key, '1' },
  { 'zremrangebyscore', key, '0', '0' }, { 'pttl', key }, { 'scan', '0' },
  { 'publish', channel, '' }, { 'subscribe', channel }, { 'ping' }, { 'info' }, { 'client', 'id' },
}
for index = 3, #ARGV do
  commands[#commands + 1] = { ARGV[index], '1', '1' }
end
local forbidden = {}
for _, command in ipairs(commands) do
  -- One that the server does not know, because it was renamed, is an error.
  local known, allowed = pcall(redis.acl_check_cmd, unpack(command))
  if not (known and allowed) then
    forbidden[#forbidden + 1] = command[1]
  end
end
return forbidden
