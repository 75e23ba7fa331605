"""The supervisor of `firefly-run`: it starts every server as a process, watches over it and stops it in order.

It runs without gevent and imports no plugin and no game: what it supervises cannot break it. What firefly.toml means is
read by a throw-away process (`planner`), whose answer is a `Plan`.
"""
