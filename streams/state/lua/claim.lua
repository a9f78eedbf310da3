#!lua
-- Takes some of a partition's due persons for a while: nobody else gets them meanwhile, and all again if it is not enough.
--
-- KEYS: the partition's persons by when they are due. ARGV: how many, for how many ms, '1' = also the silent ones.
-- Returns the score by which they are held, and the persons.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = ARGV[3] == '1' and string.format('%.0f', now) or '0'
local persons = redis.call('ZRANGE', KEYS[1], '-inf', last, 'BYSCORE', 'LIMIT', 0, ARGV[1])
-- No other score has a fraction, so whoever finds this one knows that nothing has happened since.
local held = string.format('%.1f', now + ARGV[2] + 0.5)
for _, person in ipairs(persons) do redis.call('ZADD', KEYS[1], held, person) end
table.insert(persons, 1, held)
return persons
