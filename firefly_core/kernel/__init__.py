"""The second floor: plugins, configuration, handlers, sessions, and the kernel that holds one server together."""
