"""How a dataset is made: what goes where, who makes it, and what happens when they die.

`plan` says which trajectory goes into which shard. `execution` hands shards to an executor. There,
`supervisor` keeps a process that solves (`worker`), replaces it when it hangs or dies, and sets
apart the draw that was to blame. `produce` makes one shard. `summary` writes what all shards
together say.
"""
