#!lua
-- Notes when persons of one partition are to be looked at again.
--
-- KEYS: the partition's persons by when they are due (sorted set).
-- ARGV: silence in ms, how many of the persons have closed sessions to be sent, the persons, those first.
-- A score below 0 is due at once; of the others it is a time by the server's clock.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local silence, at_once = tonumber(ARGV[1]), tonumber(ARGV[2])
local due = {}
for i = 3, #ARGV do
    due[#due + 1] = string.format('%.0f', i - 2 <= at_once and -now or now + silence)
    due[#due + 1] = ARGV[i]
end
redis.call('ZADD', KEYS[1], unpack(due))
