#!lua
-- Applies the events of one person, in order, each at most once however often it is sent.
--
-- KEYS: the person's, all in one slot, in the order of PERSON_KEYS in keys.py.
-- ARGV[1]: msgpack {event_ids, session, heard, rated, anchors, anchor_weight}: how much is remembered, and
--          {session_events, silence_ms}: when a session ends.
-- ARGV[2...]: for each event partition, offset, id of 8 bytes, kind, subject, at_ms, weight, session entry.
--          Without events, a session that has been silent for long enough by the server's clock is closed.
-- Returns one character an event: '1' counted now or when it first came, '0' not; then 'c' if closed sessions wait
-- in CLOSED to be sent.
--
-- Every value of a hash begins with a number of 6 bytes that orders it, the least forgotten first.
-- Texts are never compared by `<`, which follows the server's locale.

local META, RECENT, CLOSED, HEARD, LIKES, DISLIKES, SAVES, BLOCKED, FOLLOWED, ANCHORS, SESSION = unpack(KEYS)
local limits = cmsgpack.unpack(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

-- The open session is the last `events` entries of SESSION: from when to when they occurred, and when the last came.
local OPEN = '<I6I6I6I4'
local applied, counted, open = {}, 0, nil
local meta = redis.call('HGETALL', META)
for i = 1, #meta, 2 do
    local name, value = meta[i], meta[i + 1]
    if name == 'n' then
        counted = tonumber(value)
    elseif name == 'open' then
        local started, ended, came, events = struct.unpack(OPEN, value)
        open = {started = started, ended = ended, came = came, events = events}
    else
        applied[name] = tonumber(value)
    end
end

-- A closed session: from when to when, and a msgpack array of its entries.
local function close_session()
    local entries = redis.call('LRANGE', SESSION, -open.events, -1)
    redis.call('HSET', CLOSED, string.format('%.0f', counted),
        struct.pack('<I6I6>BI2', open.started, open.ended, 0xdc, #entries) .. table.concat(entries))
    open = nil
end

-- An event that is older than the open session by more than a silence belongs to none; a clock that is ahead does not
-- count.
local function join_session(at)
    at = math.min(at, now)
    if open and (at > open.ended + limits.silence_ms or open.events >= limits.session_events) then close_session() end
    open = open or {started = at, ended = at, events = 0}
    if at >= open.started - limits.silence_ms then
        open.started, open.ended, open.came = math.min(at, open.started), math.max(at, open.ended), now
    end
    open.events = open.events + 1
end

-- RECENT is a ring of the last ids: 8 bytes of id, 10 bytes of where it was counted; zeros where it is not yet used.
local function counted_at(id)
    local ring, from = redis.call('GET', RECENT) or '', 1
    while true do
        local at = string.find(ring, id, from, true)
        if not at then return nil end
        if at % 18 == 1 then return string.sub(ring, at + 8, at + 17) end
        from = at + 1
    end
end

-- A string that grows is given twice the room it needs, so the ring soon takes its full length, once and for all.
local function remember(id, mark)
    if counted == 20 then
        redis.call('SET', RECENT, redis.call('GET', RECENT) .. string.rep('\0', (limits.event_ids - 20) * 18))
    end
    redis.call('SETRANGE', RECENT, counted % limits.event_ids * 18, id .. mark)
    counted = counted + 1
end

local function precedes(a, b)
    for i = 1, math.min(#a, #b) do
        local x, y = string.byte(a, i), string.byte(b, i)
        if x ~= y then return x < y end
    end
    return #a < #b
end

-- The order of which `keep` values of the flat list are at least, and how many are below it.
local function cut(flat, keep)
    local orders = {}
    for i = 2, #flat, 2 do orders[i / 2] = (struct.unpack('<I6', flat[i])) end
    table.sort(orders)
    local at = #orders - keep + 1
    local below = at - 1
    while below > 0 and orders[below] == orders[at] do below = below - 1 end
    return orders[at], below
end

-- Sorting is paid for by an eighth: the hash grows that far above `keep`, readers leave out what is too much.
local function forget_oldest(key, keep)
    local held = redis.call('HLEN', key)
    if held <= keep + math.floor(keep / 8) then return end
    local flat, ties = redis.call('HGETALL', key), {}
    local order, below = cut(flat, keep)
    for i = 1, #flat, 2 do
        local own = (struct.unpack('<I6', flat[i + 1]))
        if own < order then redis.call('HDEL', key, flat[i]) end
        if own == order then ties[#ties + 1] = flat[i] end
    end
    table.sort(ties, precedes)
    for i = 1, held - keep - below do redis.call('HDEL', key, ties[i]) end
end

local function hear(track, at, plays, skips)
    local held = redis.call('HGET', HEARD, track)
    if held then
        local last_at, old_plays, old_skips = struct.unpack('<I6I4I4', held)
        at, plays, skips = math.max(at, last_at), plays + old_plays, skips + old_skips
    end
    redis.call('HSET', HEARD, track, struct.pack('<I6I4I4', at, plays, skips))
    if not held then forget_oldest(HEARD, limits.heard) end
end

-- Whether `id` was not in there.
local function put(key, id, at)
    local is_new = redis.call('HSET', key, id, struct.pack('<I6I6', counted, at)) == 1
    if is_new then forget_oldest(key, limits.rated) end
    return is_new
end

local function remove(key, id)
    return redis.call('HDEL', key, id) == 1
end

local function raise(track, at, weight)
    if redis.call('HEXISTS', DISLIKES, track) == 1 then return end
    local held = redis.call('HGET', ANCHORS, track)
    if held then weight = weight + select(3, struct.unpack('<I6I6d', held)) end
    weight = math.min(weight, limits.anchor_weight)
    redis.call('HSET', ANCHORS, track, struct.pack('<I6I6d', counted, at, weight))
    if not held then forget_oldest(ANCHORS, limits.anchors) end
end

local function lower(track, weight)
    local held = redis.call('HGET', ANCHORS, track)
    if not held then return end
    local order, at, old = struct.unpack('<I6I6d', held)
    if old > weight then
        redis.call('HSET', ANCHORS, track, struct.pack('<I6I6d', order, at, old - weight))
    else
        redis.call('HDEL', ANCHORS, track)
    end
end

local function weigh(track, at, weight)
    if weight > 0 then raise(track, at, weight) elseif weight < 0 then lower(track, -weight) end
end

local function take_effect(kind, id, at, weight)
    if kind == 'play' then
        hear(id, at, 1, 0)
        weigh(id, at, weight)
    elseif kind == 'skip' then
        hear(id, at, 0, 1)
        weigh(id, at, weight)
    elseif kind == 'like' then
        remove(DISLIKES, id)
        if put(LIKES, id, at) then weigh(id, at, weight) end
    elseif kind == 'dislike' then
        remove(LIKES, id)
        put(DISLIKES, id, at)
        remove(ANCHORS, id)
    elseif kind == 'unrate' then
        remove(DISLIKES, id)
        if remove(LIKES, id) then weigh(id, at, weight) end
    elseif kind == 'save' then
        if put(SAVES, id, at) then weigh(id, at, weight) end
    elseif kind == 'unsave' then
        if remove(SAVES, id) then weigh(id, at, weight) end
    elseif kind == 'block_artist' then
        put(BLOCKED, id, at)
    elseif kind == 'unblock_artist' then
        remove(BLOCKED, id)
    elseif kind == 'follow_artist' then
        put(FOLLOWED, id, at)
    elseif kind == 'unfollow_artist' then
        remove(FOLLOWED, id)
    else
        weigh(id, at, weight)
    end
end

local function count(kind, subject, at, weight, entry)
    take_effect(kind, subject, at, weight)
    join_session(at)
    local keep = math.max(limits.session, open.events)
    if redis.call('RPUSH', SESSION, entry) > keep then redis.call('LTRIM', SESSION, -keep, -1) end
end

local verdicts, seen = {}, {}
for i = 2, #ARGV, 8 do
    local partition, offset, id = ARGV[i], tonumber(ARGV[i + 1]), ARGV[i + 2]
    local mark, known = struct.pack('<I2I8', tonumber(partition), offset), counted_at(id)
    if offset > (applied[partition] or -1) then
        applied[partition], seen[partition] = offset, true
        if not known then
            remember(id, mark)
            count(ARGV[i + 3], ARGV[i + 4], tonumber(ARGV[i + 5]), tonumber(ARGV[i + 6]), ARGV[i + 7])
            known = mark
        end
    end
    verdicts[#verdicts + 1] = known == mark and '1' or '0'
end

if #ARGV == 1 and open and now >= open.came + limits.silence_ms then
    close_session()
    redis.call('LTRIM', SESSION, -limits.session, -1)
    redis.call('HDEL', META, 'open')
end
if redis.call('HLEN', CLOSED) > 0 then verdicts[#verdicts + 1] = 'c' end
if #ARGV == 1 then return table.concat(verdicts) end

local changes = {'n', string.format('%.0f', counted)}
if open then
    changes[#changes + 1] = 'open'
    changes[#changes + 1] = struct.pack(OPEN, open.started, open.ended, open.came, open.events)
end
for partition in pairs(seen) do
    changes[#changes + 1] = partition
    changes[#changes + 1] = string.format('%.0f', applied[partition])
end
redis.call('HSET', META, unpack(changes))
return table.concat(verdicts)
