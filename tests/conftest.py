"""The first lines of every test run patch, as every entry point does."""

from gevent import monkey

monkey.patch_all()
