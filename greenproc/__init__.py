"""Actors and message passing on gevent, speaking the libprocess protocol."""
