#!lua
-- Ends a claim: persons of whom nothing was noted meanwhile are due at another time, or no more.
--
-- KEYS: the partition's persons by when they are due. ARGV: the score by which they are held, then for each person the
-- next score ('' = none) and the person.

for i = 2, #ARGV, 2 do
    local score = redis.call('ZSCORE', KEYS[1], ARGV[i + 1])
    if score and tonumber(score) == tonumber(ARGV[1]) then
        if ARGV[i] == '' then
            redis.call('ZREM', KEYS[1], ARGV[i + 1])
        else
            redis.call('ZADD', KEYS[1], ARGV[i], ARGV[i + 1])
        end
    end
end
