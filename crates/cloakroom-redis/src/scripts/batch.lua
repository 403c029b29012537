-- Runs scripts of several requests, one after the other. The text of each stands in the table `scripts`
-- before this one, as a function of its own KEYS and ARGV.
-- KEYS[…]  for each: its keys
-- ARGV[1]  the calls, in MessagePack, which costs less on the way than words of their own: for each a list of
--          its name, how many keys it has, and a list of its arguments
-- Answers how many there were, if each answers 1: nearly always. Else for each two words: 1 and what it
-- answers, or 0 and the text of its error; none keeps the others from running.
local answers, key, ones = {}, 0, 0
local calls = cmsgpack.unpack(ARGV[1])
for number, call in ipairs(calls) do
  local name, count, args = call[1], call[2], call[3]
  local keys = {}
  for place = 1, count do
    keys[place] = KEYS[key + place]
  end
  key = key + count
  local ok, answer = pcall(scripts[name], keys, args)
  local at = 2 * number - 1
  if type(answer) == 'table' and answer.err then
    answers[at], answers[at + 1] = 0, answer.err
  elseif not ok then
    -- Before Redis 7, errors are texts.
    answers[at], answers[at + 1] = 0, 'ERR Error running script: ' .. tostring(answer)
  else
    answers[at], answers[at + 1] = 1, answer
    ones = ones + (answer == 1 and 1 or 0)
  end
end
return ones == #calls and ones or answers
