-- The library inside Redis, third part: who is here.

-- ---------------------------------------------------------------------------------------------------
-- Presence: one shard of a room. KEYS: users, their order. Both exist, or neither does.
-- ---------------------------------------------------------------------------------------------------

-- A user's value is "since node:seen node:seen…", with numbers for nodes. No user's id begins with a
-- control character, so the field of the shard itself is none: which node has which number, and when it
-- last said something, how far a sweep has come, and in the first shard what was published.
local SHARD = '\0'
local NODES_MAX = 64

local function shard_load(users)
  local packed = call('HGET', users, SHARD)
  local shard = packed and cmsgpack.unpack(packed) or {}
  shard.nodes = shard.nodes or {}
  return shard
end

local function shard_save(users, order, shard, ttl_ms)
  if call('EXISTS', order) == 0 and (shard.shards or 1) == 1 then
    call('DEL', users)
    return
  end
  call('HSET', users, SHARD, cmsgpack.pack(shard))
  call('PEXPIRE', users, 2 * ttl_ms)
  call('PEXPIRE', order, 2 * ttl_ms)
end

-- The number of a node; nil, where there are too many.
local function node_number(shard, node, now_ms)
  local it, taken = shard.nodes[node], {}
  if it then
    it[2] = math.max(it[2], now_ms)
    return it[1]
  end
  for _, other in pairs(shard.nodes) do taken[other[1]] = true end
  for n = 0, NODES_MAX - 1 do
    if not taken[n] then
      shard.nodes[node] = { n, now_ms }
      return n
    end
  end
  return nil
end

