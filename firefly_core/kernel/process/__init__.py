"""One server as a process: its start, its line to the supervisor, its log and the watch over its hub."""
