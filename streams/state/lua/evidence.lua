#!lua
-- Replaces evidence, unless somebody else has replaced it since it was read.
--
-- KEYS: the evidence, and a copy of it that is kept for when it is damaged, in one slot.
-- ARGV: the first eight bytes that were read (empty = there was none), the new evidence, '1' to make the copy too.

if redis.call('GETRANGE', KEYS[1], 0, 7) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
if ARGV[3] == '1' then redis.call('SET', KEYS[2], ARGV[2]) end
return 1
