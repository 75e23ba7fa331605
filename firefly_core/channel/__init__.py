"""The first floor: hub-driven connections on gevent, and the RPC channels on top of them."""
