"""What lies here belongs to packages that the tests build: none of it is a test of this run."""

collect_ignore_glob = ["*"]
