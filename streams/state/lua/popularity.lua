#!lua
-- Counts the plays of one partition's events, each at most once however often it is sent.
--
-- KEYS: the partition's counts (sorted set) and marks (hash), in one slot.
-- ARGV: half-life in ms, how many tracks are kept, the last offset of the batch,
--       msgpack list of {offset, at_ms, weight, track} in the order of the offsets.
--
-- Forward decay (Cormode et al., 2009): a play at t adds weight * 2^((t - landmark) / half_life), so that counts
-- compare without being touched again; the landmark moves before the numbers outgrow a double.
-- Marks: `counted` is the last play in the counts, `through` the last that readers may rely on.

local COUNTS, MARKS = KEYS[1], KEYS[2]
local half_life, keep, through = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local plays = cmsgpack.unpack(ARGV[4])
local HALF_LIVES_MAX = 512

local held = redis.call('HMGET', MARKS, 'counted', 'through', 'landmark', 'half_life')
local counted, published = tonumber(held[1] or '-1'), tonumber(held[2] or '-1')
local landmark, old_half_life = tonumber(held[3] or 'none'), tonumber(held[4] or ARGV[1])

local function move_landmark(at)
    local factor = 2 ^ ((landmark - at) / old_half_life)
    redis.call('ZUNIONSTORE', COUNTS, 1, COUNTS, 'WEIGHTS', string.format('%.17g', factor))
    landmark = at
end

local function prepare(at)
    landmark = landmark or at
    -- What was counted under another half-life goes on from here under the new one.
    if old_half_life ~= half_life then move_landmark(math.max(at, landmark)) end
    old_half_life = half_life
    if (at - landmark) / half_life > HALF_LIVES_MAX then move_landmark(at) end
end

for _, play in ipairs(plays) do
    local offset, at, weight, track = unpack(play)
    if offset > counted then
        counted = offset
        prepare(at)
        redis.call('ZINCRBY', COUNTS, string.format('%.17g', weight * 2 ^ ((at - landmark) / half_life)), track)
        local surplus = redis.call('ZCARD', COUNTS) - keep
        if surplus > 0 then redis.call('ZREMRANGEBYRANK', COUNTS, 0, surplus - 1) end
    end
end

redis.call('HSET', MARKS,
    'counted', string.format('%.0f', counted),
    'through', string.format('%.0f', math.max(published, through)))
if landmark then
    redis.call('HSET', MARKS,
        'landmark', string.format('%.0f', landmark), 'half_life', string.format('%.17g', old_half_life))
end