-- A user's value without one node, and without those who have not named them since before_ms.
local function without(value, number_, before_ms)
  local kept = {}
  for n, seen in value:gmatch(' (%d+):(%d+)') do
    if tonumber(n) ~= number_ and tonumber(seen) > before_ms then
      kept[#kept + 1] = ' ' .. n .. ':' .. seen
    end
  end
  return table.concat(kept)
end

local function user_gone(users, order, user, n)
  local value = call('HGET', users, user)
  if not value then return end
  local rest = without(value, n, 0)
  if rest == '' then
    call('HDEL', users, user)
    call('ZREM', order, user)
  else
    call('HSET', users, user, value:match('^%d+') .. rest)
  end
end

local function user_here(users, order, argv, i, n)
  local user, since, seen = argv[i], argv[i + 2], argv[i + 3]
  local value = call('HGET', users, user)
  if not value then
    call('ZADD', order, argv[i + 1], user)
    call('HSET', users, user, since .. ' ' .. n .. ':' .. seen)
    return
  end
  call('HSET', users, user, value:match('^%d+') .. without(value, n, 0) .. ' ' .. n .. ':' .. seen)
end

local function user_sweep(users, order, user, value, before_ms)
  local rest = without(value, -1, before_ms)
  if rest == '' then
    call('HDEL', users, user)
    call('ZREM', order, user)
    return 1
  end
  local kept = value:match('^%d+') .. rest
  if kept ~= value then call('HSET', users, user, kept) end
  return 0
end

-- They left by themselves at left_ms: they are where a node has named them since.
local function user_left(users, order, user, left_ms)
  local value = call('HGET', users, user)
  if value then user_sweep(users, order, user, value, left_ms) end
end

-- now_ms, ttl_ms, node, then for each user: user, order, since, seen (empty: gone from this node, or with
-- none from all of them, and instead of since when that was). How many shards the
-- room has and since when, as far as this one knows; 0: too many nodes.
local function stoa_presence_put(keys, argv)
  local users, order, ttl_ms = keys[1], keys[2], tonumber(argv[2])
  local shard, now_ms, n = shard_load(users), tonumber(argv[1]), nil
  for i = 4, #argv, 4 do
    if argv[i + 3] ~= '' then
      n = n or node_number(shard, argv[3], now_ms)
      if not n then return { 0, 0 } end
      user_here(users, order, argv, i, n)
    elseif argv[3] == '' then
      user_left(users, order, argv[i], tonumber(argv[i + 2]))
    elseif shard.nodes[argv[3]] then
      user_gone(users, order, argv[i], shard.nodes[argv[3]][1])
    end
  end
  shard_save(users, order, shard, ttl_ms)
  return { shard.shards or 1, shard.grown or 0 }
end

local function has_silent(shard, before_ms)
  for _, node in pairs(shard.nodes) do
    if node[2] <= before_ms then return true end
  end
  return false
end

-- Looks at some users for those who have lapsed: at few of them each time, and at all of them, one step
-- after the other, once a node has been silent for too long. Then its number is free again. How many
-- lapsed, and whether there is more to do at once.
local function shard_sweep(users, order, shard, before_ms, now_ms)
  if has_silent(shard, before_ms) and not shard.began then shard.at, shard.began = 0, now_ms end
  local steps, lapsed = shard.began and 1000 or 32, 0
  local at = shard.at or 0
  local some = call('ZRANGEBYSCORE', order, at, '+inf', 'WITHSCORES', 'LIMIT', 0, steps)
  for i = 1, #some, 2 do
    local value = call('HGET', users, some[i])
    if value then lapsed = lapsed + user_sweep(users, order, some[i], value, before_ms) end
  end
  if #some == 2 * steps then
    local last = tonumber(some[#some])
    shard.at = last > at and last or last + 1
    return lapsed, shard.began ~= nil
  end
  for name, node in pairs(shard.nodes) do
    if shard.began and node[2] <= before_ms - (now_ms - shard.began) then shard.nodes[name] = nil end
  end
  shard.at, shard.began = nil, nil
  return lapsed, false
end

-- now_ms, ttl_ms, fresh_ms. Of this shard: how many are here, 1 where it is worth to ask again at once,
-- how many lapsed; of the room: shards, since when, the published count and its time, and 1 where it is
-- the caller's to sum the shards and publish, since nobody else has for fresh_ms.
local function stoa_presence_count(keys, argv)
  local users, order, now_ms, ttl_ms = keys[1], keys[2], tonumber(argv[1]), tonumber(argv[2])
  if call('EXISTS', users) == 0 then return { 0, 0, 0, 1, 0, 0, 0, 0 } end
  local shard, fresh_ms, is_due = shard_load(users), tonumber(argv[3]), false
  local lapsed, is_more = shard_sweep(users, order, shard, now_ms - ttl_ms, now_ms)
  local function is_old(at_ms) return now_ms - at_ms >= fresh_ms or now_ms < at_ms end
  if fresh_ms > 0 and (shard.shards or 1) > 1 then
    is_due = is_old(shard.counted or 0) and is_old(shard.claimed or 0)
    if is_due then shard.claimed = now_ms end
  end
  call('HSET', users, SHARD, cmsgpack.pack(shard))
  local count = call('ZCARD', order)
  if count == 0 and (shard.shards or 1) == 1 then call('DEL', users) end
  return { count, is_more and 1 or 0, lapsed, shard.shards or 1, shard.grown or 0, shard.count or 0,
    shard.counted or 0, is_due and 1 or 0 }
end

-- now_ms, ttl_ms, count, shards. Of the first shard.
local function stoa_presence_publish(keys, argv)
  if call('EXISTS', keys[1]) == 0 then return 0 end
  local shard, now_ms, shards = shard_load(keys[1]), tonumber(argv[1]), tonumber(argv[4])
  shard.count, shard.counted = tonumber(argv[3]), now_ms
  if shards > (shard.shards or 1) then shard.shards, shard.grown = shards, now_ms end
  shard_save(keys[1], keys[2], shard, tonumber(argv[2]))
  return shard.shards or 1
end

-- before_ms, order, after, prefix, limit, scan. Looks at users from `order` on, at most `scan`. 1 where
-- the shard has more; the last one looked at; then user, since, seen of each on the page.
local function stoa_presence_page(keys, argv)
  local before_ms, from, after, prefix = tonumber(argv[1]), argv[2], argv[3], argv[4]
  local limit, scan, page = tonumber(argv[5]), tonumber(argv[6]), {}
  local some = call('ZRANGEBYSCORE', keys[2], from, '+inf', 'WITHSCORES', 'LIMIT', 0, scan + 1)
  local is_more, last = #some > 2 * scan, after
  for i = 1, math.min(#some, 2 * scan), 2 do
    local user = some[i]
    local is_behind = tonumber(some[i + 1]) > tonumber(from) or user > after
    if is_behind and #page >= 3 * limit then return { 1, last, page } end
    if is_behind and user:sub(1, #prefix) == prefix then
      local value, seen = call('HGET', keys[1], user), 0
      for at in value:gmatch(' %d+:(%d+)') do seen = math.max(seen, tonumber(at)) end
      if seen > before_ms then
        page[#page + 1], page[#page + 2], page[#page + 3] = user, value:match('^%d+'), seen
      end
    end
    last = is_behind and user or last
  end
  return { is_more and 1 or 0, last, page }
end

register('presence_put', stoa_presence_put)
register('presence_count', stoa_presence_count)
register('presence_publish', stoa_presence_publish)
register('presence_page', stoa_presence_page, { 'no-writes' })
