#!lua
-- Tells readers that they need not wait for offsets up to ARGV[1] of a partition; never goes back.
--
-- KEYS: the partition's marks, as in popularity.lua; what is counted is not touched.

local through = math.max(tonumber(ARGV[1]), tonumber(redis.call('HGET', KEYS[1], 'through') or '-1'))
redis.call('HSET', KEYS[1], 'through', string.format('%.0f', through))
