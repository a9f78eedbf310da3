#!lua
-- Counts a person's explored tracks and how many of them were welcome, each record once; what is long ago counts less.
--
-- KEYS: the person's counts (hash).
-- ARGV: how long they are kept in ms, what a count keeps of itself when another comes, where the record stands (source and
--       offset), how many were tried, and how many more of those tried are welcome.

local COUNTS = KEYS[1]
local source, offset, tried, glad = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
if offset <= tonumber(redis.call('HGET', COUNTS, source) or '-1') then return 0 end
local held = redis.call('HMGET', COUNTS, 'tried', 'glad')
local kept = tonumber(ARGV[2]) ^ tried
redis.call('HSET', COUNTS, source, ARGV[4],
    'tried', string.format('%.17g', tonumber(held[1] or '0') * kept + tried),
    'glad', string.format('%.17g', math.max(0, tonumber(held[2] or '0') * kept + glad)))
redis.call('PEXPIRE', COUNTS, ARGV[1])
return 1
