#!lua
-- Counts the plays of one partition's events, each at most once however often it is sent.
--
-- KEYS: the partition's counts (sorted set), marks (hash) and recent counts (sorted set), in one slot.
-- ARGV: half-life in ms, how many tracks are kept, the last offset of the batch,
--       msgpack list of {offset, at_ms, weight, track} in the order of the offsets,
--       half-life in ms of the recent counts, how many tracks are kept of them.
--
-- Forward decay (Cormode et al., 2009): a play at t adds weight * 2^((t - landmark) / half_life), so that counts
-- compare without being touched again; the landmark moves before the numbers outgrow a double.
-- Marks: `counted` is the last play in the counts, `through` the last that readers may rely on.

local COUNTS, MARKS, RECENT = KEYS[1], KEYS[2], KEYS[3]
local through = tonumber(ARGV[3])
local plays = cmsgpack.unpack(ARGV[4])
local HALF_LIVES_MAX = 512

local held = redis.call('HMGET', MARKS,
    'counted', 'through', 'landmark', 'half_life', 'recent_landmark', 'recent_half_life')
local counted, published = tonumber(held[1] or '-1'), tonumber(held[2] or '-1')

local function counter(key, half_life, keep, landmark, old_half_life)
    local self = {landmark = tonumber(landmark or 'none'), half_life = tonumber(old_half_life or half_life)}
    half_life, keep = tonumber(half_life), tonumber(keep)

    local function move_landmark(at)
        local factor = 2 ^ ((self.landmark - at) / self.half_life)
        redis.call('ZUNIONSTORE', key, 1, key, 'WEIGHTS', string.format('%.17g', factor))
        self.landmark = at
    end

    function self.add(at, weight, track)
        self.landmark = self.landmark or at
        -- What was counted under another half-life goes on from here under the new one.
        if self.half_life ~= half_life then move_landmark(math.max(at, self.landmark)) end
        self.half_life = half_life
        if (at - self.landmark) / half_life > HALF_LIVES_MAX then move_landmark(at) end
        redis.call('ZINCRBY', key, string.format('%.17g', weight * 2 ^ ((at - self.landmark) / half_life)), track)
        local surplus = redis.call('ZCARD', key) - keep
        if surplus > 0 then redis.call('ZREMRANGEBYRANK', key, 0, surplus - 1) end
    end

    function self.mark(landmark_field, half_life_field)
        if not self.landmark then return end
        redis.call('HSET', MARKS,
            landmark_field, string.format('%.0f', self.landmark),
            half_life_field, string.format('%.17g', self.half_life))
    end

    return self
end

local counts = counter(COUNTS, ARGV[1], ARGV[2], held[3], held[4])
local recent = counter(RECENT, ARGV[5], ARGV[6], held[5], held[6])

for _, play in ipairs(plays) do
    local offset, at, weight, track = unpack(play)
    if offset > counted then
        counted = offset
        counts.add(at, weight, track)
        recent.add(at, weight, track)
    end
end

redis.call('HSET', MARKS,
    'counted', string.format('%.0f', counted),
    'through', string.format('%.0f', math.max(published, through)))
counts.mark('landmark', 'half_life')
recent.mark('recent_landmark', 'recent_half_life')
