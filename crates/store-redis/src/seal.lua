-- Makes staged pieces the state that follows: from here on they count, applied or not.
-- KEYS: head, then all pieces. ARGV: epoch, follows, position, nonce, number of pieces.
-- Returns as commit.lua; {3} if a piece is missing.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'nonce', 'pieces')
local epoch, position, nonce, pieces = head[1], head[2], head[3], head[4]
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then return {1, epoch} end
if epoch ~= ARGV[1] then return {2, position or ''} end
if position == ARGV[3] and nonce == ARGV[4] then return {0} end
if pieces or (position or '') ~= ARGV[2] then return {2, position or ''} end
for n = 2, #KEYS do
  if redis.call('EXISTS', KEYS[n]) == 0 then return {3} end
end
redis.call('HSET', KEYS[1], 'position', ARGV[3], 'nonce', ARGV[4], 'pieces', ARGV[5], 'next', '0')
redis.call('HDEL', KEYS[1], 'staged')
return {0}
