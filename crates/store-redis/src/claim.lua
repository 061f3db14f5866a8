-- Makes an epoch the owner of a chain. KEYS: head. ARGV: epoch.
-- Returns {1, epoch of the owner} if a higher one owns it, else {0}.
local epoch = redis.call('HGET', KEYS[1], 'epoch')
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then return {1, epoch} end
redis.call('HSET', KEYS[1], 'epoch', ARGV[1], 'format', '1')
return {0}
