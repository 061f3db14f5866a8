-- The one script that changes a chain: checks who asks and what is stored, then does everything or
-- nothing. All keys are of one hash tag and declared.
--
-- KEYS: head, rows, then in this order removed keys, index chunks, users, appended keys
-- ARGV: epoch, guard (follow: the position must be `follows`; roll: the next staged piece must be
--       number `follows`; owner: the epoch is enough), follows, position, nonce, ttl in ms ('' for none), newest generation ('' for
--       none), then the counts of: head fields set, head fields removed, removed keys, index
--       entries, users, appended values, rows set, rows removed; then these themselves.
-- Returns {0}, or {1, epoch of the owner}, or {2, stored position or ''}.
local head = redis.call('HMGET', KEYS[1], 'epoch', 'position', 'nonce', 'pieces', 'next')
local epoch, position, nonce, pieces, next = head[1], head[2], head[3], head[4], head[5]
local guard = ARGV[2]
if epoch and tonumber(epoch) > tonumber(ARGV[1]) then return {1, epoch} end
if epoch ~= ARGV[1] then return {2, position or ''} end
if guard == 'follow' then
  if position == ARGV[4] and nonce == ARGV[5] then return {0} end
  if pieces or (position or '') ~= ARGV[3] then return {2, position or ''} end
elseif guard == 'roll' then
  if nonce ~= ARGV[5] then return {2, position or ''} end
  if not pieces then return {0} end
  if tonumber(next) > tonumber(ARGV[3]) then return {0} end
  if next ~= ARGV[3] then return {2, position or ''} end
end

local key, arg = 2, 15
for _ = 1, tonumber(ARGV[10]) do
  key = key + 1
  redis.call('UNLINK', KEYS[key])
end
for _ = 1, tonumber(ARGV[8]) do
  redis.call('HSET', KEYS[1], ARGV[arg + 1], ARGV[arg + 2])
  arg = arg + 2
end
for _ = 1, tonumber(ARGV[9]) do
  redis.call('HDEL', KEYS[1], ARGV[arg + 1])
  arg = arg + 1
end
for _ = 1, tonumber(ARGV[11]) do
  key = key + 1
  redis.call('SETRANGE', KEYS[key], ARGV[arg + 1], ARGV[arg + 2])
  arg = arg + 2
end
for _ = 1, tonumber(ARGV[12]) do
  key = key + 1
  if ARGV[6] == '' then
    redis.call('SET', KEYS[key], ARGV[arg + 1])
  else
    redis.call('SET', KEYS[key], ARGV[arg + 1], 'PX', ARGV[6])
  end
  arg = arg + 1
end
for _ = 1, tonumber(ARGV[13]) do
  key = key + 1
  redis.call('APPEND', KEYS[key], ARGV[arg + 1])
  arg = arg + 1
end
for _ = 1, tonumber(ARGV[14]) do
  redis.call('HSET', KEYS[2], ARGV[arg + 1], ARGV[arg + 2])
  arg = arg + 2
end
for _ = 1, tonumber(ARGV[15]) do
  redis.call('HDEL', KEYS[2], ARGV[arg + 1])
  arg = arg + 1
end
if ARGV[7] ~= '' then
  local newest = redis.call('HGET', KEYS[1], 'generation')
  if not newest or tonumber(newest) < tonumber(ARGV[7]) then
    redis.call('HSET', KEYS[1], 'generation', ARGV[7])
  end
end
if guard == 'follow' and ARGV[4] ~= '' then
  redis.call('HSET', KEYS[1], 'position', ARGV[4], 'nonce', ARGV[5])
end
return {0}
