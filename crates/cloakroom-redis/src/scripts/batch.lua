-- Runs scripts of several requests, one after the other. The text of each stands in the table `scripts`
-- before this one, as a function of its own KEYS and ARGV.
-- KEYS[n]  the key of the n-th script
-- ARGV[…]  for each: its name, how many arguments it has, and these
-- Answers for each {1, what it answers}, or {0, the text of its error}; none keeps the others from running.
local answers, at = {}, 1
for index = 1, #KEYS do
  local args = {}
  local last = at + 1 + tonumber(ARGV[at + 1])
  for place = at + 2, last do
    args[#args + 1] = ARGV[place]
  end
  local ok, answer = pcall(scripts[ARGV[at]], { KEYS[index] }, args)
  if type(answer) == 'table' and answer.err then
    answers[index] = { 0, answer.err }
  elseif not ok then
    -- Before Redis 7, errors are texts.
    answers[index] = { 0, 'ERR Error running script: ' .. tostring(answer) }
  else
    answers[index] = { 1, answer }
  end
  at = last + 1
end
return answers
