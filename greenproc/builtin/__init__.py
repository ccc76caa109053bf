"""The built-in processes, which every runtime spawns."""
