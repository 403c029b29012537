-- Runs scripts of several requests, one after the other. The text of each stands in the table `scripts`
-- before this one, as a function of its own KEYS and ARGV.
-- KEYS[…]  for each: its keys
-- ARGV[…]  for each: its name, how many keys and how many arguments it has, and these
-- Answers for each {1, what it answers}, or {0, the text of its error}; none keeps the others from running.
local answers, at, key = {}, 1, 0
while at <= #ARGV do
  local keys, args = {}, {}
  for _ = 1, tonumber(ARGV[at + 1]) do
    key = key + 1
    keys[#keys + 1] = KEYS[key]
  end
  local last = at + 2 + tonumber(ARGV[at + 2])
  for place = at + 3, last do
    args[#args + 1] = ARGV[place]
  end
  local ok, answer = pcall(scripts[ARGV[at]], keys, args)
  if type(answer) == 'table' and answer.err then
    answers[#answers + 1] = { 0, answer.err }
  elseif not ok then
    -- Before Redis 7, errors are texts.
    answers[#answers + 1] = { 0, 'ERR Error running script: ' .. tostring(answer) }
  else
    answers[#answers + 1] = { 1, answer }
  end
  at = last + 1
end
return answers
