"""The mesh of servers: channels, peers, calls and relays, and who is at which gate."""
