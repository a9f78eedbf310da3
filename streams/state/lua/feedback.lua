#!lua
-- Joins what was shown for one request with what followed, whichever comes first; a redelivery gets its first answer.
--
-- KEYS: what is held of the request (hash).
-- ARGV: how long it is kept in ms, how many reactions are, then for each arrival, in order:
--       where it stands ("topic partition offset"), its mark (of an event: its id; of what was shown: empty), and itself.
--
-- Held: `shown`, `shown_at` (where it stands) and `before` (reactions that came before it); `n` reactions, each under its
-- number, and its number and place under `m` and its mark.
-- Answers: whether the request is new, `shown`, `before`, all reactions, and for each arrival: its number; of what was
-- shown: 1; -1 for what came before under another place, or found no room.

local HELD = KEYS[1]
local keep_ms, most = ARGV[1], tonumber(ARGV[2])
local n = tonumber(redis.call('HGET', HELD, 'n') or '-1')
local is_new = n < 0
if is_new then
    n = 0
    redis.call('HSET', HELD, 'n', 0)
    redis.call('PEXPIRE', HELD, keep_ms)
end

local function show(place, payload)
    if redis.call('HSETNX', HELD, 'shown', payload) == 1 then
        redis.call('HSET', HELD, 'shown_at', place, 'before', n)
        redis.call('PEXPIRE', HELD, keep_ms)
        return 1
    end
    return redis.call('HGET', HELD, 'shown_at') == place and 1 or -1
end

local function react(place, mark, payload)
    local field = 'm' .. mark
    local known = redis.call('HGET', HELD, field)
    if known then
        local number, first = string.match(known, '^(%d+) (.*)$')
        return first == place and tonumber(number) or -1
    end
    if n >= most then return -1 end
    redis.call('HSET', HELD, field, n .. ' ' .. place, tostring(n), payload)
    n = n + 1
    return n - 1
end

local verdicts = {}
for at = 3, #ARGV, 3 do
    local place, mark, payload = ARGV[at], ARGV[at + 1], ARGV[at + 2]
    verdicts[#verdicts + 1] = mark == '' and show(place, payload) or react(place, mark, payload)
end
redis.call('HSET', HELD, 'n', n)

local shown = redis.call('HMGET', HELD, 'shown', 'before')
local reactions = {}
if shown[1] then
    for number = 0, n - 1 do reactions[number + 1] = redis.call('HGET', HELD, tostring(number)) end
end
return {is_new and 1 or 0, shown[1], tonumber(shown[2] or '-1'), reactions, verdicts}
