"""gevent's hub: its life and thread, its budget for an iteration, forks, unpatched functions."""
